//! Liveness, readiness and metrics: for kubelets and Prometheus.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use ir::Revision;

use super::{Published, Shared, ending::Phase};
use crate::observe::server::{Answer, text, with_type};

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers `/livez`, `/readyz` and `/metrics`.
pub(crate) fn handler(
    shared: Shared,
) -> impl Fn(Request<Incoming>) -> std::pin::Pin<Box<dyn Future<Output = Answer>>> {
    move |request| {
        let shared = shared.clone();
        Box::pin(async move { answer(&shared, request.method(), request.uri().path()).await })
    }
}

async fn answer(shared: &Shared, method: &Method, path: &str) -> Answer {
    if *method != Method::GET && *method != Method::HEAD {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
    }
    match path {
        "/livez" => text(StatusCode::OK, "ok\n"),
        "/readyz" => readiness(shared),
        "/metrics" => metrics(shared).await,
        _ => text(StatusCode::NOT_FOUND, "try /livez, /readyz or /metrics\n"),
    }
}

/// Ready only while the first revision serves and no drain has begun.
fn readiness(shared: &Shared) -> Answer {
    let draining = *shared.phase.borrow() != Phase::Serving;
    match (shared.published.borrow().revision, draining) {
        (_, true) => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        (None, false) => text(StatusCode::SERVICE_UNAVAILABLE, "no revision serves yet\n"),
        (Some(revision), false) => text(StatusCode::OK, format!("ok, revision {revision}\n")),
    }
}

async fn metrics(shared: &Shared) -> Answer {
    let mut body = match &shared.proxy {
        Some(proxy) => proxy::render_prometheus(&proxy.metrics_snapshot().await),
        None => String::new(),
    };
    if let Some(render) = &shared.counters {
        body.push_str(&render());
    }
    let published = shared.published.borrow();
    let Revision { epoch, sequence } = published.revision.unwrap_or_default();
    body.push_str(&format!(
        "# HELP portcullis_revision The revision that serves.\n\
         # TYPE portcullis_revision gauge\n\
         portcullis_revision {sequence}\n\
         # HELP portcullis_revision_epoch The epoch of the revision that serves.\n\
         # TYPE portcullis_revision_epoch gauge\n\
         portcullis_revision_epoch {epoch}\n\
         # HELP portcullis_build_info The version that runs.\n\
         # TYPE portcullis_build_info gauge\n\
         portcullis_build_info{{version=\"{}\"}} 1\n",
        env!("CARGO_PKG_VERSION"),
    ));
    match &shared.link {
        Some(link) => body.push_str(&link.metrics()),
        None => body.push_str(&findings(&published)),
    }
    with_type(StatusCode::OK, PROMETHEUS, Bytes::from(body))
}

fn findings(published: &Published) -> String {
    let findings = |severity: &str| {
        let same = |finding: &&serde_json::Value| finding["severity"] == severity;
        published.findings.iter().filter(same).count()
    };
    format!(
        "# HELP portcullis_findings Findings about files and objects, by severity.\n\
         # TYPE portcullis_findings gauge\n\
         portcullis_findings{{severity=\"error\"}} {}\n\
         portcullis_findings{{severity=\"warning\"}} {}\n",
        findings("error"),
        findings("warning"),
    )
}
