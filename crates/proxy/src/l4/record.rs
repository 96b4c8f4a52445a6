//! What is remembered about one connection or flow, for metrics and the access log.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{
    l4::plan::{Known, Plan},
    observe::{metrics::count_bytes, reason::Reason},
    worker::Worker,
};

/// What carries the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp,
    TlsPassthrough,
    TlsTerminate,
    Udp,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::TlsPassthrough => "tls_passthrough",
            Self::TlsTerminate => "tls_terminate",
            Self::Udp => "udp",
        }
    }
}

/// One connection or flow, from its first byte to its last.
pub(crate) struct Record {
    pub(crate) kind: Kind,
    start: Instant,
    peer: SocketAddr,
    pub(crate) server_name: Option<String>,
    pub(crate) known: Known,
    pub(crate) endpoint: Option<SocketAddr>,
    pub(crate) attempts: u32,
    pub(crate) connect: Option<Duration>,
    pub(crate) reason: Option<Reason>,
    pub(crate) detail: &'static str,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl Record {
    pub(crate) fn new(kind: Kind, start: Instant, peer: SocketAddr) -> Self {
        Self {
            kind,
            start,
            peer,
            server_name: None,
            known: Known::default(),
            endpoint: None,
            attempts: 0,
            connect: None,
            reason: None,
            detail: "",
            received: 0,
            sent: 0,
        }
    }

    /// Counts and logs what ended.
    pub(crate) fn finish(&self, worker: &Worker, plan: Option<&Plan>) {
        let now = worker.clock.now();
        let totals = &worker.counters.totals;
        count_bytes(&totals.l4_in, self.received);
        count_bytes(&totals.l4_out, self.sent);
        if let Some(reason) = self.reason {
            worker.counters.reason(reason);
        }
        worker.log.line(now, |line| {
            line.text("protocol", self.kind.as_str().as_bytes());
            line.address("client", self.peer);
            if let Some(name) = &self.server_name {
                line.text("server_name", name.as_bytes());
            }
            if let Some(reason) = self.reason {
                line.text("reason", reason.as_str().as_bytes());
            }
            if !self.detail.is_empty() {
                line.text("detail", self.detail.as_bytes());
            }
            line.number("bytes_in", self.received);
            line.number("bytes_out", self.sent);
            line.millis("duration_ms", now.saturating_duration_since(self.start));
            if let Some(connect) = self.connect {
                line.millis("connect_ms", connect);
            }
            if let Some(listener) = &self.known.listener {
                let gateway = &listener.gateway;
                line.joined("gateway", &[&gateway.namespace, "/", &gateway.name]);
                line.text("listener", listener.id.name.as_bytes());
            }
            if let Some(entry) = &self.known.entry {
                line.object("route", &entry.route.object);
            }
            if let Some(plan) = plan {
                line.cluster("backend", &plan.cluster.id);
                line.revision("revision", plan.revision);
            }
            if let Some(endpoint) = self.endpoint {
                line.address("endpoint", endpoint);
                line.number("attempts", u64::from(self.attempts));
            }
        });
    }
}
