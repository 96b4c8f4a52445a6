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
use support::{Server, binary, workspace};
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
