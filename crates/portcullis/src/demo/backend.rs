//! Tiny backends: HTTP/1.1, HTTP/2 and gRPC on one port, the same within TLS, and UDP.
//!
//! A request is answered with JSON that shows what reached the backend, a gRPC call with its own
//! messages, a datagram with itself.

use std::{
    cell::RefCell, collections::VecDeque, convert::Infallible, net::SocketAddr, rc::Rc, sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header, request::Parts,
};
use http_body_util::{BodyExt, BodyStream, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, rt::Executor, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use rustls::ServerConfig;
use serde_json::{Map, Value, json};
use source::demo::{DemoBackend, Speaks};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UdpSocket},
};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};

use super::{ROUTE_FIELD, authority::Authority};
use crate::{
    limits::{ADMIN_HEAD_TIMEOUT, DEMO_ATTEMPTS_MAX, DEMO_DATAGRAM_MAX, DEMO_DELAY_MAX},
    observe::server::{self, ACCEPT_BACKOFF},
};

/// Tells clients of gRPC, whose answer is not JSON, which backend it was.
const BACKEND_FIELD: HeaderName = HeaderName::from_static("x-portcullis-backend");

type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

/// Starts backends; they run until the process ends.
#[derive(Default)]
pub(super) struct Backends {
    attempts: Rc<Attempts>,
}

impl Backends {
    /// Starts one backend on free loopback ports and tells which. Must run inside a `LocalSet`.
    pub(super) async fn start(
        &self,
        wanted: &DemoBackend,
        authority: &Authority,
    ) -> Result<Vec<SocketAddr>> {
        let mut addresses = Vec::new();
        for _ in 0..wanted.endpoints {
            addresses.push(self.start_one(wanted, authority).await?);
        }
        Ok(addresses)
    }

    async fn start_one(&self, wanted: &DemoBackend, authority: &Authority) -> Result<SocketAddr> {
        let why = "no free port on 127.0.0.1 for a demo backend";
        if wanted.speaks == Speaks::Udp {
            let socket = UdpSocket::bind(("127.0.0.1", 0)).await.context(why)?;
            let address = socket.local_addr().context("a demo backend has no address")?;
            tokio::task::spawn_local(echo_datagrams(socket));
            return Ok(address);
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.context(why)?;
        let address = listener.local_addr().context("a demo backend has no address")?;
        let tls = match &wanted.speaks {
            Speaks::Tls(names) => Some(authority.server(names)?),
            Speaks::Http | Speaks::Udp => None,
        };
        let backend = Rc::new(Backend {
            name: format!("{}:{}", wanted.owner.name(), wanted.port),
            address,
            attempts: Rc::clone(&self.attempts),
        });
        tokio::task::spawn_local(serve(listener, tls, backend));
        Ok(address)
    }
}

/// What one endpoint tells of itself.
struct Backend {
    /// `NAMESPACE/NAME:PORT`.
    name: String,
    address: SocketAddr,
    attempts: Rc<Attempts>,
}

/// How often each request came, by its id; the oldest are forgotten.
#[derive(Default)]
struct Attempts(RefCell<VecDeque<(HeaderValue, u32)>>);

impl Attempts {
    /// Counts an attempt of the request with this id.
    fn count(&self, id: &HeaderValue) -> u32 {
        let mut known = self.0.borrow_mut();
        if let Some((_, count)) = known.iter_mut().find(|(known, _)| known == id) {
            *count = count.saturating_add(1);
            return *count;
        }
        known.push_back((id.clone(), 1));
        if known.len() > DEMO_ATTEMPTS_MAX {
            known.pop_front();
        }
        1
    }
}

async fn echo_datagrams(socket: UdpSocket) {
    let mut buffer = vec![0; DEMO_DATAGRAM_MAX];
    loop {
        // An error is one that an earlier answer met on its way: the next datagram is none of it.
        let Ok((size, peer)) = socket.recv_from(&mut buffer).await else { continue };
        let Some(datagram) = buffer.get(..size) else { continue };
        if let Err(error) = socket.send_to(datagram, peer).await {
            tracing::debug!(%error, "a client of a demo port went away");
        }
    }
}

async fn serve(listener: TcpListener, tls: Option<Arc<ServerConfig>>, backend: Rc<Backend>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_BACKOFF).await;
            continue;
        };
        let (tls, backend) = (tls.clone(), Rc::clone(&backend));
        tokio::task::spawn_local(async move {
            let Some(config) = tls else { return connection(stream, None, backend).await };
            let Ok(stream) = TlsAcceptor::from(config).accept(stream).await else { return };
            let name = stream.get_ref().1.server_name().map(str::to_owned);
            connection(stream, Some(name.unwrap_or_default()), backend).await;
        });
    }
}

