//! The proxies: how each is configured for a [`Site`], started, and told of a change.

mod envoy;
mod haproxy;
mod nginx;
mod portcullis;

use crate::{
    proc::Process,
    site::{Site, Wire},
};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Portcullis,
    /// HAProxy in TCP mode: what merely carrying the bytes costs.
    Relay,
    Nginx,
    Haproxy,
    Envoy,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Portcullis, Self::Relay, Self::Nginx, Self::Haproxy, Self::Envoy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Portcullis => "portcullis",
            Self::Relay => "relay",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
        }
    }

    /// Whether it can do what the wire asks for. Where nobody looks into the stream, HAProxy is the relay.
    pub(crate) fn speaks(self, wire: Wire) -> bool {
        match self {
            Self::Portcullis | Self::Envoy => true,
            Self::Relay => matches!(wire, Wire::Http1 | Wire::Tcp | Wire::Passthrough),
            // It reaches backends by HTTP/2 for gRPC alone.
            Self::Nginx => wire != Wire::Http2,
            Self::Haproxy => !matches!(wire, Wire::Tcp | Wire::Udp),
        }
    }

    /// Writes the configuration and starts the proxy.
    pub(crate) fn start(self, tools: &Tools, site: &Site) -> anyhow::Result<Process> {
        match self {
            Self::Portcullis => portcullis::start(&tools.portcullis, site),
            Self::Relay => haproxy::start(&tools.haproxy, site, true),
            Self::Nginx => nginx::start(&tools.nginx, site),
            Self::Haproxy => haproxy::start(&tools.haproxy, site, false),
            Self::Envoy => envoy::start(&tools.envoy, site),
        }
    }

    /// Writes the changed configuration and tells the running proxy, if it does not look itself.
    pub(crate) fn reload(self, process: &Process, site: &Site) -> anyhow::Result<()> {
        match self {
            Self::Portcullis => portcullis::reload(site),
            Self::Relay => Ok(()),
            Self::Nginx => nginx::reload(process, site),
            Self::Haproxy => haproxy::reload(process, site),
            Self::Envoy => envoy::reload(site),
        }
    }
}

/// Where the programs are.
pub(crate) struct Tools {
    portcullis: PathBuf,
    nginx: PathBuf,
    haproxy: PathBuf,
    envoy: PathBuf,
}

impl Tools {
    pub(crate) fn find(root: &Path, ours: Option<&Path>) -> Self {
        let system = |name: &str| {
            let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
            let paths = folders.iter().map(|folder| Path::new(folder).join(name));
            paths.into_iter().find(|path| path.exists()).unwrap_or_else(|| PathBuf::from(name))
        };
        Self {
            portcullis: root.join(ours.unwrap_or(Path::new("target/dist/portcullis"))),
            nginx: system("nginx"),
            haproxy: system("haproxy"),
            envoy: envoy::binary(root).unwrap_or_else(|| system("envoy")),
        }
    }

    /// The version that a proxy reports, or why it cannot be run.
    pub(crate) fn version(&self, kind: Kind) -> Result<String, String> {
        let (program, flag) = match kind {
            Kind::Portcullis => (&self.portcullis, "--version"),
            Kind::Nginx => (&self.nginx, "-v"),
            Kind::Relay | Kind::Haproxy => (&self.haproxy, "-v"),
            Kind::Envoy => (&self.envoy, "--version"),
        };
        let output = Command::new(program).arg(flag).output();
        let output = output.map_err(|error| format!("{}: {error}", kind.name()))?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        let line =
            text.lines().map(str::trim).find(|line| line.contains(|c: char| c.is_ascii_digit()));
        let line = line.unwrap_or("version unknown");
        // Envoy prints its own path first.
        Ok(line.rsplit_once("version: ").map_or(line, |(_, version)| version).to_owned())
    }
}
