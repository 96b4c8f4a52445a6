//! Backends behind TLS that choose between HTTP/1.1 and HTTP/2 by ALPN (RFC 7301).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, secured, tls_policy, to_cluster};
use ir::BackendProtocol;
use proxy::Reason;
use testkit::{
    certs::{Authority, server_config, with_alpn},
    h2::{self, Client},
    recorder::Recorder,
    tls_front::TlsFront,
};

const HOST: &str = "a.example";

/// A data plane whose backend has one endpoint for each list of protocols.
struct Fixture {
    plane: Plane,
    http1: Recorder,
    http2: h2::Recorder,
    fronts: Vec<TlsFront>,
}

fn fixture(protocol: BackendProtocol, endpoints: &[&[&str]]) -> Fixture {
    let authority = Authority::new("backends");
    let (http1, http2) = (Recorder::start(), h2::Recorder::start());
    let settings = server_config(&authority.issue(&["shop.example"]), None);
    let front = |agreed: &&[&str]| {
        TlsFront::by_protocol(http1.addr(), http2.addr(), with_alpn(&settings, agreed))
    };
    let fronts: Vec<_> = endpoints.iter().map(front).collect();
    let plane = Plane::start();
    let mut config = Config::http(plane.number());
    let policy = tls_policy("shop.example", vec![config.add_bundle(&authority.cert_pem())]);
    let addresses: Vec<_> = fronts.iter().map(TlsFront::addr).collect();
    config.service("app", &addresses);
    config.route("all", vec![to_cluster("/", secured("app", protocol, policy))]);
    plane.apply(&mut config);
    Fixture { plane, http1, http2, fronts }
}

/// A request of each protocol, with a body.
fn ask(plane: &Plane) {
    let mut client = plane.client();
    client.send(format!("POST / HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 4\r\n\r\nbody"));
    assert_eq!(client.response("POST").json()["body"], "body");
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        let request = client.request("POST", HOST, "/");
        let answer = client.send(request, b"body", &[("x-check", "1")]).await.unwrap();
        assert_eq!(answer.json()["body"], "body");
    });
}

#[test]
fn a_backend_that_agrees_on_http2_gets_all_requests_over_one_connection() {
    let fixture = fixture(BackendProtocol::Negotiated, &[&["h2", "http/1.1"]]);
    ask(&fixture.plane);
    let seen = fixture.http2.wait_for(2);
    assert_eq!((seen[0].scheme.as_str(), seen[0].authority.as_str()), ("https", HOST));
    assert_eq!(seen[1].trailers, [("x-check".to_owned(), "1".to_owned())]);
    assert_eq!((fixture.http2.connections(), fixture.http1.connections()), (1, 0));
    assert_eq!(fixture.fronts[0].shown()[0].alpn.as_deref(), Some(&b"h2"[..]));
}

#[test]
fn a_backend_that_agrees_on_http1_or_on_nothing_gets_http1() {
    for agreed in [&["http/1.1"][..], &[]] {
        let fixture = fixture(BackendProtocol::Negotiated, &[agreed]);
        ask(&fixture.plane);
        assert_eq!(fixture.http1.wait_for(2).len(), 2);
        assert_eq!((fixture.http1.connections(), fixture.http2.connections()), (1, 0));
    }
}

#[test]
fn endpoints_of_one_backend_choose_each_for_itself() {
    let fixture = fixture(BackendProtocol::Negotiated, &[&["h2"], &["http/1.1"]]);
    for _ in 0..4 {
        ask(&fixture.plane);
    }
    assert_eq!(fixture.http1.wait_for(4).len(), 4);
    assert_eq!(fixture.http2.wait_for(4).len(), 4);
}

#[test]
fn a_backend_of_http2_that_agrees_on_something_else_is_refused() {
    let fixture = fixture(BackendProtocol::Http2, &[&["http/1.1"]]);
    assert_eq!(fixture.plane.get(HOST, "/").status, 502);
    assert!(fixture.plane.reason(Reason::UpstreamTlsHandshake) > 0);
    assert_eq!((fixture.http1.connections(), fixture.http2.connections()), (0, 0));
}
