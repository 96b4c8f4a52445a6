//! What is measured: the rows, who takes part in each, and what we want to reach.

use crate::{
    proxy::Kind,
    site::{Shape, Wire},
};

/// How the load of a row is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Load {
    /// wrk on this many kept connections, asking for one path.
    Wrk { connections: u32, path: &'static str },
    /// h2load: this many connections with this many requests in progress on each.
    H2load { connections: u32, streams: u32 },
    /// This many clients, each with one datagram under way.
    Echo { clients: u32 },
    /// New TLS connections, this many at a time.
    Handshake { connections: u32 },
    /// A fixed rate (requests a second) on this many kept connections.
    Rate { per_second: u32, connections: u32 },
    /// Memory when idle and with this many idle connections; what we want to reach.
    Idle { connections: u32, targets: MemoryTargets },
    /// One more host is added while requests run.
    Reload,
}

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) load: Load,
    pub(crate) wire: Wire,
    /// TLS that ends at the proxy.
    pub(crate) tls: bool,
    pub(crate) access_log: bool,
    pub(crate) shape: Shape,
    /// The relay has no part where HTTP is read.
    pub(crate) relay: bool,
    /// Besides, ours with one route only, to compare with.
    pub(crate) ours_with_one_route: bool,
    pub(crate) targets: &'static [Target],
}

/// What ours may hold at most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MemoryTargets {
    /// Resident without any connection, where the row asks for it.
    pub(crate) idle_rss_mib: Option<f64>,
    pub(crate) kib_per_connection: f64,
}

/// Ours over a peer, at most this.
pub(crate) struct Target {
    pub(crate) peer: &'static str,
    pub(crate) at_most: f64,
}

pub(crate) const ONE_ROUTE: &str = "portcullis, one route";

const ROUTES: usize = 5000;

const PLAIN: Row = Row {
    name: "h1",
    title: "HTTP/1.1, 1 KiB, 64 kept connections",
    load: Load::Wrk { connections: 64, path: "/x" },
    wire: Wire::Http1,
    tls: false,
    access_log: false,
    shape: Shape::One,
    relay: true,
    ours_with_one_route: false,
    targets: &[Target { peer: "relay", at_most: 1.06 }, Target { peer: "nginx", at_most: 0.88 }],
};

const HTTP2: Row = Row {
    load: Load::H2load { connections: 8, streams: 16 },
    wire: Wire::Http2ToHttp1,
    relay: false,
    targets: &[],
    ..PLAIN
};

