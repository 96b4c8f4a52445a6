//! Another service decides whether a request may pass: the HTTP form, on rules and listeners.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, to, with_filters};
use ir::{
    AuthProtocol, ExternalAuth, FieldName, FieldValue, Filter, HeaderMatch, Origin, Target,
    ValueMatch,
};
use proxy::{AccessLog, Limits, Reason};
use std::{sync::Arc, time::Duration};
use testkit::{
    gate::Gate,
    recorder::{Recorder, Reply},
};

fn names(list: &[&str]) -> Vec<FieldName> {
    list.iter().map(|name| FieldName::new(name).unwrap()).collect()
}

fn auth(service: &str) -> ExternalAuth {
    ExternalAuth {
        origin: Origin::new(Arc::new(ir::ObjectRef::new("", "", "", "")), ""),
        target: Target::Cluster(common::cluster(service)),
        protocol: AuthProtocol::Http {
            path_prefix: "/check".into(),
            allowed_response_headers: names(&["x-user"]),
        },
        allowed_headers: names(&["cookie", "x-forwarded-for"]),
        body_max: 0,
    }
}

/// Everything goes to `app` when `auth` lets it pass.
fn guarded(filter: ExternalAuth) -> (Plane, Recorder, Recorder) {
    guarded_with(Limits::default(), filter)
}

fn guarded_with(limits: Limits, filter: ExternalAuth) -> (Plane, Recorder, Recorder) {
    let plane = Plane::with(limits, AccessLog::Off, 1);
    let (app, auth) = (Recorder::named("app"), Recorder::named("auth"));
    let mut config = Config::http(plane.number());
    config.service("app", &[app.addr()]);
    config.service("auth", &[auth.addr()]);
    config.route("all", vec![with_filters(to("/", "app"), vec![Filter::ExternalAuth(filter)])]);
    plane.apply(&mut config);
    (plane, app, auth)
}

#[test]
fn a_request_that_the_service_allows_passes_with_the_fields_that_it_gave() {
    let (plane, app, auth) = guarded(auth("auth"));
    let fields = [("x-user", "ann"), ("x-other", "no"), ("host", "evil")];
    auth.always(Reply::status(200, &fields, "ignored"));
    let mut client = plane.client();
    client.send(
        "POST /a//b?c=d HTTP/1.1\r\nhost: shop.example\r\nauthorization: Basic x\r\ncookie: s=1\r\n\
         x-secret: 1\r\nx-user: forged\r\nx-forwarded-for: 6.6.6.6\r\ncontent-length: 4\r\n\r\nbody",
    );
    assert_eq!(client.response("POST").status, 200);
    let asked = auth.wait_for(1).remove(0);
    assert_eq!((asked.method.as_str(), asked.target.as_str()), ("POST", "/check/a/b?c=d"));
    assert_eq!(asked.field("host"), Some("shop.example"));
    assert_eq!(asked.field("authorization"), Some("Basic x"));
    assert_eq!(asked.field("cookie"), Some("s=1"));
    assert_eq!(asked.field("content-length"), Some("0"));
    assert_eq!(asked.field("x-secret"), None);
    assert_eq!(asked.field("x-forwarded-for"), Some("127.0.0.1"), "ours, not the client's");
    let served = app.wait_for(1).remove(0);
    assert_eq!(served.head.all("x-user").collect::<Vec<_>>(), ["ann"]);
    assert_eq!(served.field("x-other"), None);
    assert_eq!(served.field("host"), Some("shop.example"));
    assert_eq!(served.text(), "body");
}

