//! WebSocket over HTTP/2 (RFC 8441), on either side of the proxy, between peers of the library
//! `tungstenite`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use bytes::Bytes;
use common::{Config, Plane, listening, secured, tls_policy, to_cluster, to_http2};
use futures_util::{SinkExt as _, StreamExt as _};
use h2::{ext::Protocol, server::SendResponse};
use http::{Request, Response};
use ir::BackendProtocol;
use proxy::Reason;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use testkit::{
    certs::{Authority, server_config, with_alpn},
    h2::{Client, Duplex},
    recorder::Recorder,
    tls_front::TlsFront,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, client::IntoClientRequest as _, handshake::server, protocol::Role,
    },
};

const HOST: &str = "a.example";

/// A backend of HTTP/2 that answers each message with itself.
struct Backend {
    address: SocketAddr,
    /// Requests that were no WebSocket.
    others: Arc<AtomicUsize>,
}

impl Backend {
    /// `extended` says in its SETTINGS that it takes extended CONNECT.
    fn start(extended: bool) -> Self {
        let others = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&others);
        let address = listening(move |listener| async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(serve(tcp, extended, Arc::clone(&counted)));
            }
        });
        Self { address, others }
    }
}

async fn serve(tcp: TcpStream, extended: bool, others: Arc<AtomicUsize>) {
    let mut builder = h2::server::Builder::new();
    if extended {
        builder.enable_connect_protocol();
    }
    let mut connection = builder.handshake::<_, Bytes>(tcp).await.unwrap();
    while let Some(Ok((request, answer))) = connection.accept().await {
        let protocol = request.extensions().get::<Protocol>();
        if protocol.is_some_and(|protocol| protocol.as_str() == "websocket") {
            tokio::spawn(echo(request, answer));
        } else {
            others.fetch_add(1, Ordering::Relaxed);
            let mut answer = answer;
            answer.send_response(Response::new(()), true).unwrap();
        }
    }
}

/// A WebSocket on `/chat`, 403 elsewhere.
async fn echo(request: Request<h2::RecvStream>, mut answer: SendResponse<Bytes>) {
    assert_eq!(request.method(), "CONNECT");
    assert!(!request.headers().contains_key("sec-websocket-key"));
    assert_eq!(request.headers()["sec-websocket-version"], "13");
    if request.uri().path() != "/chat" {
        answer.send_response(Response::builder().status(403).body(()).unwrap(), true).unwrap();
        return;
    }
    let response = Response::builder().header("sec-websocket-protocol", "echo");
    let send = answer.send_response(response.body(()).unwrap(), false).unwrap();
    let stream = Duplex::new(send, request.into_body());
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            socket.send(message).await.unwrap();
        }
    }
    socket.get_mut().shutdown().await.unwrap();
}

/// Opens a WebSocket of HTTP/1.1.
async fn open(plane: &Plane, path: &str) -> Result<WebSocketStream<TcpStream>, Error> {
    let mut request = format!("ws://{HOST}{path}").into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", "echo".parse().unwrap());
    let tcp = TcpStream::connect(plane.address()).await?;
    Ok(tokio_tungstenite::client_async(request, tcp).await?.0)
}

/// Opens a WebSocket of HTTP/2; the status when there is none.
async fn open_http2(client: &Client, path: &str) -> Result<WebSocketStream<Duplex>, u16> {
    let request = client
        .request("CONNECT", HOST, path)
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "echo")
        .extension(Protocol::from_static("websocket"));
    let (response, send) = client.open(request, false).await.unwrap();
    let response = response.await.unwrap();
    if response.status() != 200 {
        return Err(response.status().as_u16());
    }
    assert_eq!(response.headers()["sec-websocket-protocol"], "echo");
    let stream = Duplex::new(send, response.into_body());
    Ok(WebSocketStream::from_raw_socket(stream, Role::Client, None).await)
}

/// Sends messages of all sizes and gets them back, then says goodbye.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>) {
    for size in [0, 5, 70_000, 300_000] {
        let message = Message::binary(vec![7; size]);
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
    let last = socket.next().await.unwrap().unwrap();
    assert!(matches!(last, Message::Close(_)), "{last:?}");
}

fn to(backend: &Backend) -> Plane {
    let plane = Plane::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[backend.address]);
    config.route("all", vec![to_http2("/", "app")]);
    plane.apply(&mut config);
    plane
}

/// A client's connection whose peer said that it takes extended CONNECT.
async fn connect(plane: &Plane) -> Client {
    let client = Client::connect(plane.address()).await;
    // An answer comes behind the SETTINGS.
    let odd = client.request("OPTIONS", HOST, "/").header("host", "other.example");
    assert_eq!(client.send(odd, b"", &[]).await.unwrap().status, 400);
    client
}

#[test]
fn an_upgrade_reaches_a_backend_of_http2_as_an_extended_connect() {
    let backend = Backend::start(true);
    let plane = to(&backend);
    plane.run(async {
        for _ in 0..2 {
            converse(open(&plane, "/chat").await.unwrap()).await;
        }
    });
    assert_eq!(backend.others.load(Ordering::Relaxed), 0);
    assert_eq!(plane.total("tunnels"), 2);
    assert_eq!(plane.total("upstream_connects"), 1, "streams share a connection");
}

