//! Runs the built binary the way a reader of the documentation would.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by a panic"
)]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};

use serde_json::Value;
use testkit::{folder::Folder, ports::Port, process::Process, raw::get, recorder::Recorder};

pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_portcullis")
}

pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// Added to the ports that documents use, so that a server on 8080 does not disturb the tests.
pub const OFFSET: u16 = 10_000;

/// A running `portcullis serve` on a loopback address of its own.
pub struct Server {
    pub process: Process,
    pub address: String,
    pub health: SocketAddr,
    pub admin: SocketAddr,
    _ports: (Port, Port),
}

impl Server {
    /// Starts `serve` with `arguments` in the workspace folder and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_on(&own_address(), arguments)
    }

    /// As [`Server::start`], with the value of `--address`.
    pub fn start_on(address: &str, arguments: &[&str]) -> Self {
        Self::draining(address, arguments, "0s")
    }

    /// As [`Server::start_on`], with the value of `--drain-min`.
    pub fn draining(address: &str, arguments: &[&str], drain_min: &str) -> Self {
        let ports = (Port::free(), Port::free());
        let health = SocketAddr::from(([127, 0, 0, 1], ports.0.number()));
        let admin = SocketAddr::from(([127, 0, 0, 1], ports.1.number()));
        let mut command = Command::new(binary());
        command
            .current_dir(workspace())
            .arg("serve")
            .args(arguments)
            .args(["--address", address, "--port-offset", &OFFSET.to_string()])
            .args(["--metrics-address", &health.to_string()])
            .args(["--admin-address", &admin.to_string()])
            .args(["--workers", "2", "--drain-min", drain_min, "--drain-deadline", "2h"]);
        let mut process = Process::start(&mut command);
        process.wait_ready(health);
        Self { process, address: address.to_owned(), health, admin, _ports: ports }
    }

    /// The socket of a listener, by the port in its object.
    pub fn listener(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address.parse().expect("an address"), port + OFFSET)
    }

    /// What an admin path answers, as JSON.
    pub fn admin_json(&self, path: &str) -> Value {
        let response = get(self.admin, "localhost", path);
        assert_eq!(response.status, 200, "{path}");
        response.json()
    }

    /// A command of a document with this server's address and ports.
    pub fn adapt(&self, command: &str) -> String {
        let text = command.replace("127.0.0.1:9180", "HEALTH").replace("127.0.0.1:9181", "ADMIN");
        let mut text = text.replace("127.0.0.1", &self.address);
        for port in [5353_u16, 5432, 8080, 8081, 8443] {
            for before in [':', '/'] {
                let theirs = format!("{before}{port}");
                text = text.replace(&theirs, &format!("{before}{}", port + OFFSET));
            }
        }
        text.replace("HEALTH", &self.health.to_string()).replace("ADMIN", &self.admin.to_string())
    }
}

/// A loopback address that no other test of this machine uses at the same time, as a rule: the
/// process id and a counter choose it.
pub fn own_address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(2);
    let id = std::process::id();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("127.{}.{}.{next}", 64 + (id >> 8) % 128, id % 256)
}

/// A class and a Gateway with one HTTP listener on 8080; its list of listeners can be continued.
pub const BASE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: portcullis}
spec: {controllerName: portcullis.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web}
spec:
  gatewayClassName: portcullis
  listeners:
    - {name: http, port: 8080, protocol: HTTP}
";

/// A route for a path prefix, and the Service of the same name at the backend.
pub fn route(name: &str, prefix: &str, backend: &Recorder) -> String {
    format!(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: web}}]
  rules:
    - matches: [{{path: {{type: PathPrefix, value: {prefix}}}}}]
      backendRefs: [{{name: {name}, port: 80}}]
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
  annotations: {{portcullis.dev/endpoints: \"{}\"}}
spec: {{ports: [{{port: 80}}]}}
",
        backend.addr()
    )
}

/// Serves a folder.
pub fn serve(folder: &Folder) -> Server {
    Server::start(&[folder.path().to_str().expect("a path")])
}

/// A command of a document and the lines that its output must hold, in this order.
#[derive(Debug)]
pub struct Step {
    pub command: String,
    pub expected: Vec<String>,
}

/// The `$` lines of all ```console blocks, with what follows each.
pub fn steps(document: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in document.lines() {
        match (inside, line.trim_end()) {
            (false, "```console") => inside = true,
            (true, "```") => inside = false,
            (true, line) => {
                if let Some(command) = line.strip_prefix("$ ") {
                    steps.push(Step { command: command.to_owned(), expected: Vec::new() });
                } else if let Some(step) = steps.last_mut()
                    && !line.trim().is_empty()
                {
                    step.expected.push(line.trim().to_owned());
                }
            }
            (false, _) => {}
        }
    }
    steps
}

/// Runs a shell command in the workspace; what it printed on standard output.
pub fn shell(command: &str) -> String {
    shell_in(&workspace(), command)
}

/// Runs a shell command in a folder; what it printed on standard output.
pub fn shell_in(folder: &Path, command: &str) -> String {
    let command = match command.strip_prefix("portcullis ") {
        Some(rest) => format!("'{}' {rest}", binary()),
        None => command.to_owned(),
    };
    let output = Command::new("bash")
        .args(["-c", &command])
        .current_dir(folder)
        .output()
        .expect("bash runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Panics unless `output` holds each expected line, without regard to case, in order.
pub fn check(step: &Step, command: &str, output: &str) {
    let lower = output.to_ascii_lowercase();
    let mut rest = lower.as_str();
    for line in &step.expected {
        let wanted = line.to_ascii_lowercase();
        match rest.find(&wanted) {
            Some(at) => rest = &rest[at + wanted.len()..],
            None => panic!("$ {command}\nhas no line with {line:?} (in this order):\n{output}"),
        }
    }
}
