//! `serve` as an operator sees it: changes, broken edits, ports in use, the end.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod support;

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use serde_json::Value;
use support::{BASE, OFFSET, Server, route, serve};
use testkit::{
    eventually,
    folder::Folder,
    gate::Gate,
    process::Process,
    raw::{Client, get},
    recorder::{Recorder, Reply},
};

fn json(address: SocketAddr, path: &str) -> Value {
    let response = get(address, "localhost", path);
    assert_eq!(response.status, 200, "{path}");
    response.json()
}

fn condition(server: &Server, kind: &str, condition: &str, listener: bool) -> (String, String) {
    let status = json(server.admin, "/status");
    let items = status["items"].as_array().expect("items").clone();
    let object = items.iter().find(|item| item["kind"] == kind).expect("the object");
    let conditions = if listener {
        object["status"]["listeners"][0]["conditions"].clone()
    } else {
        object["status"]["conditions"].clone()
    };
    let all = conditions.as_array().expect("conditions");
    let found = all.iter().find(|one| one["type"] == condition).expect("the condition");
    let text = |field: &str| found[field].as_str().expect("text").to_owned();
    (text("status"), text("reason"))
}

#[test]
fn a_changed_file_becomes_a_new_revision_and_idle_connections_stay() {
    let (one, two) = (Recorder::named("one"), Recorder::named("two"));
    let folder = Folder::with(&[("base.yaml", BASE), ("one.yaml", &route("one", "/", &one))]);
    let server = serve(&folder);
    let mut idle = Client::connect(server.listener(8080));
    assert_eq!(idle.get("a.example", "/two").json()["backend"], "one");

    folder.replace("two.yaml", &route("two", "/two", &two));
    eventually("the new route", || {
        (get(server.listener(8080), "a.example", "/two").json()["backend"] == "two").then_some(())
    });
    assert_eq!(idle.get("a.example", "/two").json()["backend"], "two", "on the old connection");

    folder.remove("two.yaml");
    eventually("the route to go", || {
        (idle.get("a.example", "/two").json()["backend"] == "one").then_some(())
    });
}

#[test]
fn a_broken_edit_keeps_the_last_good_object_and_heals() {
    let (one, two) = (Recorder::named("one"), Recorder::named("two"));
    let good = route("one", "/", &one);
    let folder = Folder::with(&[("base.yaml", BASE), ("one.yaml", &good)]);
    let server = serve(&folder);
    let address = server.listener(8080);
    folder.replace("one.yaml", &good.replace("type: PathPrefix", "type: Prefixed"));
    server.process.wait_for_line("PC0110");
    assert_eq!(get(address, "a.example", "/").json()["backend"], "one");
    let findings = json(server.admin, "/findings")["items"].to_string();
    assert!(findings.contains("Prefixed"), "{findings}");

    folder.replace("one.yaml", &route("two", "/", &two));
    eventually("the mended file", || {
        (get(address, "a.example", "/").json()["backend"] == "two").then_some(())
    });
    assert_eq!(json(server.admin, "/findings")["items"], Value::Array(Vec::new()));
}

#[test]
fn a_port_in_use_is_said_and_the_rest_serves() {
    let backend = Recorder::named("one");
    let base = format!("{BASE}    - {{name: taken, port: 8081, protocol: HTTP}}\n");
    let folder = Folder::with(&[("base.yaml", &base), ("one.yaml", &route("one", "/", &backend))]);
    // The same address that the server will have is not known before, so all are taken.
    let holder = TcpListener::bind(("0.0.0.0", 8081 + OFFSET)).expect("a free port");
    let server = serve(&folder);
    assert_eq!(get(server.listener(8080), "a.example", "/").json()["backend"], "one");
    let status = json(server.admin, "/status").to_string();
    assert!(status.contains("PortUnavailable"), "{status}");
    server.process.wait_for_line("PC0901");
    server.process.wait_for_line(":18081 (not bound)");
    let taken = server.listener(8081);
    drop(holder);
    eventually("the port to be tried again", || {
        let answer = testkit::process::get_status(taken, "/");
        (answer == Some(200)).then_some(())
    });
    assert_eq!(
        condition(&server, "Gateway", "Programmed", true),
        ("True".into(), "Programmed".into())
    );
}

