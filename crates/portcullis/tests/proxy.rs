//! `portcullis proxy` as a controller and a client see it: what is served, and what survives.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by a panic, and looks for one event among all"
)]

#[path = "proxy/cluster.rs"]
mod cluster;
mod support;

use std::{process::Command, time::Duration};

use cluster::{Controller, Pod};
use link::Event;
use support::{BASE, binary, route};
use testkit::{
    eventually,
    process::{Process, get_status},
    raw::{Client, get},
    recorder::Recorder,
};

fn backend_of(pod: &Pod) -> String {
    get(pod.listener(8080), "a.example", "/").json()["backend"].as_str().expect("a name").to_owned()
}

/// A proxy that serves everything from one backend, with its controller, at a revision.
fn serving(sequence: u64) -> (Recorder, Controller, Pod) {
    let one = Recorder::named("one");
    let controller = Controller::start();
    let mut pod = controller.pod("uid-1");
    controller.publish(&pod, sequence, &[BASE, &route("one", "/", &one)]);
    pod.wait_ready();
    (one, controller, pod)
}

#[test]
fn each_proxy_serves_its_own_gateway() {
    let (one, two) = (Recorder::named("one"), Recorder::named("two"));
    let controller = Controller::start();
    let mut pods = [controller.pod("uid-1"), controller.pod("uid-2")];
    controller.publish(&pods[0], 1, &[BASE, &route("one", "/", &one)]);
    controller.publish(&pods[1], 2, &[BASE, &route("two", "/", &two)]);
    pods.iter_mut().for_each(Pod::wait_ready);
    assert_eq!([backend_of(&pods[0]), backend_of(&pods[1])], ["one", "two"]);
    assert_eq!(pods[0].admin("/link")["gateway"], "uid-1");
}

#[test]
fn a_proxy_is_ready_once_its_first_revision_serves_and_the_controller_learns_of_each_port() {
    let one = Recorder::named("one");
    let controller = Controller::start();
    let mut pod = controller.pod("uid-1");
    controller.event("the proxy", |event| matches!(event, Event::Connected { .. }));
    assert_eq!(get_status(pod.health, "/readyz"), Some(503));
    assert_eq!(get_status(pod.health, "/livez"), Some(200));
    let second = "    - {name: blocked, port: 8081, protocol: HTTP}\n";
    let held = std::net::TcpListener::bind(pod.listener(8081)).expect("a free port");
    let base = [BASE, second].concat();
    controller.publish(&pod, 5, &[&base, &route("one", "/", &one)]);
    pod.wait_ready();
    let ack = controller.ack();
    assert_eq!(ack.revision.sequence, 5);
    let results: Vec<_> = ack
        .ports
        .iter()
        .map(|port| (port.key.port - support::OFFSET, port.result.is_ok()))
        .collect();
    assert_eq!(results, [(8080, true), (8081, false)]);
    // It is tried again, and said again.
    drop(held);
    assert!(controller.ack().ports.iter().all(|port| port.result.is_ok()));
    assert_eq!(get(pod.listener(8081), "a.example", "/").status, 200);
}

#[test]
fn edits_and_endpoints_reach_the_traffic() {
    let (one, two) = (Recorder::named("one"), Recorder::named("two"));
    let controller = Controller::start();
    let mut pod = controller.pod("uid-1");
    controller.publish(&pod, 1, &[BASE, &route("app", "/", &one)]);
    pod.wait_ready();
    let mut idle = Client::connect(pod.listener(8080));
    assert_eq!(idle.get("a.example", "/").json()["backend"], "one");
    controller.publish_endpoints(&pod, &[BASE, &route("app", "/", &two)]);
    eventually("the other endpoint", || {
        (idle.get("a.example", "/").json()["backend"] == "two").then_some(())
    });
    assert_eq!(pod.admin("/link")["serves"], "1.1", "endpoints need no revision");
    controller.publish(&pod, 2, &[BASE, &route("app", "/only", &two)]);
    eventually("the edited route", || (idle.get("a.example", "/").status == 404).then_some(()));
    assert_eq!(idle.get("a.example", "/only").json()["backend"], "two");
}

#[test]
fn traffic_goes_on_while_the_controller_is_away_and_when_it_comes_back() {
    let (one, mut controller, pod) = serving(1);
    let mut client = Client::connect(pod.listener(8080));
    controller.stop();
    eventually("the end of the stream", || {
        pod.admin("/link")["controller"].is_null().then_some(())
    });
    assert_eq!(client.get("a.example", "/").status, 200);
    assert_eq!(get_status(pod.health, "/readyz"), Some(200));
    controller.restart();
    controller.publish(&pod, 2, &[BASE, &route("one", "/changed", &one)]);
    eventually("the new revision", || (client.get("a.example", "/").status == 404).then_some(()));
    assert_eq!(client.get("a.example", "/changed").status, 200);
}

#[test]
fn a_proxy_that_starts_without_a_controller_serves_what_it_had() {
    let (_one, mut controller, mut pod) = serving(7);
    pod.wait_stored();
    controller.stop();
    pod.restart();
    pod.wait_ready();
    assert_eq!(backend_of(&pod), "one");
    assert_eq!(pod.admin("/link")["serves"], "1.7");
}

