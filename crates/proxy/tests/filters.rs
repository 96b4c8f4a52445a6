//! Filters, weights and mirrors on the wire.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, backend, rule, to, with_filters};
use ir::{
    Action, Cors, CorsOrigin, FieldName, FieldValue, Filter, Fraction, HeaderModifier, Mirror,
    Origin, PathModifier, Redirect, Rewrite, Target, TrustedPeers,
};
use proxy::Reason;
use std::sync::Arc;
use testkit::recorder::{Recorder, Reply};

fn nowhere() -> Origin {
    Origin::new(Arc::new(ir::ObjectRef::new("", "", "", "")), "")
}

fn field(name: &str, value: &str) -> (FieldName, FieldValue) {
    (FieldName::new(name).unwrap(), FieldValue::new(value).unwrap())
}

fn mirror(service: &str, share: Fraction) -> Filter {
    let target = Target::Cluster(common::cluster(service));
    Filter::Mirror(Mirror { origin: nowhere(), target, share })
}

const ALWAYS: Fraction = Fraction { numerator: 1, denominator: 1 };
const NEVER: Fraction = Fraction { numerator: 0, denominator: 1 };

/// One route with one rule, to one recorder.
fn serve(rule: ir::Rule) -> (Plane, Recorder) {
    let plane = Plane::start();
    let recorder = Recorder::start();
    let mut config = Config::http(plane.number());
    config.service("app", &[recorder.addr()]);
    config.route("filtered", vec![rule]);
    plane.apply(&mut config);
    (plane, recorder)
}

