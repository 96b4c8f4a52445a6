//! Another service decides whether a request may pass: the gRPC form, asked of a server that this
//! project did not write (tonic). Messages are written here by hand, from the protocol's own
//! definition.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by a panic"
)]

mod common;

use bytes::{Buf as _, Bytes};
use common::{
    Config, Plane,
    grpc::{Raw, serve},
    to, with_filters,
};
use ir::{AuthProtocol, ExternalAuth, FieldName, Filter, Origin, Target};
use parking_lot::Mutex;
use proxy::Reason;
use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use testkit::recorder::Recorder;
use tonic::{Request, Response, Status, body::Body, server::NamedService};

#[derive(Default)]
struct Script {
    asked: Vec<Bytes>,
    answers: VecDeque<Result<Vec<u8>, Status>>,
}

#[derive(Clone, Default)]
struct Authorization(Arc<Mutex<Script>>);

impl NamedService for Authorization {
    const NAME: &'static str = "envoy.service.auth.v3.Authorization";
}

impl tower::Service<http::Request<Body>> for Authorization {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let script = Arc::clone(&self.0);
        Box::pin(async move {
            assert!(request.uri().path().ends_with("/Check"), "{}", request.uri());
            let mut grpc = tonic::server::Grpc::new(Raw);
            let unary = tower::service_fn(move |request: Request<Bytes>| {
                let script = Arc::clone(&script);
                async move {
                    let mut script = script.lock();
                    script.asked.push(request.into_inner());
                    let answer = script.answers.pop_front();
                    let answer = answer.unwrap_or_else(|| Err(Status::internal("no script")));
                    answer.map(|answer| Response::new(Bytes::from(answer)))
                }
            });
            Ok(grpc.unary(unary, request).await)
        })
    }
}

impl Authorization {
    fn start(&self) -> SocketAddr {
        serve(self.clone())
    }

    fn answer(&self, answer: Result<Vec<u8>, Status>) {
        self.0.lock().answers.push_back(answer);
    }

    fn asked(&self) -> Bytes {
        self.0.lock().asked.pop().unwrap()
    }
}

/// A field of a message: its number and what is inside.
fn inside(field: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![field << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend_from_slice(content);
    bytes
}

fn number(field: u8, value: u16) -> Vec<u8> {
    let low = u8::try_from(value & 0x7f).unwrap();
    match u8::try_from(value >> 7).unwrap() {
        0 => vec![field << 3, low],
        high => vec![field << 3, low | 0x80, high],
    }
}

/// `HeaderValueOption`, with `append`.
fn header(field: u8, name: &str, value: &str, append: bool) -> Vec<u8> {
    let pair = [inside(1, name.as_bytes()), inside(2, value.as_bytes())].concat();
    let mut option = inside(1, &pair);
    if append {
        option.extend(inside(2, &number(1, 1)));
    }
    inside(field, &option)
}

/// `QueryParameter` that an `OkHttpResponse` sets.
fn parameter(name: &str, value: &str) -> Vec<u8> {
    inside(7, &[inside(1, name.as_bytes()), inside(2, value.as_bytes())].concat())
}

/// `CheckResponse` with status OK and this `OkHttpResponse`.
fn allowed(ok: &[u8]) -> Vec<u8> {
    [inside(1, &[]), inside(3, ok)].concat()
}

/// The fields inside a message, by number; all of the wire types that a request has.
fn fields(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let varint = |bytes: &mut &[u8]| {
        let (mut value, mut shift) = (0_usize, 0);
        loop {
            let byte = bytes.get_u8();
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    };
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = varint(&mut bytes);
        let field = u8::try_from(key >> 3).unwrap();
        match key & 7 {
            0 => all.push((field, value.to_string().into_bytes())),
            2 => {
                all.push((field, bytes[..value].to_vec()));
                bytes = &bytes[value..];
            }
            other => panic!("wire type {other}"),
        }
    }
    all
}

fn field(bytes: &[u8], path: &[u8]) -> Vec<u8> {
    path.iter().fold(bytes.to_vec(), |bytes, number| {
        let found = fields(&bytes).into_iter().find(|(field, _)| field == number);
        found.unwrap_or_else(|| panic!("no field {number} of {path:?}")).1
    })
}

fn headers(http: &[u8]) -> BTreeMap<String, String> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    fields(http)
        .into_iter()
        .filter(|(number, _)| *number == 3)
        .map(|(_, entry)| (text(field(&entry, &[1])), text(field(&entry, &[2]))))
        .collect()
}

