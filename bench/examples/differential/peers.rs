//! The proxies, each with a recorder of its own behind it and the settings that its own guide gives
//! for the edge.

use anyhow::{Context as _, bail};
use serde_json::json;
use std::{
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use testkit::{
    ports::Port,
    recorder::{Recorder, Reply},
};

/// How long a proxy may take to open its port.
const START_MOST: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Portcullis,
    Nginx,
    Haproxy,
    Envoy,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Portcullis, Self::Nginx, Self::Haproxy, Self::Envoy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Portcullis => "Portcullis",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Envoy => "Envoy",
        }
    }
}

/// A running proxy; dropped, it is ended.
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) version: String,
    pub(crate) http1: SocketAddr,
    /// The same port where a proxy tells the protocols apart.
    pub(crate) http2: SocketAddr,
    pub(crate) recorder: Recorder,
    process: Child,
    _ports: Vec<Port>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Both fail only when the process is gone.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Peer {
    pub(crate) fn start(
        kind: Kind,
        root: &Path,
        ours: &Path,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let program = program(kind, root, ours)?;
        let version = version(&program, kind)?;
        let ports: Vec<Port> = (0..4).map(|_| Port::free()).collect();
        let numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        let recorder = Recorder::named(kind.name());
        recorder.always(Reply::status(200, &[], ""));
        // What a proxy forwards wrongly is a result here.
        drop(recorder.problems());
        let mut command = Command::new(&program);
        let backend = recorder.addr().port();
        match kind {
            Kind::Portcullis => portcullis(&mut command, folder, &numbers, backend)?,
            Kind::Nginx => nginx(&mut command, folder, &numbers, backend)?,
            Kind::Haproxy => haproxy(&mut command, folder, &numbers, backend)?,
            Kind::Envoy => envoy(&mut command, folder, &numbers, backend)?,
        }
        let log = File::create(folder.join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let process = command.spawn().with_context(|| format!("cannot start {program:?}"))?;
        let address = |at: usize| {
            let number = numbers.get(at).copied().unwrap_or_default();
            SocketAddr::from(([127, 0, 0, 1], number))
        };
        let http2 = address(if kind == Kind::Nginx { 1 } else { 0 });
        let mut peer =
            Self { kind, version, http1: address(0), http2, recorder, process, _ports: ports };
        peer.wait(folder)?;
        Ok(peer)
    }

    /// Waits until both ports are open.
    fn wait(&mut self, folder: &Path) -> anyhow::Result<()> {
        let started = Instant::now();
        for address in [self.http1, self.http2] {
            while TcpStream::connect(address).is_err() {
                if let Some(status) = self.process.try_wait()? {
                    let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                    bail!("{} ended with {status}: {log}", self.kind.name());
                }
                if started.elapsed() > START_MOST {
                    bail!("{} does not open {address}", self.kind.name());
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }
}

/// Where the program is; `bench/setup` installs the peers.
fn program(kind: Kind, root: &Path, ours: &Path) -> anyhow::Result<PathBuf> {
    let found = match kind {
        Kind::Portcullis => Some(root.join(ours)),
        Kind::Nginx => Some(PathBuf::from("/usr/sbin/nginx")),
        Kind::Haproxy => Some(PathBuf::from("/usr/sbin/haproxy")),
        Kind::Envoy => {
            let libraries = fs::read_dir(root.join("target/bench/venv/lib"));
            let inside = "site-packages/envoy/_bin/envoy";
            let mut paths = libraries.into_iter().flatten().flatten();
            paths.next().map(|entry| entry.path().join(inside))
        }
    };
    let found = found.filter(|path| path.exists());
    found.with_context(|| format!("{} is not installed; run bench/setup", kind.name()))
}

fn version(program: &Path, kind: Kind) -> anyhow::Result<String> {
    let flag = match kind {
        Kind::Nginx | Kind::Haproxy => "-v",
        Kind::Portcullis | Kind::Envoy => "--version",
    };
    let output = Command::new(program).arg(flag).output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let word = text
        .split([' ', '/', '\n'])
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
    Ok(word.unwrap_or("unknown").to_owned())
}

fn portcullis(
    command: &mut Command,
    folder: &Path,
    ports: &[u16],
    backend: u16,
) -> anyhow::Result<()> {
    let [port, _, metrics, admin] = ports else { bail!("four ports") };
    let objects = folder.join("objects");
    fs::create_dir_all(&objects)?;
    fs::write(
        objects.join("all.yaml"),
        format!(
            "apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{ name: edge }}
spec: {{ controllerName: portcullis.dev/gateway-controller }}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{ name: edge }}
spec:
  gatewayClassName: edge
  listeners: [{{ name: web, port: {port}, protocol: HTTP }}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{ name: all }}
spec:
  parentRefs: [{{ name: edge }}]
  rules: [{{ backendRefs: [{{ name: backend, port: 80 }}] }}]
---
apiVersion: v1
kind: Service
metadata: {{ name: backend }}
spec: {{ ports: [{{ name: http, port: 80, targetPort: {backend} }}] }}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{ name: backend-1, labels: {{ kubernetes.io/service-name: backend }} }}
addressType: IPv4
ports: [{{ name: http, port: {backend} }}]
endpoints: [{{ addresses: [\"127.0.0.1\"], conditions: {{ ready: true }} }}]
"
        ),
    )?;
    command.arg("serve").arg(objects).args(["--workers", "1", "--address", "127.0.0.1"]);
    command.args(["--metrics-address", &format!("127.0.0.1:{metrics}")]);
    command.args(["--admin-address", &format!("127.0.0.1:{admin}"), "--access-log", "off"]);
    Ok(())
}

/// HTTP/2 without TLS needs a port of its own.
fn nginx(command: &mut Command, folder: &Path, ports: &[u16], backend: u16) -> anyhow::Result<()> {
    let [http1, http2, ..] = ports else { bail!("two ports") };
    let path = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("  {name}_temp_path {path}/{name};\n"))
        .collect();
    let text = format!(
        "daemon off;
worker_processes 1;
pid {path}/nginx.pid;
error_log {path}/error.log crit;
events {{ worker_connections 512; }}
http {{
{temporary}  access_log off;
  client_header_timeout 5s;
  client_body_timeout 5s;
  upstream backend {{ server 127.0.0.1:{backend}; keepalive 16; }}
  proxy_http_version 1.1;
  proxy_set_header Connection \"\";
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  server {{ listen 127.0.0.1:{http1}; location / {{ proxy_pass http://backend; }} }}
  server {{ listen 127.0.0.1:{http2} http2; location / {{ proxy_pass http://backend; }} }}
}}
"
    );
    let config = folder.join("nginx.conf");
    fs::write(&config, text)?;
    command.arg("-c").arg(config).arg("-p").arg(folder).arg("-e").arg(folder.join("error.log"));
    Ok(())
}

fn haproxy(
    command: &mut Command,
    folder: &Path,
    ports: &[u16],
    backend: u16,
) -> anyhow::Result<()> {
    let [port, ..] = ports else { bail!("a port") };
    let config = folder.join("haproxy.cfg");
    fs::write(
        &config,
        format!(
            "global
  nbthread 1
  maxconn 500
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
  timeout http-request 5s
frontend web
  bind 127.0.0.1:{port}
  option forwardfor
  default_backend backend
backend backend
  http-reuse always
  server one 127.0.0.1:{backend}
"
        ),
    )?;
    command.arg("-db").arg("-f").arg(config);
    Ok(())
}

/// The settings of Envoy's guide for edge proxies.
fn envoy(command: &mut Command, folder: &Path, ports: &[u16], backend: u16) -> anyhow::Result<()> {
    const HTTP: &str = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    const ROUTER: &str = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
    let [port, ..] = ports else { bail!("a port") };
    let address =
        |port: u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    let manager = json!({
        "@type": HTTP, "stat_prefix": "web", "use_remote_address": true,
        "normalize_path": true, "merge_slashes": true,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT",
        "common_http_protocol_options": { "headers_with_underscores_action": "REJECT_REQUEST" },
        "http_filters": [{ "name": "router", "typed_config": { "@type": ROUTER } }],
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [
            { "match": { "prefix": "/" }, "route": { "cluster": "backend" } },
        ] }] },
    });
    let endpoint = json!({ "endpoint": { "address": address(backend) } });
    let config = json!({
        "node": { "id": "edge", "cluster": "edge" },
        "static_resources": {
            "listeners": [{
                "name": "web", "address": address(*port),
                "per_connection_buffer_limit_bytes": 32768,
                "filter_chains": [{ "filters": [{ "name": "http", "typed_config": manager }] }],
            }],
            "clusters": [{
                "name": "backend", "type": "STATIC", "connect_timeout": "5s",
                "load_assignment": {
                    "cluster_name": "backend", "endpoints": [{ "lb_endpoints": [endpoint] }],
                },
            }],
        },
    });
    let file = folder.join("envoy.json");
    fs::write(&file, config.to_string())?;
    command.arg("-c").arg(file);
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]);
    Ok(())
}
