//! `--demo`: what the caller of `source::demo` has to supply, which is certificates and tiny
//! backends; each backend answers JSON that shows what reached it.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use api::{EndpointSlice, ObjectName};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header, request::Parts};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use ir::{Action, FieldName, FieldValue, Filter, HeaderModifier, IrSet};
use serde_json::{Map, Value, json};
use source::demo::{DemoBackend, DemoCertificate, DemoKeyPair, DemoPlan, plan};
use tokio::net::TcpListener;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};
use translate::{Settings, Snapshot};

use crate::{
    limits::DEMO_DELAY_MAX,
    observe::server::{self, Answer},
};

/// Tells the demo backends which route and rule a request took.
const ROUTE_FIELD: &str = "x-portcullis-route";

/// The stand-ins of a running server: backends and certificates are made once and kept.
#[derive(Default)]
pub(crate) struct Demo {
    addresses: BTreeMap<DemoBackend, SocketAddr>,
    certificates: BTreeMap<ObjectName, (DemoCertificate, DemoKeyPair)>,
    lines: Vec<String>,
}

impl Demo {
    /// Adds what is missing to the snapshot, and the endpoints of the demo backends to `slices`.
    /// Must run inside a `LocalSet`.
    pub(crate) async fn stand_in(
        &mut self,
        snapshot: &mut Snapshot,
        slices: &mut Vec<Arc<EndpointSlice>>,
        settings: &Settings,
    ) -> Result<()> {
        let plan = plan(snapshot, slices, &settings.controller_name);
        for backend in &plan.backends {
            if !self.addresses.contains_key(backend) {
                let address = start(format!("{}:{}", backend.service, backend.port)).await?;
                self.addresses.insert(backend.clone(), address);
            }
        }
        self.make_certificates(&plan)?;
        plan.apply(snapshot, slices, &self.addresses, &self.key_pairs());
        self.lines = plan
            .stand_ins
            .iter()
            .map(|one| format!("{}: {} ({})", one.object, one.what, one.why))
            .collect();
        if !plan.backends.is_empty() {
            self.lines.push(format!("requests to demo backends carry {ROUTE_FIELD}"));
        }
        Ok(())
    }

    /// One line for each stand-in.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    fn make_certificates(&mut self, plan: &DemoPlan) -> Result<()> {
        for wanted in &plan.certificates {
            let made = self.certificates.get(&wanted.secret).is_some_and(|(one, _)| one == wanted);
            if !made {
                let pair = self_signed(wanted)?;
                self.certificates.insert(wanted.secret.clone(), (wanted.clone(), pair));
            }
        }
        Ok(())
    }

    fn key_pairs(&self) -> BTreeMap<ObjectName, DemoKeyPair> {
        let pairs = self.certificates.iter();
        pairs.map(|(name, (_, pair))| (name.clone(), pair.clone())).collect()
    }
}

/// What `serve --demo` would stand in, for commands that only look: backends that nobody starts.
pub(crate) fn stand_in_offline(
    snapshot: &mut Snapshot,
    slices: &mut Vec<Arc<EndpointSlice>>,
    settings: &Settings,
) -> Result<()> {
    let plan = plan(snapshot, slices, &settings.controller_name);
    let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut demo = Demo::default();
    demo.addresses.extend(plan.backends.iter().map(|backend| (backend.clone(), nowhere)));
    demo.make_certificates(&plan)?;
    plan.apply(snapshot, slices, &demo.addresses, &demo.key_pairs());
    Ok(())
}

fn self_signed(wanted: &DemoCertificate) -> Result<DemoKeyPair> {
    let names: Vec<String> = wanted.hostnames.iter().map(ToString::to_string).collect();
    let made = rcgen::generate_simple_self_signed(names)
        .with_context(|| format!("no certificate for Secret {} can be made", wanted.secret))?;
    Ok(DemoKeyPair { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() })
}