/// Runs what HTTP/2 needs on this thread.
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output = ()> + 'static> Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}

/// `server_name` is that of the TLS handshake, if there was one.
async fn connection<S>(stream: S, server_name: Option<String>, backend: Rc<Backend>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let server_name: Option<Rc<str>> = server_name.map(Into::into);
    let service = service_fn(move |request| {
        let (backend, server_name) = (Rc::clone(&backend), server_name.clone());
        async move { Ok::<_, Infallible>(answer(&backend, server_name.as_deref(), request).await) }
    });
    let mut builder = auto::Builder::new(OnThisThread);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(ADMIN_HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, "a client of a demo port went away");
    }
}

async fn answer(
    backend: &Backend,
    server_name: Option<&str>,
    mut request: Request<Incoming>,
) -> Answer {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    if content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
        return call(backend, request);
    }
    let attempt = request.headers().get("x-request-id").map(|id| backend.attempts.count(id));
    let query = request.uri().query().unwrap_or_default().to_owned();
    if let Some(delay) = parameter(&query, "delay").and_then(|text| api::duration::parse(text).ok())
    {
        tokio::time::sleep(Duration::min(delay, DEMO_DELAY_MAX)).await;
    }
    if let Some(answer) = websocket(&mut request) {
        return whole(answer);
    }
    let (head, mut body) = request.into_parts();
    let mut bytes = 0_u64;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            return whole(server::text(StatusCode::BAD_REQUEST, "cut short\n"));
        };
        let size = frame.data_ref().map_or(0, Bytes::len);
        bytes = bytes.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
    }
    let failures = parameter(&query, "fail").and_then(|text| text.parse().ok()).unwrap_or(0);
    if attempt.unwrap_or(1) <= failures {
        let text = format!("attempt {} fails, as it was asked to\n", attempt.unwrap_or(1));
        return whole(server::text(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    let status =
        parameter(&query, "status").and_then(|text| StatusCode::from_bytes(text.as_bytes()).ok());
    if let Some(status) =
        status.filter(|status| status.is_client_error() || status.is_server_error())
    {
        return whole(server::text(status, format!("{}, as it was asked to\n", status.as_str())));
    }
    let mut shown = echo(backend, &head, bytes);
    if let Some(object) = shown.as_object_mut() {
        object.extend(attempt.map(|attempt| ("attempt".to_owned(), attempt.into())));
        object.extend(server_name.map(|name| ("serverName".to_owned(), name.into())));
    }
    whole(server::json(&shown))
}

fn whole(answer: server::Answer) -> Answer {
    answer.map(|body| body.map_err(|never| match never {}).boxed_unsync())
}

/// Answers a gRPC call with the messages that it brings, as they come.
fn call(backend: &Backend, request: Request<Incoming>) -> Answer {
    let route = request.headers().get(ROUTE_FIELD).cloned();
    let status = HeaderMap::from_iter([(
        HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    // A stream, since a body of known length would end before its trailers.
    let messages = StreamBody::new(BodyStream::new(request.into_body()));
    let body = messages.with_trailers(async { Some(Ok(status)) });
    let mut answer = Response::new(body.boxed_unsync());
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if let Ok(name) = HeaderValue::from_str(&backend.name) {
        headers.insert(BACKEND_FIELD, name);
    }
    if let Some(route) = route {
        headers.insert(HeaderName::from_static(ROUTE_FIELD), route);
    }
    answer
}

fn parameter<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// 101, with every message sent back, when the client asked for WebSocket.
fn websocket(request: &mut Request<Incoming>) -> Option<server::Answer> {
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

fn echo(backend: &Backend, head: &Parts, body_bytes: u64) -> Value {
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let host = head.headers.get(header::HOST).map(|value| lossy(value.as_bytes()));
    let host = host.or_else(|| head.uri.authority().map(ToString::to_string));
    let route = head.headers.get(ROUTE_FIELD).map(|value| lossy(value.as_bytes()));
    json!({
        "backend": backend.name,
        "endpoint": backend.address.to_string(),
        "route": route,
        "protocol": format!("{:?}", head.version),
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
