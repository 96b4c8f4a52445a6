//! Looking into a running process, on loopback only.

use std::{collections::BTreeMap, pin::Pin};

use http::{Method, Request, StatusCode, header};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{Shared, ending::Phase};
use crate::{
    observe::server::{self, Answer, text},
    render,
};

const INDEX: &str = "\
Portcullis

GET  /config      the table that serves, without secrets
";

const OF_OBJECTS: &str = "\
GET  /status      the conditions of each object
GET  /findings    what is wrong with files and objects
";

const OF_LINK: &str = "\
GET  /link        the stream from the controller
";

const OF_ALL: &str = "\
GET  /endpoints   each endpoint: zone, state, requests in flight
GET  /log-level   the log level; PUT changes it (body: debug, or info,proxy=trace)
POST /drain       begin to drain, as SIGTERM does
GET  /drain       answers once nothing new is accepted
";

const OF_DEMO: &str = "
With --demo:
GET  /demo/ca.pem      the authority of the demo
GET  /demo/client.pem  a client's certificate and its key
";

pub(crate) fn handler(
    shared: Shared,
) -> impl Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Answer>>> {
    move |request| {
        let shared = shared.clone();
        Box::pin(async move { answer(&shared, request).await })
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Answer {
    // A web page in the operator's browser must not reach this port by a name of its own.
    if !names_loopback(&request) {
        return text(StatusCode::FORBIDDEN, "use the loopback address or localhost\n");
    }
    let path = request.uri().path().to_owned();
    match (request.method().clone(), path.as_str()) {
        (Method::GET, "/") => text(StatusCode::OK, index(shared)),
        (Method::GET, "/config") => {
            text(StatusCode::OK, ir::dump_table(&shared.published.borrow().table))
        }
        (Method::GET, path) if path.starts_with("/demo/") => demo_file(shared, path),
        (Method::GET, "/endpoints") => server::json(&endpoints(shared).await),
        (Method::GET, "/log-level") => text(StatusCode::OK, format!("{}\n", shared.level.get())),
        (Method::PUT, "/log-level") => set_level(shared, request).await,
        (Method::POST, "/drain") => drain(shared),
        (Method::GET, "/drain") => drained(shared).await,
        (_, "/" | "/config" | "/endpoints" | "/log-level" | "/drain") => not_allowed(),
        (method, path) => match (page(shared, path), method) {
            (Some(page), Method::GET) => server::json(&page),
            (Some(_), _) => not_allowed(),
            (None, _) => text(StatusCode::NOT_FOUND, "GET / lists what there is\n"),
        },
    }
}

fn not_allowed() -> Answer {
    text(StatusCode::METHOD_NOT_ALLOWED, "GET / lists what there is\n")
}

fn index(shared: &Shared) -> String {
    match &shared.link {
        Some(_) => [INDEX, OF_LINK, OF_ALL].concat(),
        None => [INDEX, OF_OBJECTS, OF_ALL, OF_DEMO].concat(),
    }
}

/// The pages that depend on where the configuration comes from.
fn page(shared: &Shared, path: &str) -> Option<Value> {
    let published = &mut *shared.published.borrow_mut();
    match (&shared.link, path) {
        (None, "/status") => {
            let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let name = &shared.controller_name;
            let (statuses, shown) = (&published.statuses, &mut published.shown);
            Some(render::status::json(statuses, shown, name, &now))
        }
        (None, "/findings") => Some(json!({ "items": published.findings })),
        (Some(link), "/link") => Some(link.page(published.revision)),
        (None | Some(_), _) => None,
    }
}

fn demo_file(shared: &Shared, path: &str) -> Answer {
    let published = shared.published.borrow();
    match published.demo.get(path.trim_start_matches("/demo/")) {
        Some(pem) => text(StatusCode::OK, pem.clone()),
        None => text(StatusCode::NOT_FOUND, "there is no such file; --demo has some\n"),
    }
}

fn names_loopback(request: &Request<Incoming>) -> bool {
    let Some(host) = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()) else {
        return true;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

async fn set_level(shared: &Shared, request: Request<Incoming>) -> Answer {
    let body = match server::read_body(request.into_body()).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let level = String::from_utf8_lossy(&body);
    match shared.level.set(&level) {
        Ok(()) => text(StatusCode::OK, format!("{}\n", shared.level.get())),
        Err(error) => text(StatusCode::BAD_REQUEST, format!("{error:#}\n")),
    }
}

fn drain(shared: &Shared) -> Answer {
    let begun = shared.phase.send_if_modified(Phase::begin);
    text(StatusCode::ACCEPTED, if begun { "draining\n" } else { "draining already\n" })
}

async fn drained(shared: &Shared) -> Answer {
    let mut phase = shared.phase.subscribe();
    if *phase.borrow() == Phase::Serving {
        return text(StatusCode::CONFLICT, "no drain has begun; POST begins one\n");
    }
    // The sender is in `shared`.
    drop(phase.wait_for(|phase| *phase == Phase::Closing).await);
    text(StatusCode::OK, "nothing new is accepted\n")
}

async fn endpoints(shared: &Shared) -> Value {
    let mut clusters: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let states = match &shared.proxy {
        Some(proxy) => proxy.endpoints_state().await,
        None => Vec::new(),
    };
    for status in states {
        clusters.entry(status.cluster.to_string()).or_default().push(json!({
            "address": status.endpoint.address.to_string(),
            "identity": &*status.endpoint.identity,
            "zone": status.endpoint.zone.as_deref(),
            "state": format!("{:?}", status.endpoint.state),
            "inFlight": status.in_flight,
            "idle": status.idle,
            "ejected": status.ejected,
        }));
    }
    json!({ "clusters": clusters })
}
