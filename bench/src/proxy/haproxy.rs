//! HAProxy: one thread; as a relay it runs in TCP mode and splices.

use crate::{
    proc::{PROXY_CORE, Process, pinned},
    site::{Shape, Site, Wire},
};
use std::{fmt::Write as _, path::Path};

pub(super) fn start(program: &Path, site: &Site, relay: bool) -> anyhow::Result<Process> {
    let pem = format!("{}{}", site.certificate.cert_pem, site.certificate.key_pem);
    site.write("site.pem", &pem)?;
    site.write("routes.map", &map(site))?;
    let config = site.write("haproxy.cfg", &config(site, relay)?)?;
    let mut command = pinned(PROXY_CORE, program);
    if site.reloads {
        command.arg("-W");
    }
    command.arg("-db").arg("-f").arg(config);
    // Its access log goes to standard output.
    Process::start_split("haproxy", command, &site.file("access.log"), &site.file("log"))
}

pub(super) fn reload(process: &Process, site: &Site) -> anyhow::Result<()> {
    site.write("routes.map", &map(site))?;
    process.signal("USR2")
}

/// Host and path prefix to backend, one line each.
fn map(site: &Site) -> String {
    let hosts = site.hosts().into_iter().map(|host| format!("{host}/ backend\n"));
    let paths = site.paths().into_iter().map(|path| format!("{path}/ backend\n"));
    hosts.chain(paths).collect()
}

fn config(site: &Site, relay: bool) -> anyhow::Result<String> {
    let folder = site.folder.display();
    let mut text = String::from("global\n  maxconn 4000\n  nbthread 1\n");
    if site.tls {
        text.push_str("  tune.ssl.cachesize 0\n  ssl-default-bind-options ssl-min-ver TLSv1.3\n");
    }
    if site.reloads {
        writeln!(text, "  hard-stop-after 3s")?;
        writeln!(text, "  stats socket {folder}/admin.sock level admin expose-fd listeners")?;
    }
    // By server name it looks at the beginning of a stream, the relay at nothing.
    let by_name = !relay && site.wire == Wire::Passthrough;
    let http = !relay && !by_name;
    let mode = if http { "http" } else { "tcp" };
    writeln!(
        text,
        "defaults
  mode {mode}
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend web
  bind {listen}{tls}",
        listen = site.listen,
        tls = match (site.tls && http, site.wire.is_http2()) {
            (true, true) => format!(" ssl crt {folder}/site.pem no-tls-tickets alpn h2"),
            (true, false) => format!(" ssl crt {folder}/site.pem no-tls-tickets"),
            (false, true) => " proto h2".to_owned(),
            (false, false) => String::new(),
        }
    )?;
    if let Some(second) = site.second_listen {
        writeln!(text, "  bind {second}")?;
    }
    if by_name {
        text.push_str(
            "  option splice-auto
  tcp-request inspect-delay 5s
  tcp-request content accept if { req_ssl_hello_type 1 }
  use_backend backend if { req_ssl_sni -i localhost }\n",
        );
    } else if relay {
        text.push_str("  option splice-auto\n");
    } else {
        writeln!(text, "  option forwardfor\n  timeout http-keep-alive 600s")?;
        writeln!(text, "  http-request set-header X-Forwarded-Proto {}", site.scheme())?;
    }
    if site.access_log {
        text.push_str(
            "  log stdout format raw local0
  http-request capture req.hdr(host) len 64
  http-request capture req.hdr(user-agent) len 64
  log-format '{\"time\":\"%tr\",\"client\":\"%ci\",\"method\":\"%HM\",\"host\":\"%[capture.req.hdr(0),json]\",\"path\":\"%HU\",\"status\":%ST,\"bytes\":%B,\"duration\":%Ta,\"upstream\":\"%b/%s\",\"upstream_duration\":%Tr,\"user_agent\":\"%[capture.req.hdr(1),json]\"}'\n",
        );
    }
    backends(site, &mut text, http, by_name)?;
    Ok(text)
}

/// Which backend a request or stream goes to, and the backends.
fn backends(site: &Site, text: &mut String, http: bool, by_name: bool) -> anyhow::Result<()> {
    let folder = site.folder.display();
    match site.shape {
        Shape::One if by_name => {}
        Shape::One => text.push_str("  default_backend backend\n"),
        Shape::Hosts(_) | Shape::Paths(_) => {
            let key = if matches!(site.shape, Shape::Hosts(_)) { "base" } else { "path" };
            writeln!(text, "  use_backend %[{key},map_beg({folder}/routes.map,none)]")?;
        }
    }
    writeln!(text, "backend backend")?;
    writeln!(text, "  {}", if http { "http-reuse always" } else { "option splice-auto" })?;
    let over_http2 = http && matches!(site.wire, Wire::Http2 | Wire::Grpc);
    writeln!(text, "  server one {}{}", site.backend(), if over_http2 { " proto h2" } else { "" })?;
    if http {
        writeln!(text, "backend none\n  http-request return status 404")?;
    }
    Ok(())
}
