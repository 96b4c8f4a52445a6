//! Clients that speak HTTP/2, backends that speak HTTP/1.1.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, https, plain, rule, to, with_filters};
use ir::{Action, Filter, HeaderModifier, Redirect};
use proxy::{AccessLog, Limits, Reason};
use std::{sync::Arc, time::Duration};
use testkit::{
    certs::Authority,
    gate::Gate,
    h2::Client,
    recorder::{Recorder, Reply},
};

const HOST: &str = "a.example";

#[test]
fn a_request_with_prior_knowledge_reaches_the_backend_as_http1() {
    let (plane, recorder) = plain();
    let answer = plane.run(async {
        let client = Client::connect(plane.address()).await;
        let request = client.request("GET", HOST, "/x/../y?q=1").header("x-one", "1");
        client.send(request.header("accept", "*/*"), b"", &[]).await.unwrap()
    });
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["path"], "/y?q=1");
    assert!(answer.field("date").is_some(), "{answer:?}");
    let request = recorder.wait_for(1).remove(0);
    assert_eq!(request.field("host"), Some(HOST));
    assert_eq!(request.field("x-one"), Some("1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    assert!(request.field("x-request-id").is_some());
    assert!(request.field("transfer-encoding").is_none(), "a GET without a body");
    assert_eq!(plane.total("http2_connections_total"), 1);
}

#[test]
fn http1_and_http2_share_a_port() {
    let (plane, _recorder) = plain();
    assert_eq!(plane.get(HOST, "/one").status, 200);
    let answer =
        plane.run(async { Client::connect(plane.address()).await.get(HOST, "/two").await });
    assert_eq!(answer.unwrap().status, 200);
}

#[test]
fn bodies_of_every_framing_reach_the_backend() {
    let (plane, recorder) = plain();
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        for (path, length) in [("/known", true), ("/unknown", false)] {
            let mut request = client.request("POST", HOST, path);
            if length {
                request = request.header("content-length", "5");
            }
            let answer = client.send(request, b"hello", &[]).await.unwrap();
            assert_eq!(answer.json()["body"], "hello", "{path}");
        }
        let request = client.request("POST", HOST, "/empty").header("content-length", "0");
        assert_eq!(client.send(request, b"", &[]).await.unwrap().status, 200);
    });
    let requests = recorder.wait_for(3);
    assert_eq!(requests[0].field("content-length"), Some("5"));
    assert_eq!(requests[1].field("transfer-encoding"), Some("chunked"));
    assert_eq!(requests[2].field("content-length"), Some("0"));
}

#[test]
fn large_bodies_cross_in_both_directions_at_once() {
    let (plane, _recorder) = plain();
    let body = "b".repeat(900_000);
    let answer = plane.run(async {
        let client = Client::connect(plane.address()).await;
        let request = client.request("PUT", HOST, "/big");
        client.send(request, body.as_bytes(), &[]).await.unwrap()
    });
    assert_eq!(answer.json()["body"].as_str().unwrap().len(), body.len());
}

#[test]
fn trailers_pass_in_both_directions() {
    let (plane, recorder) = plain();
    recorder.script(Reply::chunked(200, &[], &["one", "two"], &[("x-sum", "9"), ("host", "evil")]));
    let answer = plane.run(async {
        let client = Client::connect(plane.address()).await;
        let request = client.request("POST", HOST, "/").header("te", "trailers");
        let trailers = [("x-check", "7"), ("x-forwarded-for", "6.6.6.6")];
        client.send(request, b"body", &trailers).await.unwrap()
    });
    assert_eq!(answer.text(), "onetwo");
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "9".to_owned())]);
    let request = recorder.wait_for(1).remove(0);
    assert_eq!(request.field("te"), Some("trailers"));
    assert_eq!(request.body.trailers, [("x-check".to_owned(), "7".to_owned())]);
}