#[test]
fn sigterm_finishes_what_is_under_way_and_exits_with_0() {
    let gate = Gate::new();
    let backend = Recorder::named("slow");
    backend.always(Reply::echo().held_by(&gate));
    let folder = Folder::with(&[("base.yaml", BASE), ("one.yaml", &route("one", "/", &backend))]);
    let mut server = serve(&folder);
    let address = server.listener(8080);
    let mut client = Client::connect(address);
    client.send("GET /slow HTTP/1.1\r\nhost: a.example\r\n\r\n");
    backend.wait_for_heads(1);
    server.process.signal("TERM");
    eventually("not ready", || {
        (testkit::process::get_status(server.health, "/readyz") == Some(503)).then_some(())
    });
    gate.open();
    let response = client.response("GET");
    assert_eq!(response.status, 200);
    assert_eq!(response.field("connection"), Some("close"));
    let status = server.process.wait_exit(Duration::from_secs(20)).expect("an end");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_admin_endpoint_drains_too() {
    let backend = Recorder::named("one");
    let folder = Folder::with(&[("base.yaml", BASE), ("one.yaml", &route("one", "/", &backend))]);
    let mut server = serve(&folder);
    let mut admin = Client::connect(server.admin);
    admin.send("POST /drain HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(admin.response("POST").status, 202);
    let status = server.process.wait_exit(Duration::from_secs(20)).expect("an end");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn admin_endpoints_show_table_endpoints_and_level_and_refuse_other_names() {
    let backend = Recorder::named("one");
    let folder = Folder::with(&[("base.yaml", BASE), ("one.yaml", &route("one", "/", &backend))]);
    let server = serve(&folder);
    assert!(get(server.admin, "localhost", "/config").text().contains("HTTPRoute default/one"));
    let endpoints = json(server.admin, "/endpoints").to_string();
    assert!(endpoints.contains(&backend.addr().to_string()), "{endpoints}");
    assert_eq!(get(server.admin, "evil.example", "/config").status, 403);
    let mut admin = Client::connect(server.admin);
    admin.send("PUT /log-level HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\ndebug");
    assert_eq!(admin.response("PUT").status, 200);
    admin.send("PUT /log-level HTTP/1.1\r\nhost: localhost\r\ncontent-length: 6\r\n\r\nlouder");
    let refusal = admin.response("PUT");
    assert_eq!(refusal.status, 400);
    assert!(refusal.text().contains("\"louder\" is no log level"), "{}", refusal.text());
    assert_eq!(get(server.admin, "localhost", "/log-level").text().trim(), "debug");
}

#[test]
fn metrics_name_gateway_listener_route_rule_and_backend() {
    let backend = Recorder::named("one");
    let folder = Folder::with(&[("base.yaml", BASE), ("one.yaml", &route("one", "/x", &backend))]);
    let server = serve(&folder);
    let mut client = Client::connect(server.listener(8080));
    assert_eq!(client.get("a.example", "/x").status, 200);
    assert_eq!(client.get("a.example", "/missing").status, 404);
    let metrics = get(server.health, "localhost", "/metrics").text();
    for part in [
        "gateway=\"default/web\"",
        "listener=\"http\"",
        "route=\"HTTPRoute default/one\"",
        "backend=\"default/one:80\"",
        "no_route",
        "portcullis_revision 1",
    ] {
        assert!(metrics.contains(part), "no {part} in\n{metrics}");
    }
}

#[test]
fn the_access_log_names_the_rule_or_the_closest_one() {
    let backend = Recorder::named("one");
    let folder =
        Folder::with(&[("base.yaml", BASE), ("one.yaml", &route("one", "/shop", &backend))]);
    let server = serve(&folder);
    let mut client = Client::connect(server.listener(8080));
    client.get("a.example", "/shop/1");
    let line = server.process.wait_for_line("/shop/1");
    let record: Value = serde_json::from_str(&line).expect("a JSON line");
    assert_eq!(record["route"], "HTTPRoute default/one");
    assert_eq!(record["backend"], "default/one:80");
    assert_eq!(record["status"], 200);
    client.get("a.example", "/shopping");
    let line = server.process.wait_for_line("/shopping");
    let record: Value = serde_json::from_str(&line).expect("a JSON line");
    assert_eq!(record["reason"], "no_route");
    assert!(line.contains("default/one"), "the closest rule is named: {line}");
}

#[test]
fn a_service_without_endpoints_is_503_and_a_missing_one_500() {
    let text = format!(
        "{BASE}---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: r}}
spec:
  parentRefs: [{{name: web}}]
  rules:
    - matches: [{{path: {{type: PathPrefix, value: /empty}}}}]
      backendRefs: [{{name: empty, port: 80}}]
    - matches: [{{path: {{type: PathPrefix, value: /gone}}}}]
      backendRefs: [{{name: gone, port: 80}}]
---
apiVersion: v1
kind: Service
metadata: {{name: empty}}
spec: {{ports: [{{port: 80}}]}}
"
    );
    let folder = Folder::with(&[("all.yaml", &text)]);
    let server = serve(&folder);
    let mut client = Client::connect(server.listener(8080));
    assert_eq!(client.get("a.example", "/empty").status, 503);
    assert_eq!(client.get("a.example", "/gone").status, 500);
    assert_eq!(client.get("a.example", "/").status, 404);
}

#[test]
fn a_wrong_setting_is_refused_with_where_it_came_from() {
    for (flag, value, help) in [
        ("--admin-address", "0.0.0.0:1", "loopback"),
        ("--metrics-address", "here", "such as 127.0.0.1:9180"),
        ("--port-offset", "70000", "0 to 65535"),
        ("--workers", "0", "a number from 1"),
        ("--address", "300.1.1.1", "CIDR"),
        ("--log-level", "louder", "use error, warn"),
        ("--drain-min", "soon", "a duration such as"),
        ("--drain-min", "2m", "drain-deadline"),
    ] {
        let mut command = std::process::Command::new(support::binary());
        command.args(["serve", "examples/quickstart", flag, value]);
        let mut process = Process::start(command.current_dir(support::workspace()));
        let status = process.wait_exit(Duration::from_secs(20)).expect("an end");
        assert_eq!(status.code(), Some(1), "{flag} {value}");
        eventually("the message", || process.stderr().first().cloned());
        let text = process.stderr().join("\n");
        assert!(text.contains(help), "{text}");
        assert!(text.contains(&format!("flag {flag}")) || value == "2m", "{text}");
    }
}

#[test]
fn a_listener_serves_on_an_ipv6_address() {
    let backend = Recorder::named("one");
    let folder = Folder::with(&[("base.yaml", BASE), ("one.yaml", &route("one", "/", &backend))]);
    let server = Server::start_on("::1", &[folder.path().to_str().expect("a path")]);
    assert!(server.listener(8080).is_ipv6());
    assert_eq!(get(server.listener(8080), "a.example", "/").json()["backend"], "one");
    let head = &backend.wait_for(1)[0];
    assert_eq!(head.field("x-forwarded-for"), Some("::1"));
}

#[test]
fn the_process_is_alive_while_it_drains_and_other_paths_are_not_found() {
    let gate = Gate::new();
    let backend = Recorder::named("slow");
    backend.always(Reply::echo().held_by(&gate));
    let folder = Folder::with(&[("base.yaml", BASE), ("one.yaml", &route("one", "/", &backend))]);
    let server = serve(&folder);
    let status = |path: &str| testkit::process::get_status(server.health, path);
    assert_eq!((status("/livez"), status("/readyz")), (Some(200), Some(200)));
    assert_eq!((status("/"), status("/config")), (Some(404), Some(404)));
    let mut client = Client::connect(server.listener(8080));
    client.send("GET / HTTP/1.1\r\nhost: a.example\r\n\r\n");
    backend.wait_for_heads(1);
    server.process.signal("TERM");
    eventually("not ready", || (status("/readyz") == Some(503)).then_some(()));
    assert_eq!(status("/livez"), Some(200), "a kubelet must not kill what drains");
    gate.open();
    assert_eq!(client.response("GET").status, 200);
}

#[test]
fn a_path_that_does_not_exist_is_refused() {
    let mut command = std::process::Command::new(support::binary());
    let mut process = Process::start(command.args(["serve", "no-such-folder"]));
    let status = process.wait_exit(Duration::from_secs(20)).expect("an end");
    assert_eq!(status.code(), Some(1));
    process.wait_for_line("no-such-folder does not exist");
}
