//! The offline commands: settings with their origin, codes, completions, and agreement with
//! what `serve` does.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod support;

use std::process::{Command, Output};

use serde_json::Value;
use support::{BASE, Server, binary, shell, workspace};
use testkit::{folder::Folder, raw::Client};

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(binary());
    command.current_dir(workspace()).args(arguments);
    for (name, value) in environment {
        command.env(name, value);
    }
    command.output().expect("the binary runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn settings_come_from_flag_environment_file_and_default_in_this_order() {
    let folder = Folder::with(&[(
        "portcullis.toml",
        "workers = 3\nport-offset = 7\nclass = \"from-file\"\nlog-level = \"warn\"\n",
    )]);
    let file = folder.file("portcullis.toml");
    let output = run(
        &["config", "show", "-o", "json", "--workers", "1"],
        &[
            ("PORTCULLIS_CONFIG", file.to_str().expect("a path")),
            ("PORTCULLIS_WORKERS", "2"),
            ("PORTCULLIS_CLASS", "from-environment"),
        ],
    );
    let shown: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let setting = |name: &str| {
        let text = |field: &str| shown[name][field].as_str().expect("text").to_owned();
        (text("value"), text("from"))
    };
    assert_eq!(setting("workers"), ("1".into(), "flag --workers".into()));
    assert_eq!(
        setting("class"),
        ("from-environment".into(), "environment PORTCULLIS_CLASS".into())
    );
    assert_eq!(setting("port-offset"), ("7".into(), format!("file {}", file.display())));
    assert_eq!(setting("log-format"), ("text".into(), "default".into()));
}

#[test]
fn settings_of_a_controller_come_from_the_same_places() {
    let folder = Folder::with(&[(
        "portcullis.toml",
        "inline = true\nlease-name = \"from-file\"\nlink-service = \"file.example:1\"\n",
    )]);
    let file = folder.file("portcullis.toml");
    let output = run(
        &["config", "show", "-o", "json", "--own-address", "10.0.0.7"],
        &[
            ("PORTCULLIS_CONFIG", file.to_str().expect("a path")),
            ("PORTCULLIS_LEASE_NAME", "from-environment"),
            ("POD_NAME", "controller-0"),
            ("POD_IP", "10.0.0.8"),
        ],
    );
    let shown: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let setting = |name: &str| {
        let text = |field: &str| shown[name][field].as_str().expect("text").to_owned();
        (text("value"), text("from"))
    };
    assert_eq!(setting("inline").0, "true");
    assert_eq!(setting("lease-name").0, "from-environment");
    assert_eq!(setting("link-service").0, "file.example:1");
    assert_eq!(setting("own-address"), ("10.0.0.7".into(), "flag --own-address".into()));
    assert_eq!(setting("lease-identity"), ("controller-0".into(), "default".into()));
    let refused = run(&["config", "show", "--link-address", "nowhere"], &[]);
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("link-address") && text.contains("IP address"), "{text}");
}

#[test]
fn an_unknown_setting_in_the_file_is_refused() {
    let folder = Folder::with(&[("portcullis.toml", "wrokers = 3\n")]);
    let file = folder.file("portcullis.toml");
    let output = run(&["config", "show", "--config", file.to_str().expect("a path")], &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("wrokers") && text.contains("workers"), "{text}");
}

#[test]
fn a_code_is_explained_and_an_unknown_one_refused() {
    let text = stdout(&run(&["code", "pc0203"], &[]));
    assert!(text.starts_with("PC0203 (error): "), "{text}");
    assert_eq!(run(&["code", "PC9999"], &[]).status.code(), Some(1));
    assert!(stdout(&run(&["code"], &[])).lines().count() > 50);
}

#[test]
fn completions_and_manual_are_generated() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&run(&["completions", shell], &[])).contains("portcullis"), "{shell}");
    }
    let page = stdout(&run(&["man"], &[]));
    assert!(page.contains(".TH portcullis") && page.contains("portcullis-serve"), "{page}");
}