#[test]
fn responses_without_a_body_end_with_their_head() {
    let (plane, recorder) = plain();
    recorder.script(Reply::raw("HTTP/1.1 204 No Content\r\n\r\n"));
    recorder.script(Reply::raw("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n"));
    recorder.script(Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 70\r\n\r\n"));
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        for (method, status) in [("GET", 204), ("GET", 304), ("HEAD", 200)] {
            let request = client.request(method, HOST, "/");
            let answer = client.send(request, b"", &[]).await.unwrap();
            assert_eq!((answer.status, answer.ended_at_head), (status, true), "{answer:?}");
        }
    });
}

#[test]
fn a_body_that_ends_with_the_connection_ends_the_stream_and_not_more() {
    let (plane, recorder) = plain();
    recorder.script(Reply::until_close(200, &[], "to the end"));
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        assert_eq!(client.get(HOST, "/").await.unwrap().text(), "to the end");
        assert_eq!(client.get(HOST, "/").await.unwrap().status, 200);
    });
    assert_eq!(plane.total("http2_connections_total"), 1);
}

#[test]
fn interim_responses_come_before_the_final_one() {
    let (plane, recorder) = plain();
    recorder.script(Reply::new().interim(103, &[("link", "</a.css>")]).read_body().then_echo());
    let answer =
        plane.run(async { Client::connect(plane.address()).await.get(HOST, "/").await.unwrap() });
    assert_eq!((answer.interim, answer.status), (vec![103], 200));
}

#[test]
fn cookie_crumbs_are_joined() {
    let (plane, recorder) = plain();
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        let request = client.request("GET", HOST, "/").header("cookie", "a=1");
        client.send(request.header("cookie", "b=2"), b"", &[]).await.unwrap()
    });
    let request = recorder.wait_for(1).remove(0);
    let cookies: Vec<_> = request.head.all("cookie").collect();
    assert_eq!(cookies, ["a=1; b=2"]);
}

#[test]
fn many_requests_share_one_connection() {
    let (plane, recorder) = plain();
    let gate = Gate::new();
    recorder.always(Reply::echo().held_by(&gate));
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        let requests: Vec<_> = (0..60)
            .map(|number| {
                let client = client.clone();
                tokio::spawn(async move { client.get(HOST, &format!("/{number}")).await })
            })
            .collect();
        let waiting = gate.clone();
        tokio::task::spawn_blocking(move || waiting.wait_for_waiters(60)).await.unwrap();
        gate.open();
        for (number, request) in requests.into_iter().enumerate() {
            let answer = request.await.unwrap().unwrap();
            assert_eq!(answer.json()["path"], format!("/{number}"));
        }
    });
    assert_eq!(plane.total("http2_connections_total"), 1);
}

#[test]
fn answers_of_our_own_have_the_form_of_the_protocol() {
    let plane = Plane::start();
    let mut config = Config::http(plane.number());
    let redirect = Redirect {
        origin: config.set.listeners.values().next().unwrap().origin.clone(),
        scheme: None,
        hostname: Some("b.example".into()),
        path: None,
        port: None,
        status: 302,
    };
    config.service("gone", &[]);
    config.route("all", vec![rule("/move", Action::Redirect(redirect)), to("/none", "gone")]);
    plane.apply(&mut config);
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        let missing = client.get(HOST, "/missing").await.unwrap();
        assert_eq!(missing.status, 404);
        let id = missing.field("x-request-id").unwrap();
        assert!(missing.text().contains(id), "{}", missing.text());
        let moved = client.get(HOST, "/move?x").await.unwrap();
        assert_eq!(moved.status, 302);
        let port = plane.number();
        assert_eq!(moved.field("location"), Some(&*format!("http://b.example:{port}/move?x")));
        assert_eq!(client.get(HOST, "/none").await.unwrap().status, 503);
        let head = client.send(client.request("HEAD", HOST, "/none"), b"", &[]).await.unwrap();
        assert_eq!((head.status, head.body.len()), (503, 0));
    });
}

