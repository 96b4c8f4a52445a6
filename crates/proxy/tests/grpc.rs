//! gRPC with a client and a server that this project did not write (tonic).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use bytes::Bytes;
use common::{Config, Plane, grpc::Raw, rule, to_http2};
use http::uri::PathAndQuery;
use ir::{Action, PathMatch};
use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use testkit::h2::{Client, Frame, Hold, RawH2, Recorder, Reply, kind};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{
    Code, Request, Response, Status, Streaming,
    body::Body,
    server::NamedService,
    transport::{Channel, Endpoint},
};

const HOST: &str = "grpc.example";

/// `Unary` and `Chat` echo, `Fail` fails, `Hang` never answers.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl tower::Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(Raw);
            let path = request.uri().path().to_owned();
            if path.ends_with("/Chat") {
                let chat = tower::service_fn(|request: Request<Streaming<Bytes>>| async move {
                    Ok::<_, Status>(Response::new(request.into_inner()))
                });
                return Ok(grpc.streaming(chat, request).await);
            }
            let unary = tower::service_fn(move |request: Request<Bytes>| {
                let path = path.clone();
                async move { one(&path, request).await }
            });
            Ok(grpc.unary(unary, request).await)
        })
    }
}

async fn one(path: &str, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
    match path.rsplit_once('/').map(|(_, method)| method) {
        Some("Fail") => Err(Status::failed_precondition("not now")),
        Some("Hang") => std::future::pending().await,
        _ => {
            let host = request.metadata().get("x-seen").cloned();
            let mut response = Response::new(request.into_inner());
            if let Some(host) = host {
                response.metadata_mut().insert("x-seen-back", host);
            }
            Ok(response)
        }
    }
}

/// Only `test.Echo` has a rule; `test.Gone` has no endpoint, `test.Broken` no backend.
fn plane() -> Plane {
    let plane = Plane::start();
    let mut config = Config::http(plane.number());
    config.service("echo", &[common::grpc::serve(Echo)]);
    config.service("gone", &[]);
    let mut hurried = to_http2("/", "echo");
    hurried.matches[0].path = PathMatch::Exact("/test.Echo/Hang".into());
    hurried.timeouts.request = Some(Duration::from_millis(100));
    let mut exact = to_http2("/", "echo");
    exact.matches[0].path = PathMatch::Exact("/test.Echo/Unary".into());
    config.route(
        "all",
        vec![
            exact,
            to_http2("/test.Echo", "echo"),
            to_http2("/test.Gone", "gone"),
            rule("/test.Broken", Action::Fail(ir::FailReason::InvalidBackend)),
            hurried,
        ],
    );
    plane.apply(&mut config);
    plane
}

async fn client(plane: &Plane) -> tonic::client::Grpc<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", plane.address())).unwrap();
    let endpoint = endpoint.origin(format!("http://{HOST}").parse().unwrap());
    tonic::client::Grpc::new(endpoint.connect().await.unwrap())
}

async fn unary(
    client: &mut tonic::client::Grpc<Channel>,
    path: &'static str,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, Status> {
    client.ready().await.unwrap();
    client.unary(request, PathAndQuery::from_static(path), Raw).await
}

#[test]
fn a_unary_call_passes_with_its_metadata() {
    let plane = plane();
    plane.run(async {
        let mut client = client(&plane).await;
        for size in [0, 5, 100_000] {
            let mut request = Request::new(Bytes::from(vec![7; size]));
            request.metadata_mut().insert("x-seen", "yes".parse().unwrap());
            let response = unary(&mut client, "/test.Echo/Unary", request).await.unwrap();
            assert_eq!(response.metadata().get("x-seen-back").unwrap(), "yes");
            assert_eq!(response.into_inner().len(), size);
        }
    });
}

#[test]
fn a_status_of_the_server_arrives_as_it_is() {
    let plane = plane();
    let status = plane.run(async {
        let mut client = client(&plane).await;
        unary(&mut client, "/test.Echo/Fail", Request::new(Bytes::new())).await.unwrap_err()
    });
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "not now"));
}

#[test]
fn streams_run_in_both_directions_at_once() {
    let plane = plane();
    plane.run(async {
        let mut client = client(&plane).await;
        client.ready().await.unwrap();
        let (sender, receiver) = mpsc::channel(1);
        let request = Request::new(ReceiverStream::new(receiver));
        let path = PathAndQuery::from_static("/test.Echo/Chat");
        let call = client.streaming(request, path, Raw);
        // The answer's head waits for nothing but the call.
        let mut answers = call.await.unwrap().into_inner();
        for number in 0..20u8 {
            sender.send(Bytes::from(vec![number; 1000])).await.unwrap();
            let answer = answers.next().await.unwrap().unwrap();
            assert_eq!(answer, vec![number; 1000]);
        }
        drop(sender);
        assert!(answers.next().await.is_none());
        assert!(answers.trailers().await.unwrap().is_some());
    });
}