/// Where `AttributeContext.HttpRequest` is in a `CheckRequest`.
const HTTP: [u8; 3] = [1, 4, 2];

fn guarded(allowed_headers: &[&str], body_max: u32) -> (Plane, Recorder, Authorization) {
    let (plane, app, service) = (Plane::start(), Recorder::named("app"), Authorization::default());
    let filter = ExternalAuth {
        origin: Origin::new(Arc::new(ir::ObjectRef::new("", "", "", "")), ""),
        target: Target::Cluster(common::cluster_http2("auth")),
        protocol: AuthProtocol::Grpc,
        allowed_headers: allowed_headers.iter().map(|n| FieldName::new(n).unwrap()).collect(),
        body_max,
    };
    let mut config = Config::http(plane.number());
    config.service("app", &[app.addr()]);
    config.service("auth", &[service.start()]);
    config.route("all", vec![with_filters(to("/", "app"), vec![Filter::ExternalAuth(filter)])]);
    plane.apply(&mut config);
    (plane, app, service)
}

#[test]
fn the_service_sees_the_request_and_its_edits_are_made() {
    let (plane, app, service) = guarded(&[], 16);
    let ok = [
        header(2, "x-user", "ann", false),
        header(2, "x-list", "two", true),
        header(2, "Host", "evil.example", false),
        inside(5, b"x-secret"),
        inside(5, b"host"),
        header(6, "x-checked", "yes", false),
    ];
    service.answer(Ok(allowed(&ok.concat())));
    let mut client = plane.client();
    client.send(
        "POST /a/./b?c=d HTTP/1.1\r\nhost: shop.example\r\nX-User: forged\r\nx-list: one\r\n\
         x-secret: 1\r\nx-forwarded-for: 6.6.6.6\r\nconnection: keep-alive\r\n\
         content-length: 4\r\n\r\nbody",
    );
    let answer = client.response("POST");
    assert_eq!((answer.status, answer.field("x-checked")), (200, Some("yes")));
    let asked = service.asked();
    let http = field(&asked, &HTTP);
    let text = |number| String::from_utf8(field(&http, &[number])).unwrap();
    assert_eq!(text(2), "POST");
    assert_eq!(text(4), "/a/b?c=d");
    assert_eq!(text(5), "shop.example");
    assert_eq!((text(6).as_str(), text(10).as_str()), ("http", "HTTP/1.1"));
    assert_eq!((text(9).as_str(), text(11).as_str()), ("4", "body"));
    let shown = headers(&http);
    assert_eq!(shown["x-user"], "forged");
    assert_eq!(shown["x-forwarded-for"], "127.0.0.1");
    assert_eq!(shown[":path"], "/a/b?c=d");
    assert!(!shown.contains_key("connection") && !shown.contains_key("content-length"));
    assert_eq!(field(&asked, &[1, 1, 1, 1, 2]), b"127.0.0.1", "the client's address");
    let served = app.wait_for(1).remove(0);
    assert_eq!(served.head.all("x-user").collect::<Vec<_>>(), ["ann"]);
    assert_eq!(served.head.all("x-list").collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!((served.field("host"), served.field("x-secret")), (Some("shop.example"), None));
    assert_eq!(served.text(), "body");
}

#[test]
fn the_service_edits_the_query_and_the_backend_gets_what_is_left() {
    let (plane, app, service) = guarded(&[], 0);
    let edits = [parameter("b", "new"), parameter("d", "%20"), inside(8, b"c")].concat();
    service.answer(Ok(allowed(&edits)));
    assert_eq!(plane.get("shop.example", "/p?a=1&b=2&c=3&b=4").status, 200);
    service.answer(Ok(allowed(&inside(8, b"only"))));
    assert_eq!(plane.get("shop.example", "/p?only=1").status, 200);
    service.answer(Ok(allowed(&parameter("user", "ann"))));
    assert_eq!(plane.get("shop.example", "/p").status, 200);
    let served = app.wait_for(3);
    let targets: Vec<_> = served.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/p?a=1&b=new&d=%20", "/p", "/p?user=ann"]);
    assert_eq!(field(&service.asked(), &[1, 4, 2, 4]), b"/p", "it sees what the client sent");
}

#[test]
fn the_service_sees_no_other_header_than_those_allowed() {
    let (plane, _app, service) = guarded(&["x-user"], 0);
    service.answer(Ok(allowed(&[])));
    let mut client = plane.client();
    client.send(
        "POST / HTTP/1.1\r\nhost: a\r\nx-user: ann\r\ncookie: s\r\ncontent-length: 1\r\n\r\nx",
    );
    assert_eq!(client.response("POST").status, 200);
    let http = field(&service.asked(), &HTTP);
    assert_eq!(headers(&http).into_iter().collect::<Vec<_>>(), [("x-user".into(), "ann".into())]);
    assert!(!fields(&http).iter().any(|(number, _)| [9, 11, 12].contains(number)), "no body");
}

#[test]
fn a_refusal_is_passed_back_as_the_service_said_it() {
    let (plane, app, service) = guarded(&[], 0);
    let denied = [
        inside(1, &number(1, 401)),
        header(2, "www-authenticate", "Basic", false),
        inside(3, b"who are you?"),
    ];
    service.answer(Ok([inside(1, &number(1, 16)), inside(2, &denied.concat())].concat()));
    service.answer(Ok(inside(1, &number(1, 7))));
    let mut client = plane.client();
    let answer = client.get("shop.example", "/");
    assert_eq!((answer.status, answer.text().as_str()), (401, "who are you?"));
    assert_eq!(answer.field("www-authenticate"), Some("Basic"));
    assert_eq!(client.get("shop.example", "/").status, 403);
    assert!(app.heads().is_empty());
    assert_eq!(plane.reason(Reason::AuthDenied), 2);
}

#[test]
fn whatever_is_no_clear_answer_refuses_the_request() {
    let (plane, app, service) = guarded(&[], 0);
    let answers = [
        Err(Status::unavailable("restarting")),
        Ok(Vec::new()),
        Ok(vec![0xff]),
        Ok(allowed(&header(2, "bad name", "x", false))),
        Ok(allowed(&header(2, "x-a", "a\nb", false))),
        Ok(allowed(&parameter("q", "not # written"))),
        Ok([inside(1, &[]), inside(3, &[9])].concat()),
    ];
    let count = u64::try_from(answers.len()).unwrap();
    for (position, answer) in answers.into_iter().enumerate() {
        service.answer(answer);
        assert_eq!(plane.get("shop.example", "/").status, 503, "answer {position}");
    }
    // Status OK beside a refusal is a refusal.
    service.answer(Ok([inside(1, &[]), inside(2, &[])].concat()));
    assert_eq!(plane.get("shop.example", "/").status, 403);
    assert!(app.heads().is_empty());
    assert_eq!(plane.reason(Reason::AuthFailed), count);
}

#[test]
fn a_service_that_speaks_no_http2_refuses_the_request() {
    let (plane, app, web) = (Plane::start(), Recorder::named("app"), Recorder::named("web"));
    let filter = ExternalAuth {
        origin: Origin::new(Arc::new(ir::ObjectRef::new("", "", "", "")), ""),
        target: Target::Cluster(common::cluster("auth")),
        protocol: AuthProtocol::Grpc,
        allowed_headers: Vec::new(),
        body_max: 0,
    };
    let mut config = Config::http(plane.number());
    config.service("app", &[app.addr()]);
    config.service("auth", &[web.addr()]);
    config.route("all", vec![with_filters(to("/", "app"), vec![Filter::ExternalAuth(filter)])]);
    plane.apply(&mut config);
    assert_eq!(plane.get("shop.example", "/").status, 503);
    assert!(app.heads().is_empty());
}
