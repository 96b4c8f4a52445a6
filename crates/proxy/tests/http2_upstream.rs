//! Backends that speak HTTP/2 (prior knowledge), clients of both protocols.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, cluster_http2, to, to_http2, with_filters};
use proxy::{AccessLog, Limits, Reason};
use std::{sync::Arc, time::Duration};
use testkit::{
    h2::{Client, Hold, Recorder, Reply},
    raw,
};

const HOST: &str = "a.example";

/// One request of HTTP/1.1 with a body.
fn post(client: &mut raw::Client, body: &str) -> raw::Response {
    let length = body.len();
    let head =
        format!("POST /x?y HTTP/1.1\r\nhost: {HOST}\r\nx-a: 1\r\ncontent-length: {length}\r\n\r\n");
    client.send(head + body).response("POST")
}

fn planes(limits: Limits, recorder: &Recorder) -> Plane {
    let plane = Plane::with(limits, AccessLog::Off, 1);
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to_http2("/", "app")]);
    plane.apply(&mut config);
    plane
}

fn plain() -> (Plane, Recorder) {
    let recorder = Recorder::start();
    (planes(Limits::default(), &recorder), recorder)
}

#[test]
fn an_http1_request_reaches_the_backend_as_http2() {
    let (plane, recorder) = plain();
    let mut client = plane.client();
    let response = post(&mut client, "hello");
    assert_eq!(response.status, 200);
    assert_eq!(response.json()["body"], "hello");
    assert_eq!(client.get(HOST, "/next").status, 200);
    let seen = recorder.wait_for(2).remove(0);
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/x?y"));
    assert_eq!((seen.scheme.as_str(), seen.authority.as_str()), ("http", HOST));
    assert_eq!(seen.field("x-a"), Some("1"));
    assert_eq!(seen.field("content-length"), Some("5"));
    assert_eq!(seen.field("x-forwarded-host"), Some(HOST));
    for banned in ["host", "connection", "transfer-encoding", "keep-alive"] {
        assert_eq!(seen.field(banned), None, "{banned}");
    }
    assert_eq!(recorder.connections(), 1);
}

#[test]
fn a_chunked_body_and_its_trailers_cross_to_http2_and_back() {
    let (plane, recorder) = plain();
    recorder.script(Reply::status(200, "answer").trailers(&[("x-sum", "3")]));
    let mut client = plane.client();
    let request = "POST / HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n\
                   4\r\nwiki\r\n5\r\npedia\r\n0\r\nx-check: 1\r\n\r\n";
    let response = client.send(request).response("POST");
    assert_eq!(response.status, 200);
    assert_eq!(response.text(), "answer");
    assert_eq!(response.body.trailers, [("x-sum".to_owned(), "3".to_owned())]);
    let seen = recorder.wait_for(1).remove(0);
    assert_eq!(seen.body, b"wikipedia");
    assert_eq!(seen.trailers, [("x-check".to_owned(), "1".to_owned())]);
}

#[test]
fn http2_reaches_http2_with_bodies_trailers_and_interims() {
    let (plane, recorder) = plain();
    let body = vec![b'x'; 500_000];
    recorder.script(Reply::status(201, &body).interim(103).trailers(&[("x-sum", "3")]));
    let answer = plane.run(async {
        let client = Client::connect(plane.address()).await;
        client.send(client.request("PUT", HOST, "/"), &body, &[("x-check", "1")]).await.unwrap()
    });
    assert_eq!((answer.status, answer.interim.as_slice()), (201, &[103][..]));
    assert_eq!(answer.body.len(), body.len());
    assert_eq!(answer.trailer("x-sum"), Some("3"));
    let seen = recorder.wait_for(1).remove(0);
    assert_eq!(seen.body.len(), body.len());
    assert_eq!(seen.trailers, [("x-check".to_owned(), "1".to_owned())]);
}

#[test]
fn a_head_that_is_the_whole_response_stays_so() {
    let (plane, recorder) = plain();
    recorder.always(Reply::head(200, &[("x-only", "head")]));
    let answer =
        plane.run(async { Client::connect(plane.address()).await.get(HOST, "/").await.unwrap() });
    assert!(answer.ended_at_head, "{answer:?}");
    assert_eq!(answer.field("x-only"), Some("head"));
    let response = plane.get(HOST, "/");
    assert_eq!((response.status, response.text().as_str()), (200, ""));
}

/// Waits on a thread of its own, so that the test's runtime goes on.
async fn streams(recorder: &Arc<Recorder>, count: usize) {
    let recorder = Arc::clone(recorder);
    tokio::task::spawn_blocking(move || recorder.wait_for_streams(count)).await.unwrap();
}

/// Sends `count` requests at once over two connections; gives their statuses.
async fn burst(plane: &Plane, recorder: &Arc<Recorder>, count: usize, hold: &Hold) -> Vec<u16> {
    let clients = [Client::connect(plane.address()).await, Client::connect(plane.address()).await];
    let requests: Vec<_> = (0..count)
        .map(|number| {
            let client = clients[number % 2].clone();
            tokio::spawn(async move { client.get(HOST, "/").await.unwrap().status })
        })
        .collect();
    streams(recorder, count).await;
    hold.open();
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(request.await.unwrap());
    }
    statuses
}

#[test]
fn requests_of_all_clients_share_a_connection() {
    let (plane, recorder) = plain();
    let (recorder, hold) = (Arc::new(recorder), Hold::default());
    recorder.always(Reply::status(200, "held").held(&hold));
    let statuses = plane.run(burst(&plane, &recorder, 40, &hold));
    assert_eq!(statuses, [200; 40]);
    assert_eq!(recorder.connections(), 1);
    assert_eq!(recorder.most_streams(), 40);
}

