//! A server over a folder with recorders as its backends, and short forms for objects, requests and conditions.
//!
//! Objects are YAML with one short form: a line `@Kind namespace/name` opens a document and stands for its `apiVersion`, `kind` and `metadata`. Words after it are a creation time (`2020-01-01`) or labels (`team=blue`).
#![allow(dead_code, reason = "each scenario uses a part of it")]

use std::{
    net::{IpAddr, SocketAddr},
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU8, Ordering},
    },
};

use serde_json::Value;
use testkit::{
    certs::{Authority, Issued},
    eventually,
    folder::Folder,
    ports::Port,
    process::Process,
    raw::{Client, Response, get},
    recorder::Recorder,
};

/// Added to every port of a document, so that 80 and 443 can be bound by anybody.
pub(crate) const OFFSET: u16 = 11_000;

/// The port of every Service that [`World`] makes for a recorder.
pub(crate) const SERVICE_PORT: u16 = 8080;

/// A running server, its folder and its backends.
pub(crate) struct World {
    pub(crate) folder: Folder,
    pub(crate) process: Process,
    admin: SocketAddr,
    /// The third octet is the world's own: Gateways take addresses below it.
    pub(crate) network: String,
    backends: Vec<(String, Recorder)>,
    first: OnceLock<SocketAddr>,
    _ports: (Port, Port),
}

impl World {
    /// Serves `objects`, with a class `portcullis` and a recorder with a Service for each of `backends` (`namespace/name`).
    #[track_caller]
    pub(crate) fn start(backends: &[&str], objects: &str) -> Self {
        let backends: Vec<(String, Recorder)> = backends
            .iter()
            .map(|name| {
                let (_, short) = name.split_once('/').expect("namespace/name");
                ((*name).to_owned(), Recorder::named(short))
            })
            .collect();
        let mut base = String::from(
            "@GatewayClass portcullis\nspec: {controllerName: portcullis.dev/gateway-controller}\n",
        );
        for (name, recorder) in &backends {
            base.push_str(&service(name, recorder.addr()));
        }
        let folder =
            Folder::with(&[("base.yaml", &expand(&base)), ("objects.yaml", &expand(objects))]);
        let network = own_network();
        let ports = (Port::free(), Port::free());
        let health = SocketAddr::from(([127, 0, 0, 1], ports.0.number()));
        let admin = SocketAddr::from(([127, 0, 0, 1], ports.1.number()));
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command
            .arg("serve")
            .arg(folder.path())
            .args(["--address", &format!("{network}.0/24")])
            .args(["--port-offset", &OFFSET.to_string(), "--workers", "2"])
            .args(["--metrics-address", &health.to_string()])
            .args(["--admin-address", &admin.to_string()])
            .args(["--drain-min", "0s", "--access-log", "off"]);
        let mut process = Process::start(&mut command);
        process.wait_ready(health);
        Self { folder, process, admin, network, backends, first: OnceLock::new(), _ports: ports }
    }

    /// One Gateway, open to all hosts on port 80, in front of `rules` of the route `default/r`, and
    /// the backends `one` to `four`.
    pub(crate) fn web(rules: &str) -> Self {
        let objects = format!(
            "
@Gateway default/web
spec:
  gatewayClassName: portcullis
  listeners: [{{name: http, port: 80, protocol: HTTP}}]
@HTTPRoute default/r
spec:
  parentRefs: [{{name: web}}]
  rules:
{rules}"
        );
        let backends = ["default/one", "default/two", "default/three", "default/four"];
        Self::start(&backends, &objects)
    }

    /// Replaces the objects given to [`World::start`].
    pub(crate) fn replace(&self, objects: &str) {
        self.write("objects", objects);
    }

    /// Adds or replaces a file of objects.
    pub(crate) fn write(&self, file: &str, objects: &str) {
        self.folder.replace(&format!("{file}.yaml"), &expand(objects));
    }

    /// Removes a file of objects.
    pub(crate) fn remove(&self, file: &str) {
        self.folder.remove(&format!("{file}.yaml"));
    }

    /// A backend by its short name.
    #[track_caller]
    pub(crate) fn backend(&self, name: &str) -> &Recorder {
        let mut all = self.backends.iter();
        let found = all.find(|(full, _)| full.rsplit('/').next() == Some(name));
        &found.unwrap_or_else(|| panic!("no backend {name}")).1
    }

    /// The status of an object, by kind and `namespace/name`; `None` when it has none.
    pub(crate) fn find(&self, kind: &str, name: &str) -> Option<Value> {
        let response = get(self.admin, "localhost", "/status");
        assert_eq!(response.status, 200);
        let all = response.json();
        let items = all["items"].as_array().expect("items");
        let same = |item: &&Value| {
            let meta = &item["metadata"];
            let own = match meta["namespace"].as_str() {
                Some(namespace) => format!("{namespace}/{}", meta["name"].as_str().expect("name")),
                None => meta["name"].as_str().expect("name").to_owned(),
            };
            item["kind"] == kind && own == name
        };
        items.iter().find(same).map(|item| item["status"].clone())
    }