/// A backend that sends one message of a call and then `last`, and closes.
fn cut_by(last: Vec<Frame>) -> SocketAddr {
    let listener = testkit::ports::listener();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut backend = RawH2::accept(&listener);
        let stream = backend.find(|frame| frame.kind == kind::HEADERS).unwrap().stream;
        let head = [(":status", "200"), ("content-type", "application/grpc")];
        backend.send(&Frame::headers(stream, &head, false));
        backend.send(&Frame::data(stream, [0, 0, 0, 0, 3, b'o', b'n', b'e'], false));
        for frame in last {
            backend.send(&Frame { stream, ..frame });
        }
        // Closed at once it could be a reset that destroys what was sent.
        backend.half_close();
        backend.find(|_| false);
    });
    address
}

#[test]
fn a_call_that_the_backend_cuts_in_the_middle_has_a_status() {
    let reset = |code: u32| vec![Frame::new(kind::RST_STREAM, 0, 0, code.to_be_bytes())];
    for last in [reset(2), reset(8), vec![]] {
        let plane = Plane::start();
        let mut config = Config::http(plane.number());
        config.service("cut", &[cut_by(last.clone())]);
        config.route("all", vec![to_http2("/", "cut")]);
        plane.apply(&mut config);
        plane.run(async {
            let mut client = client(&plane).await;
            client.ready().await.unwrap();
            let path = PathAndQuery::from_static("/test.Echo/Chat");
            let request = Request::new(tokio_stream::once(Bytes::from_static(b"hello")));
            let mut answers = client.streaming(request, path, Raw).await.unwrap().into_inner();
            assert_eq!(answers.next().await.unwrap().unwrap(), "one");
            let status = answers.next().await.unwrap().unwrap_err();
            assert_eq!(status.code(), Code::Unavailable, "{last:?}: {status:?}");
        });
        assert_eq!(plane.reason(proxy::Reason::ResponseAborted), 1);
    }
}

#[test]
fn what_the_gateway_refuses_has_a_grpc_status() {
    let plane = plane();
    plane.run(async {
        let mut client = client(&plane).await;
        for (path, code) in [
            ("/test.Other/Unary", Code::Unimplemented),
            ("/test.Gone/Unary", Code::Unavailable),
            ("/test.Broken/Unary", Code::Unavailable),
        ] {
            let status = unary(&mut client, path, Request::new(Bytes::new())).await.unwrap_err();
            assert_eq!(status.code(), code, "{path}: {status}");
        }
    });
}

#[test]
fn the_rules_timeout_is_a_deadline() {
    let plane = plane();
    let status = plane.run(async {
        let mut client = client(&plane).await;
        unary(&mut client, "/test.Echo/Hang", Request::new(Bytes::new())).await.unwrap_err()
    });
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.message(), "request_timeout");
}

#[test]
fn the_clients_timeout_is_a_deadline_here_too() {
    let plane = Plane::start();
    let backend = Recorder::start();
    let hold = Hold::default();
    backend.always(Reply::status(200, "").held(&hold));
    let mut config = Config::http(plane.number());
    config.service("held", &[backend.addr()]);
    config.route("all", vec![to_http2("/", "held")]);
    plane.apply(&mut config);
    let answer = plane.run(async {
        // Not tonic's client, nor its server: both give up by themselves.
        let client = Client::connect(plane.address()).await;
        let request = client
            .request("POST", HOST, "/test.Echo/Hang")
            .header("content-type", "application/grpc+proto")
            .header("te", "trailers")
            .header("grpc-timeout", "100m");
        client.send(request, &[0; 5], &[]).await.unwrap()
    });
    assert_eq!((answer.status, answer.ended_at_head), (200, true));
    assert_eq!(answer.field("grpc-status"), Some("4"));
    assert_eq!(answer.field("content-type"), Some("application/grpc"));
}

#[test]
fn other_clients_get_http_statuses() {
    let plane = plane();
    let answer = plane.run(async {
        let client = Client::connect(plane.address()).await;
        let web = client
            .request("POST", HOST, "/test.Other/Unary")
            .header("content-type", "application/grpc-web");
        client.send(web, &[0; 5], &[]).await.unwrap()
    });
    assert_eq!(answer.status, 404);
}
