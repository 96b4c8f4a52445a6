//! Ours: a folder of Gateway API YAML.

use crate::{
    proc::{PROXY_CORE, Process, pinned},
    site::{NEW_HOST, Shape, Site},
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
    let mut command = pinned(PROXY_CORE, program);
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
    let listener = if site.tls {
        format!(
            "  - name: web\n    port: {port}\n    protocol: HTTPS\n    \
             tls:\n      certificateRefs:\n      - name: certificate\n"
        )
    } else {
        format!("  - name: web\n    port: {port}\n    protocol: HTTP\n")
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
{listener}"
    )
}

fn backend(site: &Site) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata:
  name: backend
spec:
  ports:
  - name: http
    port: 80
    targetPort: {port}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: backend-1
  labels:
    kubernetes.io/service-name: backend
addressType: IPv4
ports:
- name: http
  port: {port}
endpoints:
- addresses: [\"{address}\"]
  conditions:
    ready: true
",
        port = site.backend.port(),
        address = site.backend.ip()
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