    /// The status of an object that has one.
    #[track_caller]
    pub(crate) fn status(&self, kind: &str, name: &str) -> Value {
        self.find(kind, name).unwrap_or_else(|| panic!("no status of {kind} {name}"))
    }

    /// The status of a Gateway's or (`ListenerSet`) a set's listener.
    #[track_caller]
    pub(crate) fn listener_of(&self, kind: &str, name: &str, listener: &str) -> Value {
        let status = self.status(kind, name);
        let all = status["listeners"].as_array().expect("listeners");
        let found = all.iter().find(|one| one["name"] == listener);
        found.unwrap_or_else(|| panic!("no listener {listener} in {status}")).clone()
    }

    /// The status of a Gateway's listener.
    #[track_caller]
    pub(crate) fn listener(&self, gateway: &str, listener: &str) -> Value {
        self.listener_of("Gateway", gateway, listener)
    }

    /// The names of a Gateway's or set's listeners in its status.
    #[track_caller]
    pub(crate) fn listener_names(&self, kind: &str, name: &str) -> Vec<String> {
        let status = self.status(kind, name);
        let all = status["listeners"].as_array().expect("listeners");
        all.iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// What a route's status says of the parent with this index.
    #[track_caller]
    pub(crate) fn parent(&self, route: &str, index: usize) -> Value {
        let parent = self.status("HTTPRoute", route)["parents"][index].clone();
        assert!(parent.is_object(), "HTTPRoute {route} has no parent {index}");
        assert_eq!(parent["controllerName"], "portcullis.dev/gateway-controller");
        parent
    }

    /// The socket of a Gateway's port, by the first address in its status.
    #[track_caller]
    pub(crate) fn socket(&self, gateway: &str, port: u16) -> SocketAddr {
        let status = self.status("Gateway", gateway);
        let address = &status["addresses"][0];
        assert_eq!(address["type"], "IPAddress", "Gateway {gateway}: {status}");
        let value = address["value"].as_str().expect("an address");
        SocketAddr::new(value.parse::<IpAddr>().expect("an IP address"), port + OFFSET)
    }

    /// Sends `METHOD HOST PATH [name:value …]` on a connection of its own.
    #[track_caller]
    pub(crate) fn ask(&self, gateway: &str, port: u16, request: &str) -> Response {
        ask(&mut Client::connect(self.socket(gateway, port)), request)
    }

    /// As [`World::ask`] on port 80, for many requests: the Gateway's address is asked for once.
    #[track_caller]
    pub(crate) fn ask_fast(&self, gateway: &str, request: &str) -> Response {
        let address = *self.first.get_or_init(|| self.socket(gateway, 80));
        ask(&mut Client::connect(address), request)
    }

    /// Checks each request's outcome: a status code, or the backend that answers 200.
    #[track_caller]
    pub(crate) fn table(&self, gateway: &str, port: u16, rows: &[(&str, &str)]) {
        let mut client = Client::connect(self.socket(gateway, port));
        let mut wrong = String::new();
        for (request, expected) in rows {
            let got = outcome(&ask(&mut client, request));
            if got != *expected {
                wrong.push_str(&format!("\n{request}: {got}, not {expected}"));
            }
        }
        assert!(wrong.is_empty(), "{gateway}:{port}{wrong}");
    }

    /// Waits until a request's outcome is as expected.
    #[track_caller]
    pub(crate) fn wait_for(&self, gateway: &str, port: u16, request: &str, expected: &str) {
        eventually(&format!("{expected} from {request}"), || {
            self.find("Gateway", gateway)?["addresses"][0]["value"].as_str()?;
            (outcome(&self.ask(gateway, port, request)) == expected).then_some(())
        });
    }

    /// Waits until a part of the status has these conditions, all of this generation.
    #[track_caller]
    pub(crate) fn wait_conditions(
        &self,
        part: impl Fn(&Self) -> Option<Value>,
        generation: i64,
        expected: &[&str],
    ) {
        let mut last = None;
        eventually(&format!("generation {generation} with {expected:?}"), || {
            last = part(self);
            problems(last.as_ref()?, generation, expected).is_empty().then_some(())
        });
    }
}

/// Sends `METHOD HOST PATH [name:value …]`, of which `_` in a value stands for a space.
#[track_caller]
pub(crate) fn ask(client: &mut Client, request: &str) -> Response {
    let mut words = request.split(' ');
    let mut word = || words.next().expect("method, host and path");
    let (method, host, path) = (word(), word(), word());
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    for field in words {
        let (name, value) = field.split_once(':').expect("name:value");
        text.push_str(&format!("{name}: {}\r\n", value.replace('_', " ")));
    }
    client.send(format!("{text}\r\n")).response(method)
}

/// The backend that answered 200, or the status code.
pub(crate) fn outcome(response: &Response) -> String {
    if response.status != 200 || response.body.content.is_empty() {
        return response.status.to_string();
    }
    response.json()["backend"].as_str().expect("an echo").to_owned()
}

/// A field that the backend received, from its echo; several lines are joined by commas.
pub(crate) fn received(response: &Response, name: &str) -> Option<String> {
    let echo = response.json();
    let fields = echo["headers"].as_array().expect("fields");
    let same = |field: &&Value| field[0].as_str().is_some_and(|n| n.eq_ignore_ascii_case(name));
    let values: Vec<&str> =
        fields.iter().filter(same).filter_map(|field| field[1].as_str()).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Panics unless `part` holds each of `expected` (`Type=Status/Reason`) and every condition in it is of generation 1.
#[track_caller]
pub(crate) fn conditions(part: &Value, expected: &[&str]) {
    let problems = problems(part, 1, expected);
    assert!(problems.is_empty(), "{problems}\n{part:#}");
}

fn problems(part: &Value, generation: i64, expected: &[&str]) -> String {
    let Some(all) = part["conditions"].as_array() else { return "no conditions".to_owned() };
    let mut problems = String::new();
    let text = |one: &Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
    let mut present = Vec::new();
    for one in all {
        let kind = text(one, "type");
        if one["observedGeneration"] != generation {
            problems.push_str(&format!("{kind} is of generation {}\n", one["observedGeneration"]));
        }
        present.push(format!("{kind}={}/{}", text(one, "status"), text(one, "reason")));
    }
    for wanted in expected {
        if !present.iter().any(|one| one == wanted) {
            problems.push_str(&format!("no {wanted} in {present:?}\n"));
        }
    }
    problems
}

/// The kinds in a listener's `supportedKinds`; the list itself must be there.
#[track_caller]
pub(crate) fn kinds(listener: &Value) -> Vec<String> {
    let kinds = listener["supportedKinds"].as_array().expect("supportedKinds");
    kinds.iter().map(|kind| kind["kind"].as_str().expect("a kind").to_owned()).collect()
}

/// A Service whose endpoints are at `address`, as a document in the short form.
pub(crate) fn service(name: &str, address: SocketAddr) -> String {
    let (namespace, name) = name.split_once('/').expect("namespace/name");
    format!(
        "---
apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: {namespace}
  annotations: {{portcullis.dev/endpoints: \"{address}\"}}
spec: {{ports: [{{port: {SERVICE_PORT}}}]}}
"
    )
}

/// A Secret with a certificate, as a document in the short form.
pub(crate) fn secret(name: &str, issued: &Issued) -> String {
    let indent = |pem: &str| pem.trim_end().replace('\n', "\n    ");
    format!(
        "@Secret {name}\ntype: kubernetes.io/tls\nstringData:\n  tls.crt: |\n    {}\n  tls.key: |\n    {}\n",
        indent(&issued.cert_pem),
        indent(&issued.key_pem)
    )
}

/// The request and response over TLS; the handshake's error when it fails.
pub(crate) fn ask_tls(
    address: SocketAddr,
    server_name: &str,
    authority: &Authority,
    request: &str,
) -> std::io::Result<Response> {
    let mut client = Client::connect_tls(address, server_name, &authority.client_config())?;
    Ok(ask(&mut client, request))
}

/// Turns the short form into YAML.
fn expand(text: &str) -> String {
    let mut yaml = String::new();
    for line in text.lines() {
        let Some(header) = line.strip_prefix('@') else {
            yaml.push_str(line);
            yaml.push('\n');
            continue;
        };
        let mut words = header.split_whitespace();
        let kind = words.next().expect("a kind");
        let name = words.next().expect("a name");
        let version = match kind {
            "Service" | "Secret" | "ConfigMap" | "Namespace" => "v1",
            "EndpointSlice" => "discovery.k8s.io/v1",
            _ => "gateway.networking.k8s.io/v1",
        };
        yaml.push_str(&format!("---\napiVersion: {version}\nkind: {kind}\nmetadata:\n"));
        match name.split_once('/') {
            Some((namespace, name)) => {
                yaml.push_str(&format!("  name: {name}\n  namespace: {namespace}\n"));
            }
            None => yaml.push_str(&format!("  name: {name}\n")),
        }
        let (labels, times): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains('='));
        for time in times {
            yaml.push_str(&format!("  creationTimestamp: \"{time}T00:00:00Z\"\n"));
        }
        if !labels.is_empty() {
            yaml.push_str("  labels:\n");
        }
        for label in labels {
            yaml.push_str(&format!("    {}\n", label.replace('=', ": ")));
        }
    }
    yaml
}

/// A loopback network that no other test of this machine uses at the same time, as a rule.
fn own_network() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let id = std::process::id() % 60;
    format!("127.{}.{}", 192 + id, NEXT.fetch_add(1, Ordering::Relaxed))
}