#[test]
fn a_controller_of_an_older_epoch_changes_nothing() {
    let (_one, mut controller, pod) = serving(7);
    let two = Recorder::named("two");
    controller.stop();
    controller.restart();
    controller.publish(&pod, 6, &[BASE, &route("two", "/", &two)]);
    controller.event("the refusal", |event| matches!(event, Event::Refused { .. }));
    assert_eq!(backend_of(&pod), "one");
    let metrics = get(pod.health, "localhost", "/metrics").text();
    let refused =
        metrics.lines().find(|line| line.starts_with("portcullis_link_refused_revisions"));
    assert!(refused.is_some_and(|line| !line.ends_with(" 0")), "{refused:?}");
}

#[test]
fn no_request_is_lost_while_identities_and_authorities_are_replaced() {
    let (one, mut controller, pod) = serving(1);
    let mut client = Client::connect(pod.listener(8080));
    let mut streams = || {
        assert_eq!(client.get("a.example", "/").status, 200);
        pod.admin("/link")["connections"].as_u64().expect("a number")
    };
    let before = streams();
    controller.rotate();
    eventually("a stream with the new identity", || (streams() > before).then_some(()));
    controller.retire();
    controller.publish(&pod, 2, &[BASE, &route("one", "/changed", &one)]);
    eventually("the new revision", || (client.get("a.example", "/").status == 404).then_some(()));
    let link = pod.admin("/link");
    assert_eq!((&link["failures"], &link["lastError"]), (&0.into(), &serde_json::Value::Null));
    assert_eq!(one.connections(), 1, "not even the way to the backend was opened anew");
}

#[test]
fn sigterm_ends_it_gracefully() {
    let (_one, _controller, mut pod) = serving(1);
    pod.process.signal("TERM");
    let status = pod.process.wait_exit(Duration::from_secs(15)).expect("it ends");
    assert!(status.success(), "{:?}", pod.process.stderr());
}

#[test]
fn a_proxy_that_ends_serves_on_for_a_while_and_follows_endpoints() {
    let (one, two) = (Recorder::named("one"), Recorder::named("two"));
    let controller = Controller::start();
    let mut pod = controller.pod_that_drains("uid-1", "1h");
    controller.publish(&pod, 1, &[BASE, &route("app", "/", &one)]);
    pod.wait_ready();
    pod.process.signal("TERM");
    eventually("the drain", || (get_status(pod.health, "/readyz") == Some(503)).then_some(()));
    assert_eq!(backend_of(&pod), "one");
    controller.publish_endpoints(&pod, &[BASE, &route("app", "/", &two)]);
    eventually("the other endpoint", || (backend_of(&pod) == "two").then_some(()));
}

#[test]
fn a_proxy_whose_gateway_is_gone_waits_for_no_new_connections_when_it_ends() {
    let one = Recorder::named("one");
    let controller = Controller::start();
    let before = controller.pod_that_drains("uid-1", "1h");
    let after = controller.pod_that_drains("uid-2", "1h");
    let mut pods = [before, after];
    for pod in &mut pods {
        controller.publish(pod, 1, &[BASE, &route("one", "/", &one)]);
        pod.wait_ready();
    }
    let [before, after] = &mut pods;
    controller.retract(before);
    eventually("the word of it", || (before.admin("/link")["retracted"] == true).then_some(()));
    before.process.signal("TERM");
    after.process.signal("TERM");
    eventually("the drain", || (get_status(after.health, "/readyz") == Some(503)).then_some(()));
    controller.retract(after);
    for pod in &mut pods {
        let status = pod.process.wait_exit(testkit::DEADLINE).expect("it ends");
        assert!(status.success(), "{:?}", pod.process.stderr());
    }
}

#[test]
fn a_hook_that_waits_for_the_drain_is_done_when_the_gateway_is_gone() {
    let one = Recorder::named("one");
    let controller = Controller::start();
    let mut pod = controller.pod_that_drains("uid-1", "1h");
    controller.publish(&pod, 1, &[BASE, &route("one", "/", &one)]);
    pod.wait_ready();
    let mut command = Command::new(binary());
    command.args(["drain", "--wait", "--admin-address", &pod.admin_address().to_string()]);
    let mut hook = Process::start(&mut command);
    hook.wait_for_line("draining");
    assert_eq!(backend_of(&pod), "one", "it goes on accepting");
    controller.retract(&pod);
    hook.wait_for_line("nothing new is accepted");
    for process in [&mut hook, &mut pod.process] {
        let status = process.wait_exit(testkit::DEADLINE).expect("it ends");
        assert!(status.success(), "{:?}", process.stderr());
    }
}

#[test]
fn wrong_use_is_told_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("a path");
    let cases: [(&[&str], &str); 4] = [
        (&["--identity", path], "use --controller HOST:PORT"),
        (&["--controller", "127.0.0.1:1"], "use --identity FOLDER"),
        (&["--controller", "nowhere", "--identity", path], "use a host and a port"),
        (&["--controller", "127.0.0.1:1", "--identity", path], "tls.crt is missing"),
    ];
    for (arguments, said) in cases {
        let mut command = Command::new(binary());
        command.arg("proxy").args(arguments);
        command.args(["--metrics-address", "127.0.0.1:0", "--admin-address", "127.0.0.1:0"]);
        let mut process = Process::start(&mut command);
        let status = process.wait_exit(Duration::from_secs(15)).expect("it ends");
        assert_eq!(status.code(), Some(1));
        let errors = process.stderr().join("\n");
        assert!(errors.contains(said), "{said}: {errors}");
    }
}
