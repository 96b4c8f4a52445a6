//! Metrics in the Prometheus text format.

use std::fmt::Write as _;

use crate::observe::{
    l4::L4Series,
    metrics::{DURATION_BUCKETS, Labels, MetricsSnapshot, Series},
};

/// Renders every counter, in a stable order (text format 0.0.4).
pub fn render_prometheus(snapshot: &MetricsSnapshot) -> String {
    let mut out = String::new();
    for total in &snapshot.totals {
        head(&mut out, total.name, total.kind, total.help);
        line(&mut out, total.name, "", &total.value.to_string());
    }
    let name = "portcullis_local_answers_total";
    head(&mut out, name, "counter", "Exchanges that the gateway answered or ended itself.");
    for (reason, count) in &snapshot.reasons {
        line(&mut out, name, &format!("reason=\"{reason}\""), &count.to_string());
    }
    let name = "portcullis_http_requests_total";
    head(&mut out, name, "counter", "Requests by rule, backend and class of the answer's status.");
    for series in &snapshot.series {
        let labels = label_text(&series.labels);
        for (class, count) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(&series.classes) {
            if *count > 0 {
                let labels = format!("{labels},status=\"{class}\"");
                line(&mut out, name, &labels, &count.to_string());
            }
        }
    }
    let name = "portcullis_limit";
    head(&mut out, name, "gauge", "Bounds in force: bytes, counts, or milliseconds (_ms).");
    for (limit, value) in &snapshot.limits {
        line(&mut out, name, &format!("limit=\"{limit}\""), &value.to_string());
    }
    durations(&mut out, &snapshot.series);
    let name = "portcullis_http_request_bytes_total";
    head(&mut out, name, "counter", "Request bytes by rule and backend, heads included.");
    for series in &snapshot.series {
        line(&mut out, name, &label_text(&series.labels), &series.received.to_string());
    }
    let name = "portcullis_http_response_bytes_total";
    head(&mut out, name, "counter", "Response bytes by rule and backend, heads included.");
    for series in &snapshot.series {
        line(&mut out, name, &label_text(&series.labels), &series.sent.to_string());
    }
    l4(&mut out, &snapshot.l4);
    out
}

fn l4(out: &mut String, all: &[L4Series]) {
    let mut metric = |name: &str, kind: &str, help: &str, value: fn(&L4Series) -> u64| {
        head(out, name, kind, help);
        for series in all {
            line(out, name, &label_text(&series.labels), &value(series).to_string());
        }
    };
    let help = "TCP and TLS connections and UDP flows by route and backend.";
    metric("portcullis_l4_begun_total", "counter", help, |series| series.begun);
    let help = "TCP and TLS connections and UDP flows open now.";
    metric("portcullis_l4_open", "gauge", help, |series| series.open);
    let help = "TCP and TLS connections and UDP flows that ended with a reason.";
    metric("portcullis_l4_failed_total", "counter", help, |series| series.failed);
    let help = "Bytes from clients of TCP, TLS and UDP by route and backend.";
    metric("portcullis_l4_route_received_bytes_total", "counter", help, |series| series.received);
    let help = "Bytes to clients of TCP, TLS and UDP by route and backend.";
    metric("portcullis_l4_route_sent_bytes_total", "counter", help, |series| series.sent);
}

fn durations(out: &mut String, all: &[Series]) {
    let name = "portcullis_http_request_duration_seconds";
    head(out, name, "histogram", "Whole exchanges, from the request head to the response's end.");
    for series in all {
        let labels = label_text(&series.labels);
        let mut cumulative = 0u64;
        for (index, count) in series.buckets.iter().enumerate() {
            cumulative = cumulative.wrapping_add(*count);
            let most = DURATION_BUCKETS.get(index).map_or("+Inf".to_owned(), |us| seconds(*us));
            let labels = format!("{labels},le=\"{most}\"");
            line(out, &format!("{name}_bucket"), &labels, &cumulative.to_string());
        }
        line(out, &format!("{name}_sum"), &labels, &seconds(series.micros));
        line(out, &format!("{name}_count"), &labels, &cumulative.to_string());
    }
}

fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn label_text(labels: &Labels) -> String {
    let pairs = [
        ("gateway", &labels.gateway),
        ("listener", &labels.listener),
        ("route", &labels.route),
        ("rule", &labels.rule),
        ("backend", &labels.backend),
    ];
    let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    pairs.join(",")
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    if writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}").is_err() {
        tracing::debug!("a metric head failed to format");
    }
}

fn line(out: &mut String, name: &str, labels: &str, value: &str) {
    let written = if labels.is_empty() {
        writeln!(out, "{name} {value}")
    } else {
        writeln!(out, "{name}{{{labels}}} {value}")
    };
    if written.is_err() {
        tracing::debug!("a metric line failed to format");
    }
}
