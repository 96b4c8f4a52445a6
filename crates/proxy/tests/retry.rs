//! Requests that survive a failing backend: retries, their budget, and endpoints that get a pause.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, cluster, to};
use ir::{Action, Cluster, ClusterId, Outlier, Retry, RetryBudget, Rule, Target, Timeouts};
use proxy::Reason;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use testkit::{
    ports::Port,
    recorder::{Recorder, Reply},
};

fn retry(attempts: u32, codes: &[u16]) -> Option<Retry> {
    Some(Retry { attempts, codes: codes.to_vec(), backoff: None })
}

fn failing(status: u16) -> Reply {
    Reply::new().read_body().bytes(format!("HTTP/1.1 {status} no\r\ncontent-length: 0\r\n\r\n"))
}

/// A rule for everything, to the Service `app` at these addresses.
fn serve(addresses: &[SocketAddr], edit: impl FnOnce(&mut Rule)) -> Plane {
    let plane = Plane::start();
    let mut config = Config::http(plane.number());
    config.service("app", addresses);
    let mut all = to("/", "app");
    edit(&mut all);
    config.route("all", vec![all]);
    plane.apply(&mut config);
    plane
}

/// Changes the cluster of the one backend.
fn edit_cluster(rule: &mut Rule, edit: impl FnOnce(&mut Cluster)) {
    let Action::Forward(backends) = &mut rule.action else { return };
    let mut changed = (*cluster("app").0).clone();
    edit(&mut changed);
    backends[0].target = Target::Cluster(ClusterId(Arc::new(changed)));
}

#[test]
fn a_listed_code_is_tried_again_until_the_backend_answers_well() {
    let recorder = Recorder::start();
    let plane = serve(&[recorder.addr()], |rule| rule.retry = retry(3, &[500, 503]));
    recorder.script(failing(500)).script(failing(503));
    let mut client = plane.client();
    client.send("POST /order HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello");
    let response = client.response("POST");
    assert_eq!((response.status, &response.json()["body"]), (200, &"hello".into()));
    let bodies: Vec<_> = recorder.wait_for(3).iter().map(|request| request.text()).collect();
    assert_eq!(bodies, ["hello", "hello", "hello"]);
}

#[test]
fn when_retries_are_used_up_the_client_sees_the_backends_last_answer() {
    let recorder = Recorder::start();
    let plane = serve(&[recorder.addr()], |rule| rule.retry = retry(2, &[503]));
    for _ in 0..3 {
        recorder.script(failing(503));
    }
    assert_eq!(plane.get("a", "/").status, 503);
    assert_eq!(recorder.wait_for(3).len(), 3);
    assert_eq!(plane.reason(Reason::NoEndpoint), 0);
}

#[test]
fn a_code_that_is_not_listed_is_passed_on() {
    let recorder = Recorder::start();
    let plane = serve(&[recorder.addr()], |rule| rule.retry = retry(3, &[503]));
    recorder.script(failing(500));
    assert_eq!(plane.get("a", "/").status, 500);
    assert_eq!(recorder.requests().len(), 1);
}

#[test]
fn no_retries_are_made_where_the_rule_says_none() {
    let recorder = Recorder::start();
    let plane = serve(&[recorder.addr()], |rule| rule.retry = retry(0, &[500]));
    recorder.script(failing(500));
    assert_eq!(plane.get("a", "/").status, 500);
    assert_eq!(recorder.requests().len(), 1);
}

#[test]
fn a_retry_goes_to_another_endpoint_while_there_is_one() {
    let (first, second) = (Recorder::named("first"), Recorder::named("second"));
    let plane = serve(&[first.addr(), second.addr()], |rule| rule.retry = retry(1, &[503]));
    first.always(failing(503));
    for _ in 0..6 {
        assert_eq!(plane.get("a", "/").json()["backend"], "second");
    }
}

#[test]
fn a_lost_request_is_repeated_for_idempotent_methods_only() {
    let recorder = Recorder::start();
    let plane = serve(&[recorder.addr()], |rule| rule.retry = retry(1, &[]));
    recorder.script(Reply::new().read_body().close());
    assert_eq!(plane.get("a", "/").status, 200);
    assert_eq!(recorder.wait_for(2).len(), 2);
    recorder.script(Reply::new().read_body().close());
    let mut client = plane.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx");
    assert_eq!(client.response("POST").status, 502);
    assert_eq!(recorder.wait_for(3).len(), 3);
}

#[test]
fn an_attempt_that_takes_too_long_is_tried_again() {
    let recorder = Recorder::start();
    let plane = serve(&[recorder.addr()], |rule| {
        rule.retry = retry(1, &[]);
        rule.timeouts.backend_request = Some(Duration::from_millis(60));
    });
    recorder.script(Reply::new());
    assert_eq!(plane.get("a", "/").status, 200);
    assert_eq!(recorder.wait_for_heads(2).len(), 2);
}

