//! Metrics and the access log.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, plain, to};
use ir::{FieldName, HeaderMatch, ValueMatch};
use proxy::{AccessLog, Limits, Reason, render_prometheus};
use std::{path::Path, time::Duration};
use testkit::recorder::{Recorder, Reply};

fn lines(path: &Path, count: usize) -> Vec<serde_json::Value> {
    testkit::eventually("access log lines", || {
        let text = std::fs::read_to_string(path).unwrap();
        // A batch may be half written.
        let text = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines: Vec<_> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines.len() >= count).then_some(lines)
    })
}

fn logged() -> (Plane, Recorder, Config, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let log = AccessLog::File(folder.path().join("log"));
    let plane = Plane::with(Limits::default(), log, 1);
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    (plane, recorder, config, folder)
}

#[test]
fn a_served_request_is_one_line_with_its_whole_way() {
    let (plane, recorder, mut config, folder) = logged();
    let mut rule = to("/api", "app");
    rule.name = Some("api".into());
    config.route("shop", vec![rule]);
    plane.apply(&mut config);
    assert_eq!(plane.get("A.example:80", "/api/x?secret=1").status, 200);
    let line = lines(&folder.path().join("log"), 1).remove(0);
    for (name, value) in [
        ("method", "GET"),
        ("host", "a.example"),
        ("path", "/api/x"),
        ("gateway", "infra/edge"),
        ("listener", "web"),
        ("route", "HTTPRoute shop/shop"),
        ("rule", "api"),
        ("backend", "shop/app:80"),
        ("revision", "1.1"),
        ("endpoint", &recorder.addr().to_string()),
    ] {
        assert_eq!(line[name], value, "{name} in {line}");
    }
    assert_eq!(line["status"], 200);
    assert_eq!(line["attempts"], 1);
    assert!(line["bytes_in"].as_u64().unwrap() > 40);
    assert!(line["bytes_out"].as_u64().unwrap() > 100);
    assert!(line["duration_ms"].as_f64().is_some());
    assert_eq!(line["request_id"], recorder.wait_for(1)[0].field("x-request-id").unwrap());
    assert!(line.get("reason").is_none());
}

#[test]
fn a_miss_names_the_closest_rule_and_what_failed() {
    let (plane, _recorder, mut config, folder) = logged();
    let mut rule = to("/api", "app");
    rule.matches[0].headers = vec![HeaderMatch {
        name: FieldName::new("x-version").unwrap(),
        value: ValueMatch::Exact("2".into()),
    }];
    config.route("shop", vec![rule]);
    plane.apply(&mut config);
    let mut client = plane.client();
    for _ in 0..30 {
        assert_eq!(client.get("a", "/api").status, 404);
    }
    let lines = lines(&folder.path().join("log"), 30);
    assert_eq!(lines[0]["reason"], "no_route");
    assert_eq!(lines[0]["closest_rule"], "HTTPRoute shop/shop spec.rules[0]");
    assert_eq!(lines[0]["closest_failed"], "header x-version: wanted 2, got nothing");
    let explained = lines.iter().filter(|line| line.get("closest_rule").is_some()).count();
    assert!((10..30).contains(&explained), "{explained} of 30, where ten a second are");
}

#[test]
fn a_client_cannot_write_log_lines_of_its_own() {
    let (plane, _recorder, mut config, folder) = logged();
    plane.apply(&mut config);
    let mut client = plane.client();
    client.send("GET /\"},{\"a\":\"%0d%0a\\ HTTP/1.1\r\nhost: a\r\n\r\n");
    assert_eq!(client.response("GET").status, 404);
    client.send("NO\x1b[31m / HTTP/1.1\r\n\r\n");
    assert_eq!(client.response("GET").status, 400);
    let lines = lines(&folder.path().join("log"), 2);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["reason"], "bad_head");
    assert_eq!(lines[1]["detail"], "method");
}

#[test]
fn metrics_count_by_rule_and_backend_and_survive_a_new_revision() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    for _ in 0..3 {
        assert_eq!(client.get("a", "/").status, 200);
    }
    recorder.script(Reply::status(503, &[], ""));
    assert_eq!(client.get("a", "/").status, 503);
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("a-new-one", vec![to("/new", "app")]);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    assert_eq!(client.get("a", "/").status, 200);
    assert_eq!(client.get("a", "/new").status, 200);
    testkit::eventually("the last count", || {
        let metrics = plane.metrics();
        let classes: Vec<_> =
            metrics.series.iter().map(|s| (s.labels.route.as_str(), s.classes)).collect();
        let new = ("HTTPRoute shop/a-new-one", [0, 1, 0, 0, 0]);
        let all = ("HTTPRoute shop/all", [0, 4, 0, 0, 1]);
        (classes == [new, all]).then_some(())
    });
    let text = render_prometheus(&plane.metrics());
    let labels = "gateway=\"infra/edge\",listener=\"web\",route=\"HTTPRoute shop/all\",rule=\"0\",backend=\"shop/app:80\"";
    for line in [
        format!("portcullis_http_requests_total{{{labels},status=\"2xx\"}} 4"),
        format!("portcullis_http_request_duration_seconds_count{{{labels}}} 5"),
        "portcullis_requests_total 6".to_owned(),
        "portcullis_limit{limit=\"head_timeout_ms\"} 10000".to_owned(),
        "portcullis_upstream_connects_total 1".to_owned(),
        "portcullis_upstream_reuses_total 5".to_owned(),
        "portcullis_local_answers_total{reason=\"no_route\"} 0".to_owned(),
    ] {
        assert!(text.contains(&format!("{line}\n")), "{line} in\n{text}");
    }
}

#[test]
fn every_reason_has_a_label_of_its_own_and_a_sentence() {
    let mut labels: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), Reason::COUNT);
    for reason in Reason::ALL {
        assert!(reason.description().ends_with('.'), "{reason}");
        assert!(reason.status() == 0 || (200..600).contains(&reason.status()), "{reason}");
    }
}

#[test]
fn log_lines_are_written_before_the_end() {
    let (plane, _recorder, mut config, folder) = logged();
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    assert_eq!(plane.get("a", "/").status, 200);
    plane.drain(Duration::ZERO, Duration::from_secs(5));
    let text = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(text.lines().count(), 1);
}