/// Lets every rule tell its backends which route and rule it is, so that an echo can show it.
pub(crate) fn name_routes(ir: &mut IrSet) {
    for route in ir.http_routes.values_mut() {
        let name = route.object.to_string();
        for rule in &mut Arc::make_mut(route).rules {
            let rule_name = rule.name.as_deref().map_or(rule.index.to_string(), str::to_owned);
            let value = FieldValue::new(&format!("{name} rule {rule_name}"));
            if let (Action::Forward(_), Some(field), Some(value)) =
                (&rule.action, FieldName::new(ROUTE_FIELD), value)
            {
                let set = vec![(field, value)];
                let modifier = HeaderModifier { set, ..HeaderModifier::default() };
                Arc::make_mut(rule).filters.push(Filter::RequestHeaders(modifier));
            }
        }
    }
}

/// Starts one backend on a free loopback port; `name` is `NAMESPACE/NAME:PORT`.
/// Must run inside a `LocalSet`.
async fn start(name: String) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0))
        .await
        .context("no free port on 127.0.0.1 for a demo backend")?;
    let address = listener.local_addr().context("a demo backend has no address")?;
    let name: Arc<str> = name.into();
    tokio::task::spawn_local(server::serve(listener, move |request| {
        answer(Arc::clone(&name), request)
    }));
    Ok(address)
}

async fn answer(name: Arc<str>, mut request: Request<Incoming>) -> Answer {
    if let Some(delay) = delay(request.uri().query()) {
        tokio::time::sleep(delay.min(DEMO_DELAY_MAX)).await;
    }
    if let Some(answer) = websocket(&mut request) {
        return answer;
    }
    let (head, mut body) = request.into_parts();
    let mut bytes = 0_u64;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return server::text(StatusCode::BAD_REQUEST, "cut short\n") };
        let size = frame.data_ref().map_or(0, Bytes::len);
        bytes = bytes.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
    }
    server::json(&echo(&name, &head, bytes))
}

fn delay(query: Option<&str>) -> Option<Duration> {
    let value = query?.split('&').find_map(|pair| pair.strip_prefix("delay="))?;
    api::duration::parse(value).ok()
}

/// 101, with every message sent back, when the client asked for WebSocket.
fn websocket(request: &mut Request<Incoming>) -> Option<Answer> {
    let wanted = request.headers().get(header::UPGRADE)?;
    if !wanted.as_bytes().eq_ignore_ascii_case(b"websocket") {
        return None;
    }
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY)?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()?;
    let upgrade = hyper::upgrade::on(request);
    tokio::task::spawn_local(async move {
        let Ok(stream) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, None);
        let (mut sink, mut messages) = socket.await.split();
        while let Some(Ok(message)) = messages.next().await {
            let echoed = message.is_text() || message.is_binary();
            if echoed && sink.send(message).await.is_err() {
                return;
            }
        }
    });
    let mut answer = server::text(StatusCode::SWITCHING_PROTOCOLS, Bytes::new());
    let headers = answer.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Some(answer)
}

fn echo(name: &str, head: &Parts, body_bytes: u64) -> Value {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let host = head.headers.get(header::HOST).map(|value| lossy(value.as_bytes()));
    let route = head.headers.get(ROUTE_FIELD).map(|value| lossy(value.as_bytes()));
    json!({
        "backend": name,
        "route": route,
        "method": head.method.as_str(),
        "path": path,
        "host": host,
        "headers": headers(&head.headers),
        "bodyBytes": body_bytes,
    })
}

/// Name to value; a list of values where a name occurs more than once.
fn headers(headers: &HeaderMap) -> Value {
    let mut object = Map::new();
    for name in headers.keys().filter(|name| *name != ROUTE_FIELD) {
        let mut values: Vec<Value> =
            headers.get_all(name).iter().map(|value| lossy(value.as_bytes()).into()).collect();
        let value = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
        object.insert(name.as_str().to_owned(), value);
    }
    Value::Object(object)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
