//! What a proxy is to serve in one row: addresses, certificate, routes. Each proxy writes its own configuration from it.

use anyhow::Context as _;
use rcgen::{CertificateParams, DnType, KeyPair};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The routes of a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Everything to the backend.
    One,
    /// This many hosts with a path prefix `/` each; other hosts get 404.
    Hosts(usize),
    /// One host with this many path prefixes; other paths get 404.
    Paths(usize),
}

/// What is spoken before a proxy and behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// HTTP/1.1 on both sides.
    Http1,
    /// HTTP/2 from the client, HTTP/1.1 to the backend.
    Http2ToHttp1,
    /// HTTP/2 on both sides.
    Http2,
    /// gRPC: HTTP/2 on both sides, with trailers.
    Grpc,
    /// Streams that the proxy does not look into; client and backend speak HTTP/1.1.
    Tcp,
    /// HTTP/1.1 inside TLS that ends at the backend; the proxy chooses by the server name.
    Passthrough,
    /// Datagrams, which the backend sends back.
    Udp,
}

impl Wire {
    /// Whether the proxy reads requests, and so may add fields to them.
    pub(crate) fn is_http(self) -> bool {
        matches!(self, Self::Http1 | Self::Http2ToHttp1 | Self::Http2 | Self::Grpc)
    }

    /// Whether clients speak HTTP/2.
    pub(crate) fn is_http2(self) -> bool {
        matches!(self, Self::Http2ToHttp1 | Self::Http2 | Self::Grpc)
    }
}

/// Where the backend listens, one address for each thing it speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backends {
    pub(crate) http1: SocketAddr,
    pub(crate) http2: SocketAddr,
    pub(crate) tls: SocketAddr,
    pub(crate) udp: SocketAddr,
}

/// One proxy's task.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// A folder of its own.
    pub(crate) folder: PathBuf,
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// Two more ports for health, metrics and administration.
    pub(crate) side_ports: (u16, u16),
    pub(crate) backends: Backends,
    pub(crate) wire: Wire,
    /// TLS that ends at the proxy.
    pub(crate) tls: bool,
    /// A JSON access log to a file.
    pub(crate) access_log: bool,
    pub(crate) shape: Shape,
    /// Whether the proxy must take a new configuration while it runs.
    pub(crate) reloads: bool,
    /// Whether the one more route of the reload row, [`NEW_HOST`], is there.
    pub(crate) with_new_host: bool,
    /// Where HTTP/1.1 is served besides, for peers that take HTTP/2 alone on a port without TLS.
    pub(crate) second_listen: Option<SocketAddr>,
    /// What the process may have (ours alone).
    pub(crate) confined: Confined,
    pub(crate) certificate: Certificate,
}

/// Bounds that the kernel puts on a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Confined {
    /// Open files.
    pub(crate) files: Option<u32>,
    /// The control group that it joins.
    pub(crate) memory: Option<PathBuf>,
}

/// The host that a reload adds.
pub(crate) const NEW_HOST: &str = "new.example.com";

/// A self-signed ECDSA P-256 certificate.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) cert_pem: String,
    pub(crate) key_pem: String,
}

impl Certificate {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, "localhost");
        let key = KeyPair::generate().context("cannot make a key")?;
        let cert = params.self_signed(&key).context("cannot make a certificate")?;
        Ok(Self { cert_pem: cert.pem(), key_pem: key.serialize_pem() })
    }
}

impl Site {
    /// Every host that the site serves; empty when it serves all.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let Shape::Hosts(count) = self.shape else { return Vec::new() };
        let new = self.with_new_host.then(|| NEW_HOST.to_owned());
        (0..count).map(|number| format!("h{number}.example.com")).chain(new).collect()
    }

    /// Every path prefix, without the slash at its end; empty when the site serves all paths.
    pub(crate) fn paths(&self) -> Vec<String> {
        let Shape::Paths(count) = self.shape else { return Vec::new() };
        (0..count).map(|number| format!("/p{number}")).collect()
    }

    /// The address of the backend that understands the wire.
    pub(crate) fn backend(&self) -> SocketAddr {
        match self.wire {
            Wire::Http1 | Wire::Http2ToHttp1 | Wire::Tcp => self.backends.http1,
            Wire::Http2 | Wire::Grpc => self.backends.http2,
            Wire::Passthrough => self.backends.tls,
            Wire::Udp => self.backends.udp,
        }
    }

    /// A request for `path` that the last route takes: host and path.
    pub(crate) fn last(&self, path: &str) -> (String, String) {
        match self.shape {
            Shape::One => ("localhost".to_owned(), path.to_owned()),
            Shape::Hosts(count) => {
                (format!("h{}.example.com", count.saturating_sub(1)), path.to_owned())
            }
            Shape::Paths(count) => {
                ("localhost".to_owned(), format!("/p{}{path}", count.saturating_sub(1)))
            }
        }
    }

    /// What the proxy calls the scheme of a request.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// Whether clients speak TLS, wherever it ends.
    pub(crate) fn client_tls(&self) -> bool {
        self.tls || self.wire == Wire::Passthrough
    }

    /// Writes a file into the site's folder by renaming a new one over it.
    pub(crate) fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        let new = path.with_extension("new~");
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &path));
        written.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// A new empty folder.
pub(crate) fn fresh_folder(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        std::fs::remove_dir_all(path)?;
    }
    std::fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))
}