#[test]
fn request_and_response_headers_are_set_added_and_removed() {
    let request = HeaderModifier {
        set: vec![field("x-set", "1"), field("x-forwarded-proto", "gopher")],
        add: vec![field("x-add", "2")],
        remove: vec![FieldName::new("x-gone").unwrap()],
    };
    let response = HeaderModifier {
        set: vec![field("x-served", "yes")],
        add: Vec::new(),
        remove: vec![FieldName::new("server").unwrap()],
    };
    let filters = vec![Filter::RequestHeaders(request), Filter::ResponseHeaders(response)];
    let (plane, recorder) = serve(with_filters(to("/", "app"), filters));
    recorder.always(Reply::status(200, &[("server", "secret"), ("x-served", "no")], "ok"));
    let mut client = plane.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nx-set: 0\r\nx-add: 1\r\nx-gone: 3\r\n\r\n");
    let answer = client.response("GET");
    assert_eq!(answer.head.all("x-served").collect::<Vec<_>>(), ["yes"]);
    assert_eq!(answer.field("server"), None);
    let request = recorder.wait_for(1).remove(0);
    assert_eq!(request.head.all("x-set").collect::<Vec<_>>(), ["1"]);
    assert_eq!(request.head.all("x-add").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(request.field("x-gone"), None);
    assert_eq!(request.head.all("x-forwarded-proto").collect::<Vec<_>>(), ["gopher"]);
}

#[test]
fn a_rewrite_changes_host_and_path_and_keeps_the_query() {
    let rewrite = Rewrite {
        origin: nowhere(),
        hostname: Some("inner.example".into()),
        path: Some(PathModifier::ReplacePrefix("/v2".into())),
    };
    let (plane, recorder) = serve(with_filters(to("/v1", "app"), vec![Filter::Rewrite(rewrite)]));
    assert_eq!(plane.get("a.example", "/v1/x?y=1").status, 200);
    let request = recorder.wait_for(1).remove(0);
    assert_eq!(request.target, "/v2/x?y=1");
    assert_eq!(request.field("host"), Some("inner.example"));
    assert_eq!(request.field("x-forwarded-host"), Some("a.example"));
}

#[test]
fn a_header_filter_that_sets_host_rewrites_it() {
    let modifier =
        HeaderModifier { set: vec![field("Host", "other")], ..HeaderModifier::default() };
    let (plane, recorder) =
        serve(with_filters(to("/", "app"), vec![Filter::RequestHeaders(modifier)]));
    assert_eq!(plane.get("a.example", "/").status, 200);
    assert_eq!(recorder.wait_for(1)[0].head.all("host").collect::<Vec<_>>(), ["other"]);
}

#[test]
fn a_redirect_is_answered_here() {
    let redirect = Redirect {
        origin: nowhere(),
        scheme: Some("https".into()),
        hostname: None,
        path: None,
        port: None,
        status: 301,
    };
    let (plane, recorder) = serve(rule("/", Action::Redirect(redirect)));
    let mut client = plane.client();
    let response = client.get("a.example", "/x?y");
    assert_eq!(response.status, 301);
    assert_eq!(response.field("location"), Some("https://a.example/x?y"));
    assert_eq!(client.get("a.example", "/").status, 301, "the connection lives on");
    assert!(recorder.heads().is_empty());
    assert_eq!(plane.reason(Reason::Redirect), 2);
}

#[test]
fn behind_a_tls_load_balancer_a_redirect_stays_with_https() {
    let plane = Plane::start();
    let mut config = Config::http(plane.number());
    config.edit_listener("web", |listener| {
        listener.http.trusted_peers = TrustedPeers { hops: 1, networks: Vec::new() };
    });
    let redirect = Redirect {
        origin: nowhere(),
        scheme: None,
        hostname: Some("b.example".into()),
        path: None,
        port: None,
        status: 302,
    };
    config.route("moved", vec![rule("/", Action::Redirect(redirect))]);
    plane.apply(&mut config);
    let mut client = plane.client();
    client.send("GET /x HTTP/1.1\r\nhost: a.example\r\nx-forwarded-proto: https\r\n\r\n");
    assert_eq!(client.response("GET").field("location"), Some("https://b.example/x"));
}

#[test]
fn weights_split_traffic_and_failing_shares_keep_theirs() {
    let plane = Plane::start();
    let (a, b) = (Recorder::named("a"), Recorder::named("b"));
    let mut config = Config::http(plane.number());
    config.service("a", &[a.addr()]);
    config.service("b", &[b.addr()]);
    let action = Action::Forward(vec![backend("a", 3), backend("b", 1), backend("none", 0)]);
    config.route("split", vec![rule("/", action)]);
    plane.apply(&mut config);
    let mut client = plane.client();
    for _ in 0..400 {
        assert_eq!(client.get("x", "/").status, 200);
    }
    let share = a.requests().len();
    assert!((240..=360).contains(&share), "{share} of 400 where 300 were due");
}

#[test]
fn a_head_that_is_refused_gets_nothing_of_the_answer_before() {
    let modifier = HeaderModifier { set: vec![field("x-b", "1")], ..HeaderModifier::default() };
    let (plane, _recorder) =
        serve(with_filters(to("/", "app"), vec![Filter::ResponseHeaders(modifier)]));
    let mut client = plane.client();
    assert_eq!(client.get("x", "/").field("x-b"), Some("1"));
    client.send("GET / HTTP/1.1\r\nhost: a\r\nbad header: 1\r\n\r\n");
    let refused = client.response("GET");
    assert_eq!((refused.status, refused.field("x-b")), (400, None));
}

#[test]
fn filters_of_a_backend_run_for_its_share_only() {
    let plane = Plane::start();
    let (a, b) = (Recorder::named("a"), Recorder::named("b"));
    let mut config = Config::http(plane.number());
    config.service("a", &[a.addr()]);
    config.service("b", &[b.addr()]);
    let mut special = backend("b", 1);
    let modifier = HeaderModifier { set: vec![field("x-b", "1")], ..HeaderModifier::default() };
    special.filters =
        vec![Filter::RequestHeaders(modifier.clone()), Filter::ResponseHeaders(modifier)];
    config.route("split", vec![rule("/", Action::Forward(vec![backend("a", 1), special]))]);
    plane.apply(&mut config);
    for _ in 0..40 {
        let response = plane.get("x", "/");
        let expected = (response.json()["backend"] == "b").then_some("1");
        assert_eq!(response.field("x-b"), expected);
    }
    assert!(a.requests().iter().all(|request| request.field("x-b").is_none()));
    assert!(b.requests().iter().all(|request| request.field("x-b") == Some("1")));
}

#[test]
fn mirrors_get_the_whole_request_and_their_answers_are_ignored() {
    let plane = Plane::start();
    let (app, copy, second) =
        (Recorder::start(), Recorder::named("copy"), Recorder::named("second"));
    copy.always(Reply::status(500, &[], "ignored"));
    let mut config = Config::http(plane.number());
    config.service("app", &[app.addr()]);
    config.service("copy", &[copy.addr()]);
    config.service("second", &[second.addr()]);
    config.service("unused", &[second.addr()]);
    let filters = vec![mirror("copy", ALWAYS), mirror("second", ALWAYS), mirror("unused", NEVER)];
    config.route("mirrored", vec![with_filters(to("/", "app"), filters)]);
    plane.apply(&mut config);
    let mut client = plane.client();
    let body = "b".repeat(100_000);
    client.send(format!(
        "POST /m HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(client.response("POST").json()["backend"], "backend");
    client.send("POST /c HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-t: 1\r\n\r\n");
    assert_eq!(client.response("POST").json()["backend"], "backend");
    for recorder in [&copy, &second] {
        let mut requests = recorder.wait_for(2);
        requests.sort_by(|a, b| a.target.cmp(&b.target));
        assert_eq!(requests[0].text(), "hi");
        assert_eq!(requests[0].body.trailers.len(), 1);
        assert_eq!(requests[1].body.content.len(), body.len());
    }
    testkit::eventually("the mirrors' end", || (plane.total("mirror_requests") == 4).then_some(()));
    assert_eq!(second.requests().len(), 2, "the share of 0 was never sent");
}

#[test]
fn a_mirror_without_an_endpoint_does_not_touch_the_request() {
    let (plane, _recorder) = serve(with_filters(to("/", "app"), vec![mirror("nowhere", ALWAYS)]));
    assert_eq!(plane.get("a", "/").status, 200);
    testkit::eventually("the drop", || (plane.total("mirror_drops") == 1).then_some(()));
}

#[test]
fn cors_answers_preflights_and_marks_responses() {
    let origin = CorsOrigin::Origin {
        scheme: "https".into(),
        host: Some(ir::HostPattern::new("app.example")),
        port: None,
    };
    let cors = Cors {
        origin: nowhere(),
        allow_origins: vec![origin],
        allow_credentials: true,
        allow_methods: vec!["GET".into(), "PUT".into()],
        allow_headers: vec!["x-one".into()],
        expose_headers: vec!["x-two".into()],
        max_age: 10,
    };
    let (plane, recorder) = serve(with_filters(to("/", "app"), vec![Filter::Cors(cors)]));
    let mut client = plane.client();
    client.send(
        "OPTIONS / HTTP/1.1\r\nhost: a\r\norigin: https://app.example\r\naccess-control-request-method: PUT\r\n\r\n",
    );
    let preflight = client.response("OPTIONS");
    assert!((200..300).contains(&preflight.status));
    assert_eq!(preflight.field("access-control-allow-origin"), Some("https://app.example"));
    assert!(recorder.heads().is_empty());
    recorder.script(Reply::status(200, &[("access-control-allow-origin", "*")], ""));
    client.send("GET / HTTP/1.1\r\nhost: a\r\norigin: https://app.example\r\n\r\n");
    let response = client.response("GET");
    let allowed: Vec<_> = response.head.all("access-control-allow-origin").collect();
    assert_eq!(allowed, ["https://app.example"]);
    assert_eq!(response.field("access-control-allow-credentials"), Some("true"));
}