#[test]
fn what_is_read_from_standard_input_counts_like_a_file() {
    use std::{io::Write, process::Stdio};
    let mut child = Command::new(binary())
        .args(["status", "-o", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let text = "{apiVersion: gateway.networking.k8s.io/v1, kind: GatewayClass, metadata: {name: p}, spec: {controllerName: portcullis.dev/gateway-controller}}";
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("an end");
    let status: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(status["items"][0]["kind"], "GatewayClass");
}

/// `explain` says before what `serve` then does, request by request.
#[test]
fn explain_agrees_with_serve() {
    let example = "examples/header-routing";
    let server = Server::start(&[example, "--demo"]);
    let mut client = Client::connect(server.listener(8080));
    let methods = ["GET", "POST", "PUT"];
    let paths = ["/", "/orders", "/orders/1", "/ordersx", "/x?preview=1", "/orders?preview=2"];
    let hosts = ["www.example.com", "a.b.example.com", "example.com"];
    let agents = ["curl/8", "Mozilla (iPhone)"];
    let mut routed = 0;
    for method in methods {
        for path in paths {
            for host in hosts {
                for agent in agents {
                    client.send(format!(
                        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {agent}\r\n\
                         content-length: 0\r\n\r\n"
                    ));
                    let response = client.response(method);
                    let url = format!("http://{host}:8080{path}");
                    let header = format!("user-agent: {agent}");
                    let explained = run(
                        &["explain", "-f", example, "--demo", "-X", method, "-H", &header, &url],
                        &[],
                    );
                    let text = stdout(&explained);
                    if response.status == 200 {
                        let backend = response.json()["backend"].as_str().expect("it").to_owned();
                        assert!(
                            text.contains(&backend),
                            "{method} {url} {agent}: {backend}\n{text}"
                        );
                        assert_eq!(explained.status.code(), Some(0));
                        routed += 1;
                    } else {
                        assert_eq!(response.status, 404);
                        assert_eq!(explained.status.code(), Some(1), "{text}");
                    }
                }
            }
        }
    }
    assert!(routed > 50, "{routed}");
}

/// The same conditions, whether asked offline or of the process that serves.
#[test]
fn status_shows_what_the_admin_endpoint_shows() {
    let conditions = |status: &Value| {
        let mut lines = Vec::new();
        for item in status["items"].as_array().expect("items") {
            let object = format!("{} {}", item["kind"], item["metadata"]);
            collect(&item["status"], &object, &mut lines);
        }
        lines.sort();
        lines
    };
    for example in ["cross-namespace", "role-separation", "tls"] {
        let path = format!("examples/{example}");
        let server = Server::start(&[&path, "--demo"]);
        let served = conditions(&server.admin_json("/status"));
        let output = stdout(&run(&["status", "-o", "json", "--demo", &path], &[]));
        let offline = conditions(&serde_json::from_str(&output).expect("JSON"));
        assert!(!served.is_empty());
        assert_eq!(served, offline, "{example}");
    }
}

/// Each condition below a value, without its time, and each number of attached routes.
fn collect(value: &Value, place: &str, lines: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let (Some(kind), Some(status)) = (fields.get("type"), fields.get("status")) {
                let (reason, message) = (&fields["reason"], &fields["message"]);
                lines.push(format!("{place}: {kind}={status}/{reason} {message}"));
            }
            for (name, field) in fields {
                if name == "attachedRoutes" {
                    lines.push(format!("{place}: {field} routes"));
                }
                collect(field, place, lines);
            }
        }
        Value::Array(list) => list.iter().for_each(|one| collect(one, place, lines)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Explains a URL and checks that it names the backend, or that nothing takes it.
fn agrees(example: &str, arguments: &[&str], url: &str, backend: Option<&str>) {
    let mut all = vec!["explain", "-f", example, "--demo"];
    all.extend(arguments);
    all.push(url);
    let explained = run(&all, &[]);
    let text = stdout(&explained);
    match backend {
        Some(backend) => {
            assert!(text.contains(backend), "{url} {arguments:?}: {backend}\n{text}");
            assert_eq!(explained.status.code(), Some(0), "{text}");
        }
        None => assert_eq!(explained.status.code(), Some(1), "{url} {arguments:?}\n{text}"),
    }
}

/// The backend that an echo of the demo names, if there is one.
fn echoed(answer: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    Some(answer["backend"].as_str()?.to_owned())
}

#[test]
fn explain_agrees_with_serve_on_calls_handshakes_and_connections() {
    let example = "examples/tls-mixed";
    let server = Server::start(&[example, "--demo"]);
    let mut routed = 0;
    for host in
        ["www.example.com", "blue.tenants.example.com", "red.tenants.example.com", "other.test"]
    {
        let url = format!("https://{host}:8443/");
        let curl = format!("curl -sk --resolve {host}:8443:127.0.0.1 {url}");
        let backend = echoed(&shell(&server.adapt(&curl)));
        agrees(example, &[], &url, backend.as_deref());
        routed += usize::from(backend.is_some());
    }
    assert_eq!(routed, 2);

    let example = "examples/tcp-and-udp";
    let server = Server::start(&[example, "--demo"]);
    let backend = echoed(&shell(&server.adapt("curl -s http://127.0.0.1:5432/")));
    assert!(backend.is_some());
    agrees(example, &[], "tcp://127.0.0.1:5432", backend.as_deref());

    let example = "examples/grpc";
    let server = Server::start(&[example, "--demo"]);
    for (call, header, routed) in [
        ("shop.Cart/Add", "x-canary: always", true),
        ("shop.Cart/Add", "x-canary: never", true),
        ("shop.Stock/Get", "x-canary: always", true),
        ("shop.Stock/Put", "x-canary: always", false),
    ] {
        let place = format!("127.0.0.1:8080/{call}");
        let curl = format!(
            "printf '\\0\\0\\0\\0\\0' | curl -s -o /dev/null -D - --http2-prior-knowledge -H '{header}' \
             -H 'content-type: application/grpc' --data-binary @- http://{place}"
        );
        let heads = shell(&server.adapt(&curl));
        let line = heads.lines().find_map(|line| line.strip_prefix("x-portcullis-backend: "));
        assert_eq!(line.is_some(), routed, "{heads}");
        agrees(example, &["-H", header], &format!("grpc://{place}"), line.map(str::trim));
    }
}

#[test]
fn explain_says_why_a_route_for_the_host_is_attached_nowhere() {
    let route = "---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: wbe}]
  hostnames: [shop.example]
";
    let folder = Folder::with(&[("all.yaml", &format!("{BASE}{route}"))]);
    let path = folder.path().to_str().expect("a path");
    let asked = run(&["explain", "-f", path, "http://shop.example:8080/"], &[]);
    assert_eq!(asked.status.code(), Some(1));
    let text = stdout(&asked);
    let expected = "~ HTTPRoute default/shop is for this host too, but attached nowhere: \
                    Gateway default/wbe does not exist; did you mean web?";
    assert!(text.contains(expected), "{text}");
    let other = stdout(&run(&["explain", "-f", path, "http://other.example:8080/"], &[]));
    assert!(!other.contains("attached nowhere"), "{other}");
}
