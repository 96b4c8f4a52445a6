//! The tiny backends of `serve --demo`: each answers JSON that shows what reached it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, HeaderValue, Request, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

use crate::observe::server::{self, Answer};

/// Longest wait that a `delay` in the query may ask for.
const DELAY_MAX: Duration = Duration::from_secs(30);

/// Starts one backend on a free loopback port; `name` is `NAMESPACE/NAME:PORT`.
/// Must run inside a `LocalSet`.
pub(crate) async fn start(name: String) -> Result<SocketAddr> {
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
        tokio::time::sleep(delay.min(DELAY_MAX)).await;
    }
    if let Some(answer) = websocket(&mut request) {
        return answer;
    }
    let (head, body) = request.into_parts();
    match server::read_body(body).await {
        Ok(body) => server::json(&echo(&name, &head, &body)),
        Err(refusal) => refusal,
    }
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

fn echo(name: &str, head: &Parts, body: &Bytes) -> Value {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let host = head.headers.get(header::HOST).map(|value| lossy(value.as_bytes()));
    json!({
        "backend": name,
        "method": head.method.as_str(),
        "path": path,
        "host": host,
        "headers": headers(&head.headers),
        "bodyBytes": body.len(),
    })
}

/// Name to value; a list of values where a name occurs more than once.
fn headers(headers: &HeaderMap) -> Value {
    let mut object = Map::new();
    for name in headers.keys() {
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

/// PLACEHOLDER
#[derive(Default)]
pub(crate) struct Demo {
    lines: Vec<String>,
    slices: Vec<Arc<api::EndpointSlice>>,
}
impl Demo {
    pub(crate) async fn stand_in(
        &mut self,
        _snapshot: &mut translate::Snapshot,
        _settings: &translate::Settings,
    ) -> Result<()> {
        Ok(())
    }
    pub(crate) fn endpoint_slices(&self) -> &[Arc<api::EndpointSlice>] {
        &self.slices
    }
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }
}
pub(crate) fn stand_in_offline(
    _snapshot: &mut translate::Snapshot,
    _settings: &translate::Settings,
) -> Result<()> {
    Ok(())
}
pub(crate) fn name_routes(_ir: &mut ir::IrSet) {}
