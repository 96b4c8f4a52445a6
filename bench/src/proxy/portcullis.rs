//! Ours: a folder of Gateway API YAML.

use crate::{
    proc::{PROXY_CORE, Process, pinned_within},
    site::{NEW_HOST, Shape, Site, Wire},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::path::Path;

/// Routes in one file of the folder.
const ROUTES_PER_FILE: usize = 100;

pub(super) fn start(program: &Path, site: &Site) -> anyhow::Result<Process> {
    std::fs::create_dir_all(site.file("objects"))?;
    site.write("objects/gateway.yaml", &gateway(site))?;
    site.write("objects/backend.yaml", &backend(site))?;
    if site.tls {
        site.write("objects/certificate.yaml", &secret(site))?;
    }
    for (number, routes) in routes(site).chunks(ROUTES_PER_FILE).enumerate() {
        site.write(&format!("objects/routes-{number}.yaml"), &routes.join("---\n"))?;
    }
    let mut command = pinned_within(PROXY_CORE, &site.confined, program);
    command.arg("serve").arg(site.file("objects")).args(["--workers", "1"]);
    command.args(["--address", "127.0.0.1"]);
    command.args(["--metrics-address", &format!("127.0.0.1:{}", site.side_ports.0)]);
    command.args(["--admin-address", &format!("127.0.0.1:{}", site.side_ports.1)]);
    command.arg("--access-log");
    if site.access_log {
        command.arg(site.file("access.log"));
    } else {
        command.arg("off");
    }
    Process::start("portcullis", command, &site.file("log"))
}

/// It watches its folder: writing the file is all.
pub(super) fn reload(site: &Site) -> anyhow::Result<()> {
    site.write("objects/new.yaml", &route("new", Some(NEW_HOST), None)).map(drop)
}

fn gateway(site: &Site) -> String {
    let port = site.listen.port();
    let (protocol, tls) = match site.wire {
        Wire::Tcp => ("TCP", ""),
        Wire::Udp => ("UDP", ""),
        Wire::Passthrough => ("TLS", "    tls:\n      mode: Passthrough\n"),
        Wire::Http1 | Wire::Http2ToHttp1 | Wire::Http2 | Wire::Grpc if site.tls => {
            ("HTTPS", "    tls:\n      certificateRefs:\n      - name: certificate\n")
        }
        Wire::Http1 | Wire::Http2ToHttp1 | Wire::Http2 | Wire::Grpc => ("HTTP", ""),
    };
    format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata:
  name: bench
spec:
  controllerName: portcullis.dev/gateway-controller
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: bench
spec:
  gatewayClassName: bench
  listeners:
  - name: web
    port: {port}
    protocol: {protocol}
{tls}"
    )
}

fn backend(site: &Site) -> String {
    let protocol = if site.wire == Wire::Udp { "UDP" } else { "TCP" };
    let over_http2 = matches!(site.wire, Wire::Http2 | Wire::Grpc);
    let application = if over_http2 { "    appProtocol: kubernetes.io/h2c\n" } else { "" };
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: backend
spec:
  ports:
  - name: web
    port: 80
    protocol: {protocol}
    targetPort: {port}
{application}---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: backend-1
  labels:
    kubernetes.io/service-name: backend
addressType: IPv4
ports:
- name: web
  port: {port}
  protocol: {protocol}
endpoints:
- addresses: [\"{address}\"]
  conditions:
    ready: true
",
        port = site.backend().port(),
        address = site.backend().ip()
    )
}

fn secret(site: &Site) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: certificate\ntype: kubernetes.io/tls\n\
         data:\n  tls.crt: {}\n  tls.key: {}\n",
        BASE64_STANDARD.encode(&site.certificate.cert_pem),
        BASE64_STANDARD.encode(&site.certificate.key_pem)
    )
}

fn routes(site: &Site) -> Vec<String> {
    let only = |kind, hosts| vec![stream_route(kind, hosts)];
    match site.wire {
        Wire::Http1 | Wire::Http2ToHttp1 | Wire::Http2 => {}
        Wire::Grpc => return only("GRPCRoute", ""),
        Wire::Tcp => return only("TCPRoute", ""),
        Wire::Passthrough => return only("TLSRoute", "  hostnames: [\"localhost\"]\n"),
        Wire::Udp => return only("UDPRoute", ""),
    }
    match site.shape {
        Shape::One => vec![route("all", None, None)],
        Shape::Hosts(_) => {
            let hosts = site.hosts();
            hosts
                .iter()
                .enumerate()
                .map(|(n, host)| route(&format!("h{n}"), Some(host), None))
                .collect()
        }
        Shape::Paths(_) => {
            let paths = site.paths();
            paths
                .iter()
                .enumerate()
                .map(|(n, path)| route(&format!("p{n}"), None, Some(path)))
                .collect()
        }
    }
}

/// A route without a match.
fn stream_route(kind: &str, hosts: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata:
  name: all
spec:
  parentRefs:
  - name: bench
{hosts}  rules:
  - backendRefs:
    - name: backend
      port: 80
"
    )
}

fn route(name: &str, host: Option<&str>, path: Option<&str>) -> String {
    let hosts = host.map(|host| format!("  hostnames: [\"{host}\"]\n")).unwrap_or_default();
    let path = path.unwrap_or("/");
    format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: {name}
spec:
  parentRefs:
  - name: bench
{hosts}  rules:
  - matches:
    - path:
        type: PathPrefix
        value: {path}
    backendRefs:
    - name: backend
      port: 80
"
    )
}