#[test]
fn without_a_list_every_field_of_the_answer_goes_on_but_those_about_its_body() {
    let mut filter = auth("auth");
    filter.protocol =
        AuthProtocol::Http { path_prefix: "".into(), allowed_response_headers: Vec::new() };
    let (plane, app, auth) = guarded(filter);
    let fields = [("x-user", "ann"), ("x-group", "a"), ("x-group", "b"), ("content-type", "x/y")];
    auth.always(Reply::status(200, &fields, "ignored"));
    assert_eq!(plane.get("shop.example", "/").status, 200);
    assert_eq!(auth.wait_for(1)[0].target, "/");
    let served = app.wait_for(1).remove(0);
    assert_eq!(served.field("x-user"), Some("ann"));
    assert_eq!(served.head.all("x-group").collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(served.field("content-type"), None);
    assert_eq!(served.field("content-length"), None);
}

#[test]
fn a_refusal_is_passed_back_as_the_service_said_it() {
    let (plane, app, auth) = guarded(auth("auth"));
    let fields = [("location", "https://login.example/"), ("set-cookie", "try=1")];
    auth.script(Reply::status(302, &fields, "go there"));
    auth.script(Reply::status(401, &[("www-authenticate", "Basic")], "who are you?"));
    let mut client = plane.client();
    let answer = client.get("shop.example", "/");
    assert_eq!((answer.status, answer.text().as_str()), (302, "go there"));
    assert_eq!(answer.field("location"), Some("https://login.example/"));
    assert_eq!(answer.field("set-cookie"), Some("try=1"));
    let answer = client.get("shop.example", "/");
    assert_eq!((answer.status, answer.text().as_str()), (401, "who are you?"));
    assert_eq!(answer.field("www-authenticate"), Some("Basic"));
    assert!(app.heads().is_empty());
    assert_eq!(plane.reason(Reason::AuthDenied), 2);
    assert_eq!(auth.connections(), 1, "the connection to the service is used again");
}

#[test]
fn whatever_is_no_clear_answer_refuses_the_request() {
    let limits = Limits { auth_answer: 100, ..Limits::default() };
    let (plane, app, auth) = guarded_with(limits, auth("auth"));
    let replies = [
        (Reply::status(500, &[], "broken"), 503),
        (Reply::status(204, &[], ""), 403),
        (Reply::status(200, &[("x-user", "a\u{1}b")], ""), 503),
        (Reply::status(200, &[], "x".repeat(101)), 503),
        (Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab").close(), 503),
        (Reply::raw("nonsense\r\n\r\n").close(), 503),
    ];
    for (position, (reply, status)) in replies.into_iter().enumerate() {
        auth.script(reply);
        assert_eq!(plane.get("shop.example", "/").status, status, "reply {position}");
    }
    assert!(app.heads().is_empty());
    assert_eq!(plane.reason(Reason::AuthFailed), 5);
}

#[test]
fn a_service_that_is_gone_or_silent_refuses_the_request() {
    let limits = Limits { auth_timeout: Duration::from_millis(50), ..Limits::default() };
    let (plane, app, auth) = guarded_with(limits, auth("auth"));
    let gate = Gate::new();
    auth.script(Reply::echo().held_by(&gate));
    assert_eq!(plane.get("shop.example", "/").status, 503);
    gate.open();
    auth.stop();
    assert_eq!(plane.get("shop.example", "/").status, 503);
    assert!(app.heads().is_empty());

    let (plane, app, _) = guarded(self::auth("nowhere"));
    assert_eq!(plane.get("shop.example", "/").status, 503);
    assert!(app.heads().is_empty());

    let mut broken = self::auth("auth");
    broken.target = Target::Fail(ir::FailReason::InvalidBackend);
    let (plane, app, _) = guarded(broken);
    assert_eq!(plane.get("shop.example", "/").status, 500);
    assert!(app.heads().is_empty());
}

#[test]
fn a_client_that_leaves_is_noticed_while_the_service_still_thinks() {
    let (plane, app, auth) = guarded(auth("auth"));
    let gate = Gate::new();
    auth.script(Reply::echo().held_by(&gate));
    let mut client = plane.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    auth.wait_for_heads(1);
    drop(client);
    // The gate opens after this only: the answer cannot be what ends the request.
    let missed = || (plane.reason(Reason::ClientGone) == 1).then_some(());
    testkit::eventually("the client is missed", missed);
    gate.open();
    assert!(app.heads().is_empty());
}

#[test]
fn the_service_sees_a_body_up_to_its_bound_and_a_longer_one_is_refused() {
    let mut filter = auth("auth");
    filter.body_max = 8;
    let (plane, app, auth) = guarded(filter);
    let mut client = plane.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\n12345678");
    assert_eq!(client.response("POST").status, 200);
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send("3\r\nabc\r\n").send("2\r\nde\r\n0\r\n\r\n");
    assert_eq!(client.response("POST").status, 200);
    client.send("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
    assert_eq!(client.read_head().unwrap().start, "HTTP/1.1 100 Continue");
    client.send("ok");
    let mut answer = client.response("POST");
    while answer.status == 100 {
        answer = client.response("POST");
    }
    assert_eq!(answer.status, 200);
    let asked: Vec<_> = auth.wait_for(3).iter().map(testkit::recorder::Recorded::text).collect();
    assert_eq!(asked, ["12345678", "abcde", "ok"]);
    let served: Vec<_> = app.wait_for(3).iter().map(testkit::recorder::Recorded::text).collect();
    assert_eq!(served, asked);
    for long in [
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n123456789",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n9\r\n123456789\r\n0\r\n\r\n",
    ] {
        let mut client = plane.client();
        client.send(long);
        assert_eq!(client.response("POST").status, 413);
    }
    let mut client = plane.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n");
    assert_eq!(client.response("POST").status, 400);
    assert_eq!((app.heads().len(), auth.heads().len()), (3, 3));
}

#[test]
fn a_preflight_is_answered_without_asking() {
    let cors = ir::Cors {
        origin: Origin::new(Arc::new(ir::ObjectRef::new("", "", "", "")), ""),
        allow_origins: vec![ir::CorsOrigin::Any],
        allow_credentials: false,
        allow_methods: vec!["GET".into()],
        allow_headers: Vec::new(),
        expose_headers: Vec::new(),
        max_age: 5,
    };
    let plane = Plane::start();
    let (app, service) = (Recorder::named("app"), Recorder::named("auth"));
    let mut config = Config::http(plane.number());
    config.service("app", &[app.addr()]);
    config.service("auth", &[service.addr()]);
    let filters = vec![Filter::ExternalAuth(auth("auth")), Filter::Cors(cors)];
    config.route("all", vec![with_filters(to("/", "app"), filters)]);
    plane.apply(&mut config);
    let mut client = plane.client();
    client.send(
        "OPTIONS / HTTP/1.1\r\nhost: a\r\norigin: https://o.example\r\n\
         access-control-request-method: GET\r\n\r\n",
    );
    assert!(client.response("OPTIONS").field("access-control-allow-origin").is_some());
    assert_eq!(plane.reason(Reason::CorsPreflight), 1);
    assert!(service.heads().is_empty());
    assert_eq!(client.get("a", "/").status, 200);
    assert_eq!(service.wait_for(1).len(), 1);
}

/// What the listener's service says decides the route: `x-tenant: gold` goes to `gold`.
fn by_tenant(filters: Vec<Filter>) -> (Plane, Recorder, Recorder) {
    let plane = Plane::start();
    let (app, auth) = (Recorder::named("app"), Recorder::named("auth"));
    let mut config = Config::http(plane.number());
    config.edit_listener("web", |listener| listener.filters = filters);
    config.service("app", &[app.addr()]);
    config.service("auth", &[auth.addr()]);
    let mut gold = to("/", "app");
    gold.matches[0].headers.push(HeaderMatch {
        name: FieldName::new("x-user").unwrap(),
        value: ValueMatch::Exact("gold".into()),
    });
    let modifier = ir::HeaderModifier {
        set: vec![(FieldName::new("x-rule").unwrap(), FieldValue::new("gold").unwrap())],
        ..ir::HeaderModifier::default()
    };
    config.route("tenants", vec![with_filters(gold, vec![Filter::RequestHeaders(modifier)])]);
    plane.apply(&mut config);
    (plane, app, auth)
}

#[test]
fn a_filter_of_the_listener_runs_before_the_route_is_chosen_and_can_choose_it() {
    let (plane, app, auth) = by_tenant(vec![Filter::ExternalAuth(auth("auth"))]);
    auth.script(Reply::status(200, &[("x-user", "gold")], ""));
    auth.script(Reply::status(200, &[("x-user", "iron")], ""));
    auth.script(Reply::status(403, &[], "no"));
    let mut client = plane.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nx-user: iron\r\n\r\n");
    assert_eq!(client.response("GET").status, 200);
    let served = app.wait_for(1).remove(0);
    assert_eq!(served.head.all("x-user").collect::<Vec<_>>(), ["gold"]);
    assert_eq!(served.field("x-rule"), Some("gold"), "the rule's own filters run too");
    client.send("GET / HTTP/1.1\r\nhost: a\r\nx-user: gold\r\n\r\n");
    assert_eq!(client.response("GET").status, 404, "the client's own word does not count");
    assert_eq!(client.get("a", "/anything").status, 403);
    assert_eq!(app.heads().len(), 1);
}

#[test]
fn filters_of_a_listener_run_in_their_order_and_see_what_those_before_did() {
    let mut second = auth("auth");
    second.allowed_headers = names(&["x-user"]);
    second.protocol = AuthProtocol::Http {
        path_prefix: "/second".into(),
        allowed_response_headers: names(&["x-user"]),
    };
    let filters = vec![Filter::ExternalAuth(auth("auth")), Filter::ExternalAuth(second)];
    let (plane, _app, auth) = by_tenant(filters);
    auth.on_path("/check", Reply::status(200, &[("x-user", "first")], ""));
    auth.on_path("/second", Reply::status(200, &[("x-user", "gold")], ""));
    assert_eq!(plane.get("a", "/").status, 200);
    let asked = auth.wait_for(2);
    assert_eq!((asked[0].target.as_str(), asked[1].target.as_str()), ("/check/", "/second/"));
    assert_eq!(asked[1].field("x-user"), Some("first"));
}
