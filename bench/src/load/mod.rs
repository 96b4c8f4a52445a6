//! Load generators of our own, for what wrk and h2load cannot do: full handshakes, a fixed rate, datagrams, idle connections, and requests while a configuration changes.
//!
//! One thread; the result is one line of JSON on standard output.

mod echo;
mod handshake;
mod http;
mod http2;
mod idle;
mod rate;
mod watch;

use clap::{Args, ValueEnum};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use serde::{Deserialize, Serialize};
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use tokio::task::LocalSet;

#[derive(Args, Clone)]
pub(crate) struct Options {
    kind: Kind,
    address: SocketAddr,
    #[arg(long, default_value = "localhost")]
    host: String,
    #[arg(long, default_value = "/x")]
    path: String,
    /// What is spoken (idle alone knows more than HTTP/1.1).
    #[arg(long, value_enum, default_value_t = Protocol::Http1)]
    protocol: Protocol,
    /// Connect with TLS and trust this certificate alone.
    #[arg(long)]
    trust: Option<PathBuf>,
    #[arg(long, default_value_t = 16)]
    connections: usize,
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Requests a second over all connections (rate, watch).
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    /// The host that new connections ask for until it answers 200 (watch).
    #[arg(long, default_value = "")]
    new_host: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// New connections, a full handshake and one request on each.
    Handshake,
    /// Requests at a fixed rate on kept connections, whatever the answers do.
    Rate,
    /// Datagrams that come back, one under way for each client.
    Echo,
    /// Connections that make one request each and then stay open; says `ready` when all are.
    Idle,
    /// `rate`, and a probe that waits for a new host; says `ready` at its start.
    Watch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    Grpc,
    Udp,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
            Self::Udp => "udp",
        }
    }
}

/// What a load generator saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Requests that were answered with 200.
    pub(crate) requests: u64,
    /// Requests that were answered with 503 (rate).
    pub(crate) shed: u64,
    /// Requests without an answer, or with another status.
    pub(crate) failed: u64,
    /// Kept connections that the proxy closed while they were idle.
    pub(crate) dropped: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) max_us: f64,
    /// New connections of the probe, and those that were refused or cut.
    pub(crate) probes: u64,
    pub(crate) probes_failed: u64,
    /// When the new host first answered 200, in microseconds since 1970.
    pub(crate) effective_at_us: Option<u64>,
    /// The last error (idle).
    pub(crate) error: Option<String>,
}

impl Seen {
    /// Sets the quantiles from latencies in microseconds.
    fn set_latencies(&mut self, latencies: &[f64]) {
        self.p50_us = crate::stats::quantile(latencies, 0.5);
        self.p99_us = crate::stats::quantile(latencies, 0.99);
        self.p999_us = crate::stats::quantile(latencies, 0.999);
        self.max_us = crate::stats::quantile(latencies, 1.0);
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let seen = LocalSet::new().block_on(&runtime, async {
        match options.kind {
            Kind::Handshake => handshake::run(options).await,
            Kind::Rate => rate::run(options).await,
            Kind::Echo => echo::run(options).await,
            Kind::Idle => idle::run(options).await,
            Kind::Watch => watch::run(options).await,
        }
    })?;
    println!("{}", serde_json::to_string(&seen)?);
    Ok(())
}

/// Client settings: TLS 1.3 and X25519 alone, so that all proxies do the same work; no resumption.
fn client_config(trust: &std::path::Path, http2: bool) -> anyhow::Result<Arc<ClientConfig>> {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trust)?)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    if http2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    Ok(Arc::new(config))
}

fn server_name() -> anyhow::Result<ServerName<'static>> {
    Ok(ServerName::try_from("localhost")?)
}