#[test]
fn all_attempts_together_stay_within_the_time_of_the_request() {
    let recorder = Recorder::start();
    recorder.always(failing(503));
    let plane = serve(&[recorder.addr()], |rule| {
        rule.retry = Some(Retry {
            attempts: 1000,
            codes: vec![503],
            backoff: Some(Duration::from_millis(20)),
        });
        rule.timeouts =
            Timeouts { request: Some(Duration::from_millis(80)), backend_request: None };
        edit_cluster(rule, |cluster| {
            let hour = Duration::from_secs(3600);
            cluster.retry_budget = Some(RetryBudget {
                percent: 100,
                interval: hour,
                min_retries: 1_000_000,
                min_interval: hour,
            });
        });
    });
    assert_eq!(plane.get("a", "/").status, 504);
    assert_eq!(plane.reason(Reason::RequestTimeout), 1);
}

#[test]
fn a_refused_connection_is_tried_as_often_as_the_rule_says() {
    let (dead, recorder) = (Port::free(), Recorder::start());
    let dead = SocketAddr::new(common::LOCALHOST, dead.number());
    let plane = serve(&[dead, recorder.addr()], |rule| rule.retry = retry(100, &[]));
    for _ in 0..10 {
        assert_eq!(plane.get("a", "/").status, 200);
    }
}

#[test]
fn a_body_that_is_too_large_to_keep_is_sent_once() {
    let recorder = Recorder::start();
    let plane = serve(&[recorder.addr()], |rule| rule.retry = retry(3, &[500]));
    recorder.script(failing(500));
    let mut client = plane.client();
    let body = "x".repeat(200 * 1024);
    client
        .send(format!("PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    assert_eq!(client.response("PUT").status, 500);
    assert_eq!(recorder.wait_for(1).len(), 1);
}

#[test]
fn a_budget_ends_retries_before_the_rule_does() {
    let recorder = Recorder::start();
    recorder.always(failing(503));
    let plane = serve(&[recorder.addr()], |rule| {
        rule.retry = retry(10, &[503]);
        edit_cluster(rule, |cluster| {
            let hour = Duration::from_secs(3600);
            cluster.retry_budget = Some(RetryBudget {
                percent: 0,
                interval: hour,
                min_retries: 2,
                min_interval: hour,
            });
        });
    });
    assert_eq!(plane.get("a", "/").status, 503);
    assert_eq!(recorder.wait_for(3).len(), 3, "the first attempt and two retries");
    assert_eq!(plane.get("a", "/").status, 503);
    assert_eq!(recorder.wait_for(4).len(), 4, "nothing is left for the second request");
}

#[test]
fn an_endpoint_that_fails_in_a_row_gets_a_pause() {
    let (dead, recorder) = (Port::free(), Recorder::start());
    let dead = SocketAddr::new(common::LOCALHOST, dead.number());
    let plane = serve(&[dead, recorder.addr()], |_| {});
    for _ in 0..30 {
        assert_eq!(plane.get("a", "/").status, 200);
    }
    assert_eq!(plane.total("connect_errors"), 5, "after five failures it is left alone");
    assert_eq!(plane.total("ejections"), 1);
    let states = plane.runtime.block_on(plane.handle.endpoints_state());
    let ejected: Vec<_> = states.iter().filter(|state| state.ejected).collect();
    assert_eq!(ejected.len(), 1);
    assert_eq!(ejected[0].endpoint.address, dead);
}

#[test]
fn ejection_can_be_turned_off_and_never_takes_the_last_endpoint() {
    let (dead, recorder) = (Port::free(), Recorder::start());
    let dead = SocketAddr::new(common::LOCALHOST, dead.number());
    let plane = serve(&[dead, recorder.addr()], |rule| {
        edit_cluster(rule, |cluster| {
            cluster.outlier = Outlier { consecutive_failures: None, ..Outlier::default() };
        });
    });
    for _ in 0..30 {
        assert_eq!(plane.get("a", "/").status, 200);
    }
    assert!(plane.total("connect_errors") >= 15, "it is asked again and again");
    let alone = serve(&[dead], |_| {});
    for _ in 0..10 {
        assert_eq!(alone.get("a", "/").status, 503);
    }
    assert_eq!(alone.total("ejections"), 0);
}

#[test]
fn an_endpoint_is_used_again_when_its_pause_is_over() {
    let port = Port::free();
    let address = SocketAddr::new(common::LOCALHOST, port.number());
    let other = Recorder::named("other");
    let plane = serve(&[address, other.addr()], |rule| {
        edit_cluster(rule, |cluster| {
            cluster.outlier = Outlier {
                consecutive_failures: Some(1),
                ejection: Duration::from_millis(50),
                max_percent: 50,
            };
        });
    });
    while plane.total("ejections") == 0 {
        assert_eq!(plane.get("a", "/").status, 200);
    }
    let back = Recorder::on("back", std::net::TcpListener::bind(address).unwrap());
    while back.requests().is_empty() {
        assert_eq!(plane.get("a", "/").status, 200);
    }
}