#[test]
fn filters_edit_both_heads() {
    let plane = Plane::start();
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    let name = |name: &str| ir::FieldName::new(name).unwrap();
    let value = |value: &str| ir::FieldValue::new(value).unwrap();
    let set = |field: &str| HeaderModifier {
        set: vec![(name(field), value("set"))],
        ..HeaderModifier::default()
    };
    let filters = vec![
        Filter::RequestHeaders(set("X-Req")),
        Filter::ResponseHeaders(HeaderModifier {
            remove: vec![name("content-type")],
            ..set("X-Res")
        }),
    ];
    config.route("all", vec![with_filters(to("/", "app"), filters)]);
    plane.apply(&mut config);
    let answer = plane.run(async {
        let client = Client::connect(plane.address()).await;
        client.send(client.request("GET", HOST, "/").header("x-req", "0"), b"", &[]).await.unwrap()
    });
    assert_eq!(answer.field("x-res"), Some("set"));
    assert_eq!(answer.field("content-type"), None);
    let request = recorder.wait_for(1).remove(0);
    assert_eq!(request.head.all("x-req").collect::<Vec<_>>(), ["set"]);
}

#[test]
fn a_request_that_is_cancelled_cancels_its_backend_request() {
    let (plane, recorder) = plain();
    let gate = Gate::new();
    recorder.script(Reply::echo().held_by(&gate));
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        let request = client.request("GET", HOST, "/held");
        let (response, mut stream) = client.open(request, true).await.unwrap();
        let waiting = gate.clone();
        tokio::task::spawn_blocking(move || waiting.wait_for_waiters(1)).await.unwrap();
        stream.send_reset(h2::Reason::CANCEL);
        drop(response);
        assert_eq!(client.get(HOST, "/next").await.unwrap().status, 200);
    });
    gate.open();
    assert_eq!(plane.reason(Reason::ClientGone), 1);
}

#[test]
fn a_response_that_breaks_off_resets_the_stream_alone() {
    let (plane, recorder) = plain();
    recorder.script(
        Reply::new().read_body().bytes("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").close(),
    );
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        let cut = client.get(HOST, "/").await.unwrap_err();
        assert_eq!(cut.reason(), Some(h2::Reason::INTERNAL_ERROR));
        assert_eq!(client.get(HOST, "/").await.unwrap().status, 200);
    });
    assert_eq!(plane.reason(Reason::ResponseAborted), 1);
}

#[test]
fn the_rules_timeout_answers_504() {
    let plane = Plane::start();
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    let mut slow = to("/", "app");
    slow.timeouts.request = Some(Duration::from_millis(100));
    config.route("all", vec![slow]);
    plane.apply(&mut config);
    let gate = Gate::new();
    recorder.always(Reply::echo().held_by(&gate));
    let answer =
        plane.run(async { Client::connect(plane.address()).await.get(HOST, "/").await.unwrap() });
    gate.open();
    assert_eq!(answer.status, 504);
}

#[test]
fn a_slow_reader_stops_the_backend() {
    let limits = Limits { write_idle: Duration::from_millis(300), ..Limits::default() };
    let plane = Plane::with(limits, AccessLog::Off, 1);
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    recorder.script(Reply::status(200, &[], vec![b'x'; 20_000_000]));
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        let (response, _stream) =
            client.open(client.request("GET", HOST, "/"), true).await.unwrap();
        let mut body = response.await.unwrap().into_body();
        // Nothing is given back: the window closes, and the limit of a stalled write ends it.
        let mut received = 0;
        let end = loop {
            match body.data().await.unwrap() {
                Ok(piece) => received += piece.len(),
                Err(error) => break error,
            }
        };
        assert_eq!(received, 65_535);
        assert!(end.is_reset(), "{end:?}");
    });
    assert_eq!(plane.reason(Reason::WriteTimeout), 1);
}

