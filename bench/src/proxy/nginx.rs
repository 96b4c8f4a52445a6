//! nginx: one worker, keep-alive to the backend, one server block per host.

use crate::{
    proc::{PROXY_CORE, Process, pinned},
    site::{Shape, Site, Wire},
};
use std::{fmt::Write as _, path::Path};

pub(super) fn start(program: &Path, site: &Site) -> anyhow::Result<Process> {
    site.write("cert.pem", &site.certificate.cert_pem)?;
    site.write("key.pem", &site.certificate.key_pem)?;
    let config = site.write("nginx.conf", &config(site)?)?;
    let mut command = pinned(PROXY_CORE, program);
    command.arg("-c").arg(config).arg("-p").arg(&site.folder);
    command.arg("-e").arg(site.file("error.log"));
    Process::start("nginx", command, &site.file("log"))
}

pub(super) fn reload(process: &Process, site: &Site) -> anyhow::Result<()> {
    site.write("nginx.conf", &config(site)?)?;
    process.signal("HUP")
}

/// Where Debian puts the module that carries streams and datagrams.
const STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

fn config(site: &Site) -> anyhow::Result<String> {
    let head = format!(
        "daemon off;
user root;
worker_processes 1;
worker_rlimit_nofile 18000;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections 8192; }}
",
        folder = site.folder.display()
    );
    if site.wire.is_http() {
        http(site, head)
    } else {
        Ok(format!("load_module {STREAM_MODULE};\n{head}{}", stream(site)))
    }
}

/// Streams and datagrams; by server name where TLS passes through.
fn stream(site: &Site) -> String {
    let (listen, backend) = (site.listen, site.backend());
    let (kind, more, to) = match site.wire {
        Wire::Udp => (" udp", "proxy_timeout 60s;", "backend"),
        Wire::Passthrough => ("", "ssl_preread on;", "$chosen"),
        Wire::Http1 | Wire::Http2ToHttp1 | Wire::Http2 | Wire::Grpc | Wire::Tcp => {
            ("", "", "backend")
        }
    };
    let names = "map $ssl_preread_server_name $chosen { localhost backend; default none; }";
    let names = if site.wire == Wire::Passthrough { names } else { "" };
    format!(
        "stream {{
  {names}
  upstream backend {{ server {backend}; }}
  server {{ listen {listen}{kind}; {more} proxy_pass {to}; }}
}}
"
    )
}

fn http(site: &Site, mut text: String) -> anyhow::Result<String> {
    let folder = site.folder.display();
    write!(
        text,
        "http {{
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server_names_hash_max_size 32768;
  server_names_hash_bucket_size 128;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  upstream backend {{
    server {backend};
    keepalive 256;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
  }}
  proxy_http_version 1.1;
  proxy_set_header Connection \"\";
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_buffer_size 8k;
  proxy_buffers 16 8k;
  proxy_max_temp_file_size 0;
",
        backend = site.backend()
    )?;
    if site.access_log {
        writeln!(
            text,
            "  log_format json escape=json '{{\"time\":\"$time_iso8601\",\"client\":\"$remote_addr\",\
             \"method\":\"$request_method\",\"host\":\"$host\",\"path\":\"$request_uri\",\
             \"status\":$status,\"bytes\":$body_bytes_sent,\"duration\":$request_time,\
             \"upstream\":\"$upstream_addr\",\"upstream_duration\":\"$upstream_response_time\",\
             \"user_agent\":\"$http_user_agent\"}}';\n  \
             access_log {folder}/access.log json buffer=64k flush=1s;"
        )?;
    } else {
        writeln!(text, "  access_log off;")?;
    }
    if site.tls {
        writeln!(
            text,
            "  ssl_certificate {folder}/cert.pem;\n  ssl_certificate_key {folder}/key.pem;\n  \
             ssl_protocols TLSv1.3;\n  ssl_session_tickets off;\n  ssl_session_cache off;"
        )?;
    }
    servers(site, &mut text)?;
    text.push_str("}\n");
    Ok(text)
}

/// The hosts and paths of the site.
fn servers(site: &Site, text: &mut String) -> anyhow::Result<()> {
    let listen = site.listen;
    let http2 = if site.wire.is_http2() { " http2" } else { "" };
    let scheme = if site.tls { " ssl" } else { "" };
    let grpc = "grpc_pass grpc://backend;\n  grpc_set_header Host $host;\n  \
                grpc_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n  \
                grpc_set_header X-Forwarded-Proto $scheme;";
    let pass = if site.wire == Wire::Grpc { grpc } else { "proxy_pass http://backend;" };
    let second = site.second_listen.map(|address| format!("listen {address};")).unwrap_or_default();
    let server = |text: &mut String, head: &str, locations: &str| {
        writeln!(text, "  server {{ {second} listen {listen}{scheme}{http2}{head} {locations} }}")
    };
    match site.shape {
        Shape::One => server(text, ";", &format!("location / {{ {pass} }}"))?,
        Shape::Hosts(_) => {
            server(text, " default_server;", "return 404;")?;
            for host in site.hosts() {
                let head = format!("; server_name {host};");
                server(text, &head, &format!("location / {{ {pass} }}"))?;
            }
        }
        Shape::Paths(_) => {
            let mut locations = String::from("location / { return 404; }\n");
            for path in site.paths() {
                writeln!(locations, "location {path}/ {{ {pass} }}")?;
            }
            server(text, ";", &locations)?;
        }
    }
    Ok(())
}