pub(crate) const ROWS: &[Row] = &[
    PLAIN,
    Row {
        name: "log",
        title: "HTTP/1.1, 1 KiB, 64 kept connections, JSON access log to a file",
        access_log: true,
        relay: false,
        targets: &[Target { peer: "nginx", at_most: 0.85 }],
        ..PLAIN
    },
    Row {
        name: "tls",
        title: "HTTPS (TLS 1.3, ECDSA P-256), 1 KiB, 64 kept connections",
        tls: true,
        relay: false,
        targets: &[Target { peer: "nginx", at_most: 0.88 }],
        ..PLAIN
    },
    Row {
        name: "handshake",
        title: "Full TLS 1.3 handshakes (new connection, one request, close), 16 at a time",
        load: Load::Handshake { connections: 16 },
        tls: true,
        relay: false,
        targets: &[Target { peer: "haproxy", at_most: 0.55 }],
        ..PLAIN
    },
    Row {
        name: "body",
        title: "HTTP/1.1, 100 KiB responses, 32 kept connections",
        load: Load::Wrk { connections: 32, path: "/100k" },
        targets: &[Target { peer: "nginx", at_most: 1.0 }],
        ..PLAIN
    },
    Row {
        name: "hosts",
        title: "5,000 hosts with one path each, the last one is asked for",
        shape: Shape::Hosts(ROUTES),
        relay: false,
        ours_with_one_route: true,
        targets: &[Target { peer: ONE_ROUTE, at_most: 1.03 }],
        ..PLAIN
    },
    Row {
        name: "paths",
        title: "One host with 5,000 path prefixes, the last one is asked for",
        shape: Shape::Paths(ROUTES),
        relay: false,
        ours_with_one_route: true,
        targets: &[Target { peer: ONE_ROUTE, at_most: 1.03 }],
        ..PLAIN
    },
    Row {
        name: "h2",
        title: "HTTP/2 to HTTP/1.1, 1 KiB, 8 kept connections with 16 requests in progress on each",
        targets: &[Target { peer: "haproxy", at_most: 0.93 }],
        ..HTTP2
    },
    Row { name: "h2-tls", title: "The same over TLS (1.3, ECDSA P-256)", tls: true, ..HTTP2 },
    Row {
        name: "h2-h2",
        title: "HTTP/2 to HTTP/2, 1 KiB, 8 kept connections with 16 requests in progress on each",
        wire: Wire::Http2,
        ..HTTP2
    },
    Row {
        name: "grpc",
        title: "gRPC, unary, 1 KiB replies, 8 kept connections with 16 calls in progress on each",
        wire: Wire::Grpc,
        ..HTTP2
    },
    Row {
        name: "tcp",
        title: "TCP relay: 1 KiB answers, 64 kept connections",
        wire: Wire::Tcp,
        targets: &[Target { peer: "relay", at_most: 1.0 }],
        ..PLAIN
    },
    Row {
        name: "tcp-large",
        title: "TCP relay: streams of 4 MiB answers, 8 kept connections",
        load: Load::Wrk { connections: 8, path: "/4m" },
        wire: Wire::Tcp,
        targets: &[Target { peer: "relay", at_most: 1.0 }],
        ..PLAIN
    },
    Row {
        name: "passthrough",
        title: "TLS passthrough by server name, 1 KiB, 64 kept connections",
        wire: Wire::Passthrough,
        targets: &[],
        ..PLAIN
    },
    Row {
        name: "udp",
        title: "UDP echo, 256 bytes, 64 clients with one datagram under way each",
        load: Load::Echo { clients: 64 },
        wire: Wire::Udp,
        targets: &[],
        ..PLAIN
    },
    Row {
        name: "rate",
        title: "HTTP/1.1, 1 KiB, 4,000 requests a second over 64 kept connections",
        load: Load::Rate { per_second: 4000, connections: 64 },
        targets: &[],
        ..PLAIN
    },
    Row {
        name: "memory",
        title: "Memory: idle, and with 1,000 idle kept connections",
        load: Load::Idle {
            connections: 1000,
            targets: MemoryTargets { idle_rss_mib: Some(15.0), kib_per_connection: 1.5 },
        },
        targets: &[],
        ..PLAIN
    },
    Row {
        name: "memory-tls",
        title: "Memory: idle, and with 1,000 idle kept TLS connections",
        load: Load::Idle {
            connections: 1000,
            targets: MemoryTargets { idle_rss_mib: None, kib_per_connection: 12.0 },
        },
        tls: true,
        relay: false,
        targets: &[],
        ..PLAIN
    },
    Row {
        name: "memory-h2",
        title: "Memory: idle, and with 1,000 idle kept HTTP/2 connections",
        load: Load::Idle {
            connections: 1000,
            targets: MemoryTargets { idle_rss_mib: None, kib_per_connection: 24.0 },
        },
        targets: &[],
        ..HTTP2
    },
    Row {
        name: "memory-h2-tls",
        title: "Memory: idle, and with 1,000 idle kept HTTP/2 connections over TLS",
        load: Load::Idle {
            connections: 1000,
            targets: MemoryTargets { idle_rss_mib: None, kib_per_connection: 34.0 },
        },
        tls: true,
        targets: &[],
        ..HTTP2
    },
    Row {
        name: "reload",
        title: "Adding one host to 5,000 under 1,000 requests a second on 32 kept connections",
        load: Load::Reload,
        shape: Shape::Hosts(ROUTES),
        relay: false,
        targets: &[],
        ..PLAIN
    },
];

/// From the change of a file to the first request that it serves.
pub(crate) const RELOAD_MS: f64 = 50.0;

impl Row {
    /// The proxies of this row among `kinds`, with the label and shape of each.
    pub(crate) fn participants(&self, kinds: &[Kind]) -> Vec<(String, Kind, Shape)> {
        let mut all = Vec::new();
        let takes_part =
            |kind: &Kind| kind.speaks(self.wire) && (self.relay || *kind != Kind::Relay);
        for kind in kinds.iter().copied().filter(takes_part) {
            all.push((kind.name().to_owned(), kind, self.shape));
            if kind == Kind::Portcullis && self.ours_with_one_route {
                all.push((ONE_ROUTE.to_owned(), kind, Shape::One));
            }
        }
        all
    }
}