#[test]
fn an_extended_connect_reaches_a_backend_of_http2_as_one() {
    let backend = Backend::start(true);
    let plane = to(&backend);
    plane.run(async {
        let client = connect(&plane).await;
        let sockets = [open_http2(&client, "/chat").await, open_http2(&client, "/chat").await];
        for socket in sockets {
            converse(socket.unwrap()).await;
        }
    });
    assert_eq!(plane.total("tunnels"), 2);
}

/// A backend of HTTP/1.1 that answers each message with itself.
fn http1_backend() -> SocketAddr {
    listening(|listener| async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_hdr_async(tcp, agree).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    if message.is_binary() {
                        socket.send(message).await.unwrap();
                    }
                }
            });
        }
    })
}

#[expect(clippy::result_large_err, reason = "the signature is the library's")]
fn agree(
    _: &server::Request,
    mut response: server::Response,
) -> Result<server::Response, server::ErrorResponse> {
    response.headers_mut().insert("sec-websocket-protocol", "echo".parse().unwrap());
    Ok(response)
}

#[test]
fn an_extended_connect_reaches_a_backend_of_http1_as_an_upgrade() {
    let plane = Plane::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[http1_backend()]);
    config.route("all", vec![common::to("/", "app")]);
    plane.apply(&mut config);
    plane.run(async {
        let client = connect(&plane).await;
        converse(open_http2(&client, "/chat").await.unwrap()).await;
        converse(open(&plane, "/chat").await.unwrap()).await;
    });
}

#[test]
fn a_refusal_of_the_backend_is_passed_on() {
    let backend = Backend::start(true);
    let plane = to(&backend);
    plane.run(async {
        let Err(Error::Http(refused)) = open(&plane, "/other").await else { panic!("no refusal") };
        assert_eq!(refused.status(), 403);
        let client = connect(&plane).await;
        assert_eq!(open_http2(&client, "/other").await.err(), Some(403));
        // The streams ended, and not more.
        converse(open_http2(&client, "/chat").await.unwrap()).await;
    });
}

#[test]
fn a_backend_of_http2_without_extended_connect_gets_no_websocket() {
    let backend = Backend::start(false);
    let plane = to(&backend);
    plane.run(async {
        let Err(Error::Http(refused)) = open(&plane, "/chat").await else { panic!("no refusal") };
        assert_eq!(refused.status(), 502);
        let client = connect(&plane).await;
        assert_eq!(open_http2(&client, "/chat").await.err(), Some(502));
        assert_eq!(client.get(HOST, "/").await.unwrap().status, 200);
    });
    assert_eq!(plane.reason(Reason::WebsocketUnsupported), 2);
    assert_eq!(backend.others.load(Ordering::Relaxed), 1, "the plain request");
}

/// A backend behind TLS that agrees on HTTP/2 where it is offered, and else takes HTTP/1.1.
fn negotiated(backend: &Backend) -> (Plane, Recorder, TlsFront) {
    let authority = Authority::new("backends");
    let recorder = Recorder::start();
    let config = server_config(&authority.issue(&["shop.example"]), None);
    let config = with_alpn(&config, &["h2", "http/1.1"]);
    let front = TlsFront::by_protocol(recorder.addr(), backend.address, config);
    let plane = Plane::start();
    let mut config = Config::http(plane.number());
    let bundle = config.add_bundle(&authority.cert_pem());
    let policy = tls_policy("shop.example", vec![bundle]);
    config.service("app", &[front.addr()]);
    let cluster = secured("app", BackendProtocol::Negotiated, policy);
    config.route("all", vec![to_cluster("/", cluster)]);
    plane.apply(&mut config);
    (plane, recorder, front)
}

#[test]
fn a_backend_that_negotiates_gets_websockets_over_http2_where_it_takes_them() {
    let backend = Backend::start(true);
    let (plane, recorder, front) = negotiated(&backend);
    plane.run(async { converse(open(&plane, "/chat").await.unwrap()).await });
    assert_eq!(front.shown()[0].alpn.as_deref(), Some(&b"h2"[..]));
    assert_eq!(recorder.connections(), 0);
}

#[test]
fn a_backend_that_negotiates_gets_other_websockets_over_http1() {
    let backend = Backend::start(false);
    let (plane, recorder, front) = negotiated(&backend);
    recorder.always(testkit::recorder::Reply::upgrade_echo("websocket"));
    for _ in 0..2 {
        let mut client = plane.client();
        client.send(
            "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        );
        assert!(client.read_head().unwrap().start.starts_with("HTTP/1.1 101"));
        client.send("ping");
        assert_eq!(client.read_exact(4), b"ping");
    }
    let agreed: Vec<_> = front.shown().into_iter().map(|shown| shown.alpn.unwrap()).collect();
    assert_eq!(agreed, [&b"h2"[..], b"http/1.1", b"http/1.1"]);
    assert_eq!(plane.get(HOST, "/").status, 200, "what is no WebSocket still goes in HTTP/2");
    assert_eq!(backend.others.load(Ordering::Relaxed), 1);
}

#[test]
fn an_upgrade_to_something_else_goes_to_http2_as_a_plain_request() {
    let backend = Backend::start(true);
    let plane = to(&backend);
    let mut client = plane.client();
    client.send("GET /x HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n");
    assert_eq!(client.response("GET").status, 200);
    assert_eq!(backend.others.load(Ordering::Relaxed), 1);
}