#[test]
fn alpn_chooses_http2_over_tls() {
    let plane = Plane::start();
    let recorder = Recorder::start();
    let authority = Authority::new("test");
    let mut config = Config::new();
    config.add_certificate("site", &authority.issue(&[HOST]), &[HOST]);
    config.listener("web", plane.number(), Some(HOST), https(&["site"]));
    config.listener("other", plane.number(), Some("b.example"), https(&["site"]));
    config.service("app", &[recorder.addr()]);
    config.route_on(&["web", "other"], "all", &[], vec![to("/", "app")]);
    plane.apply(&mut config);
    let answer = plane.run(async {
        let client_config = authority.client_config();
        let client = Client::connect_tls(plane.address(), HOST, &client_config).await;
        let body = vec![b'x'; 300_000];
        let answer = client.send(client.request("POST", HOST, "/"), &body, &[]).await.unwrap();
        // The same connection for a host of another listener.
        assert_eq!(client.get("b.example", "/").await.unwrap().status, 421);
        answer
    });
    assert_eq!(answer.status, 200);
    let request = recorder.wait_for(1).remove(0);
    assert_eq!(request.field("x-forwarded-proto"), Some("https"));
    assert_eq!(request.body.content.len(), 300_000);
}

#[test]
fn the_access_log_names_the_protocol() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let plane = Plane::with(Limits::default(), AccessLog::File(path.clone()), 1);
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("all", vec![to("/", "app")]);
    plane.apply(&mut config);
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        client.send(client.request("POST", HOST, "/x"), b"12345", &[]).await.unwrap();
    });
    assert_eq!(plane.get(HOST, "/y").status, 200);
    let lines = testkit::eventually("two lines", || {
        let text = std::fs::read_to_string(&path).unwrap();
        // A batch may be half written.
        let text = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines.len() == 2).then_some(lines)
    });
    let protocols: Vec<_> = lines.iter().map(|line| line["protocol"].as_str().unwrap()).collect();
    assert_eq!(protocols, ["HTTP/2", "HTTP/1.1"]);
    assert_eq!(lines[0]["path"], "/x");
    assert!(lines[0]["bytes_in"].as_u64().unwrap() >= 5);
}

#[test]
fn draining_says_goaway_and_finishes_what_runs() {
    let (plane, recorder) = plain();
    let gate = Gate::new();
    recorder.script(Reply::echo().held_by(&gate));
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        let running = tokio::spawn({
            let client = client.clone();
            async move { client.get(HOST, "/running").await }
        });
        let waiting = gate.clone();
        tokio::task::spawn_blocking(move || waiting.wait_for_waiters(1)).await.unwrap();
        let handle = Arc::clone(&plane.handle);
        let draining =
            tokio::spawn(async move { handle.drain(Duration::ZERO, testkit::DEADLINE).await });
        // The client hears of it while its request runs.
        while client.get(HOST, "/more").await.is_ok() {}
        gate.open();
        assert_eq!(running.await.unwrap().unwrap().status, 200);
        client.wait_closed().await;
        assert_eq!(draining.await.unwrap(), 0);
    });
}

#[test]
fn a_websocket_over_http2_reaches_a_backend_of_http1() {
    let (plane, recorder) = plain();
    recorder.on_path("/chat", Reply::upgrade_echo("websocket"));
    plane.run(async {
        let client = Client::connect(plane.address()).await;
        // The server's SETTINGS say that it may be asked for.
        assert_eq!(client.get(HOST, "/").await.unwrap().status, 200);
        let request = client
            .request("CONNECT", HOST, "/chat?room=1")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-protocol", "echo")
            .extension(h2::ext::Protocol::from_static("websocket"));
        let (response, mut stream) = client.open(request, false).await.unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(!response.headers().contains_key("sec-websocket-accept"));
        let mut body = response.into_body();
        for message in ["one", "two"] {
            stream.send_data(message.into(), false).unwrap();
            assert_eq!(body.data().await.unwrap().unwrap(), message);
        }
        stream.send_data("".into(), true).unwrap();
        while let Some(piece) = body.data().await {
            assert_eq!(piece.unwrap(), "");
        }
    });
    let request = recorder.wait_for(2).remove(1);
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/chat?room=1"));
    assert_eq!(request.field("upgrade"), Some("websocket"));
    assert_eq!(request.field("connection"), Some("upgrade"));
    assert_eq!(request.field("sec-websocket-key").unwrap().len(), 24);
}
