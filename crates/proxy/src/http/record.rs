//! What is remembered about one exchange, for metrics and the access log.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use http1::Version;
use ir::{Backend, Found, ListenerIndex, ListenerTable, PortTable, Predicate, RequestView, Table};

use crate::{
    http::{connection::Connection, scratch::Scratch},
    observe::{
        access_log::Line,
        metrics::{Exchanged, count_bytes},
        reason::Reason,
    },
    worker::{Worker, WorkerTable},
};

/// One exchange, from its whole head to its last byte.
pub(crate) struct Record<'t> {
    pub(crate) start: Instant,
    pub(crate) listener: Option<&'t ListenerTable>,
    pub(crate) found: Option<Found<'t>>,
    /// With its position in the rule.
    pub(crate) backend: Option<(usize, &'t Backend)>,
    pub(crate) endpoint: Option<SocketAddr>,
    pub(crate) reason: Option<Reason>,
    /// Which rule of the protocol was broken.
    pub(crate) detail: &'static str,
    /// 0 until a head was written.
    pub(crate) status: u16,
    pub(crate) attempts: u32,
    pub(crate) connect: Option<Duration>,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    closest: Option<(String, String)>,
}

impl<'t> Record<'t> {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            listener: None,
            found: None,
            backend: None,
            endpoint: None,
            reason: None,
            detail: "",
            status: 0,
            attempts: 0,
            connect: None,
            first_byte: None,
            received: 0,
            sent: 0,
            closest: None,
        }
    }

    pub(crate) fn add_sent(&mut self, bytes: usize) {
        self.sent = self.sent.wrapping_add(u64::try_from(bytes).unwrap_or(0));
    }

    pub(crate) fn add_received(&mut self, bytes: usize) {
        self.received = self.received.wrapping_add(u64::try_from(bytes).unwrap_or(0));
    }

    /// Finds out which rule was nearest, for a few misses per second: a flood of misses must not
    /// buy work.
    pub(crate) fn explain_miss<V: RequestView>(
        &mut self,
        worker: &Worker,
        port: &PortTable,
        table: &Table,
        sni: Option<ListenerIndex>,
        view: &V,
    ) {
        if !worker.log.is_on() || !worker.may_explain() {
            return;
        }
        if let Some(closest) = ir::closest(port, table, sni, view) {
            let rule = closest.entry.rule.origin.to_string();
            self.closest = Some((rule, describe(&closest.predicate)));
        }
    }

    /// Counts and logs a finished exchange.
    pub(crate) fn finish(
        &self,
        worker: &Worker,
        connection: &Connection,
        scratch: &Scratch,
        table: &WorkerTable,
    ) {
        let now = worker.clock.now();
        let duration = now.saturating_duration_since(self.start);
        self.count_totals(worker);
        if let Some(found) = &self.found {
            let rule = usize::try_from(found.entry.index.0).unwrap_or(usize::MAX);
            let backend = self.backend.map(|(position, _)| position);
            let outcome = Exchanged {
                status: self.status,
                duration,
                received: self.received,
                sent: self.sent,
            };
            table.counters.record(rule, found.entry.backends.len(), backend, &outcome);
        }
        worker.log.line(now, |line| {
            self.log_request(line, connection, scratch);
            self.log_outcome(line, duration);
            self.log_route(line);
            line.revision("revision", table.table().revision);
        });
    }

    /// Counts and logs a head that was not understood.
    pub(crate) fn finish_unread(
        &self,
        worker: &Worker,
        connection: &Connection,
        scratch: &Scratch,
    ) {
        let now = worker.clock.now();
        self.count_totals(worker);
        worker.log.line(now, |line| {
            line.text("request_id", scratch.names.request_id.as_bytes());
            line.address("client", connection.peer);
            self.log_outcome(line, now.saturating_duration_since(self.start));
        });
    }

    fn count_totals(&self, worker: &Worker) {
        count_bytes(&worker.counters.totals.downstream_out, self.sent);
        if let Some(reason) = self.reason {
            worker.counters.reason(reason);
        }
    }

    fn log_request(&self, line: &mut Line<'_>, connection: &Connection, scratch: &Scratch) {
        line.text("request_id", scratch.names.request_id.as_bytes());
        line.address("client", connection.peer);
        let protocol: &[u8] = match (connection.stream.is_http2(), scratch.request.version()) {
            (true, _) => b"HTTP/2",
            (false, Version::Http10) => b"HTTP/1.0",
            (false, Version::Http11) => b"HTTP/1.1",
        };
        line.text("protocol", protocol);
        let method = scratch.request.method_span().of(scratch.input.kept());
        line.text("method", method);
        line.text("host", scratch.names.host.as_bytes());
        let path: &[u8] = if scratch.names.path.is_empty() {
            scratch.request.path().of(scratch.input.kept())
        } else {
            scratch.names.path.as_bytes()
        };
        line.text("path", path);
    }

    fn log_outcome(&self, line: &mut Line<'_>, duration: Duration) {
        line.number("status", u64::from(self.status));
        if let Some(reason) = self.reason {
            line.text("reason", reason.as_str().as_bytes());
        }
        if !self.detail.is_empty() {
            line.text("detail", self.detail.as_bytes());
        }
        line.number("bytes_in", self.received);
        line.number("bytes_out", self.sent);
        line.millis("duration_ms", duration);
        if let Some(connect) = self.connect {
            line.millis("connect_ms", connect);
        }
        if let Some(first_byte) = self.first_byte {
            line.millis("first_byte_ms", first_byte);
        }
    }

    fn log_route(&self, line: &mut Line<'_>) {
        if let Some(listener) = self.listener {
            let gateway = &listener.listener.gateway;
            line.joined("gateway", &[&gateway.namespace, "/", &gateway.name]);
            line.text("listener", listener.listener.id.name.as_bytes());
        }
        if let Some(found) = &self.found {
            line.object("route", &found.entry.route.object);
            match &found.entry.rule.name {
                Some(name) => line.text("rule", name.as_bytes()),
                None => line.position("rule", found.entry.rule.index),
            }
        }
        if let Some((_, backend)) = self.backend {
            match &backend.target {
                ir::Target::Cluster(cluster) => line.cluster("backend", cluster),
                ir::Target::Fail(reason) => {
                    line.text("backend", Reason::from(*reason).as_str().as_bytes());
                }
            }
        }
        if let Some(endpoint) = self.endpoint {
            line.address("endpoint", endpoint);
            line.number("attempts", u64::from(self.attempts));
        }
        if let Some((rule, predicate)) = &self.closest {
            line.text("closest_rule", rule.as_bytes());
            line.text("closest_failed", predicate.as_bytes());
        }
    }
}

fn describe(predicate: &Predicate) -> String {
    let value = |value: &ir::ValueMatch| match value {
        ir::ValueMatch::Exact(text) => text.to_string(),
        ir::ValueMatch::Regex(pattern) => format!("~{pattern}"),
    };
    let got = |got: &Option<String>| got.clone().unwrap_or_else(|| "nothing".to_owned());
    match predicate {
        Predicate::Listener => "another listener of the port".to_owned(),
        Predicate::Host { wanted, got } => match wanted {
            Some(wanted) => format!("host: wanted {wanted}, got {got}"),
            None => format!("host: got {got}"),
        },
        Predicate::Path { wanted, got } => format!("path: wanted {wanted}, got {got}"),
        Predicate::Method { wanted, got } => format!("method: wanted {wanted}, got {got}"),
        Predicate::Header { name, wanted, got: found } => {
            format!("header {name}: wanted {}, got {}", value(wanted), got(found))
        }
        Predicate::Query { name, wanted, got: found } => {
            format!("query {name}: wanted {}, got {}", value(wanted), got(found))
        }
    }
}