#[test]
fn a_full_connection_gets_another_one_beside_it() {
    let recorder = Arc::new(Recorder::with_streams(8));
    let plane = planes(Limits::default(), &recorder);
    // The limit is known once the connection is open.
    assert_eq!(plane.get(HOST, "/").status, 200);
    let hold = Hold::default();
    recorder.always(Reply::status(200, "held").held(&hold));
    let statuses = plane.run(burst(&plane, &recorder, 20, &hold));
    assert_eq!(statuses, [200; 20]);
    assert_eq!(recorder.connections(), 3);
}

#[test]
fn more_requests_than_places_wait_for_one() {
    let limits = Limits { http2_connections: 1, http2_streams: 2, ..Limits::default() };
    let recorder = Arc::new(Recorder::start());
    let plane = planes(limits, &recorder);
    let hold = Hold::default();
    recorder.always(Reply::status(200, "held").held(&hold));
    let clients = 6;
    let mut threads = Vec::new();
    for _ in 0..clients {
        let address = plane.address();
        threads.push(std::thread::spawn(move || raw::get(address, HOST, "/").status));
    }
    recorder.wait_for_streams(2);
    hold.open();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 200);
    }
    assert_eq!((recorder.connections(), recorder.most_streams()), (1, 2));
}

#[test]
fn a_refused_stream_is_sent_again_whatever_its_method() {
    let (plane, recorder) = plain();
    recorder.script(Reply::reset(h2::Reason::REFUSED_STREAM));
    let mut client = plane.client();
    let response = post(&mut client, "once");
    assert_eq!(response.json()["body"], "once");
    assert_eq!(recorder.wait_for_heads(2).len(), 2);
    recorder.always(Reply::reset(h2::Reason::REFUSED_STREAM));
    assert_eq!(plane.get(HOST, "/").status, 503);
    assert_eq!(plane.reason(Reason::UpstreamRefused), 1);
}

#[test]
fn a_reset_stream_is_a_bad_gateway_and_harms_no_other() {
    let (plane, recorder) = plain();
    recorder.script(Reply::reset(h2::Reason::INTERNAL_ERROR));
    assert_eq!(post(&mut plane.client(), "x").status, 502);
    assert_eq!(post(&mut plane.client(), "x").status, 200);
    assert_eq!(recorder.connections(), 1);
}

#[test]
fn a_get_that_is_reset_is_sent_once_although_it_could_be_repeated() {
    let (plane, recorder) = plain();
    assert_eq!(plane.get(HOST, "/").status, 200);
    recorder.always(Reply::reset(h2::Reason::INTERNAL_ERROR));
    assert_eq!(plane.get(HOST, "/").status, 502);
    assert_eq!(recorder.seen().len(), 2);
}

#[test]
fn goaway_moves_new_requests_to_a_new_connection() {
    let (plane, recorder) = plain();
    recorder.script(Reply::status(200, "bye").goaway());
    for number in 0..4 {
        assert_eq!(plane.get(HOST, "/").status, 200, "request {number}");
    }
    assert!(recorder.connections() >= 2, "{}", recorder.connections());
}

#[test]
fn an_idle_connection_is_closed() {
    let limits = Limits { pool_idle: Duration::from_millis(50), ..Limits::default() };
    let recorder = Recorder::start();
    let plane = planes(limits, &recorder);
    assert_eq!(plane.get(HOST, "/").status, 200);
    recorder.wait_for_open(0);
    assert_eq!(plane.get(HOST, "/").status, 200);
}

#[test]
fn a_backend_that_does_not_speak_http2_is_a_bad_gateway() {
    let plane = Plane::start();
    let recorder = testkit::recorder::Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to_http2("/", "app")]);
    plane.apply(&mut config);
    assert_eq!(plane.get(HOST, "/").status, 502);
    recorder.wait_for_problem();
}

#[test]
fn a_client_that_leaves_cancels_its_stream() {
    let (plane, recorder) = plain();
    let hold = Hold::default();
    recorder.script(Reply::status(200, "").held(&hold));
    let mut client = plane.client();
    client.send(format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n"));
    recorder.wait_for_streams(1);
    drop(client);
    recorder.wait_for_streams(0);
    assert_eq!(plane.get(HOST, "/").status, 200);
    assert_eq!(recorder.connections(), 1);
}

#[test]
fn a_mirror_speaks_the_protocol_of_its_own_backend() {
    let plane = Plane::start();
    let (main, mirror) = (testkit::recorder::Recorder::start(), Recorder::start());
    let mut config = Config::http(plane.number());
    config.service("app", &[main.addr()]);
    config.service("shadow", &[mirror.addr()]);
    let filter = ir::Filter::Mirror(ir::Mirror {
        origin: config.set.listeners.values().next().unwrap().origin.clone(),
        target: ir::Target::Cluster(cluster_http2("shadow")),
        share: ir::Fraction { numerator: 1, denominator: 1 },
    });
    config.route("all", vec![with_filters(to("/", "app"), vec![filter])]);
    plane.apply(&mut config);
    let request = "POST / HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n\
                   4\r\nwiki\r\n5\r\npedia\r\n0\r\nx-check: 1\r\n\r\n";
    assert_eq!(plane.client().send(request).response("POST").status, 200);
    let seen = mirror.wait_for(1).remove(0);
    assert_eq!((seen.method.as_str(), seen.body.as_slice()), ("POST", &b"wikipedia"[..]));
    assert_eq!(seen.trailers, [("x-check".to_owned(), "1".to_owned())]);
    assert_eq!(main.wait_for(1)[0].body.content, b"wikipedia");
}
