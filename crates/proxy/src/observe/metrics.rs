//! Counters: plain cells per worker, merged when somebody asks.

use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::Rc,
    time::Duration,
};

use ir::Table;

use crate::observe::{l4::L4Series, reason::Reason};

/// Upper bounds of the duration buckets, in microseconds; one more bucket holds the rest.
pub const DURATION_BUCKETS: [u64; 12] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];

macro_rules! totals {
    ($($(#[$doc:meta])* $field:ident = $name:literal, $kind:literal, $help:literal;)+) => {
        /// Counters of one worker that belong to no rule.
        #[derive(Default)]
        pub(crate) struct Totals { $(#[doc = $help] pub(crate) $field: Cell<u64>,)+ }

        impl Totals {
            fn read(&self) -> Vec<Total> {
                vec![$(Total { name: $name, kind: $kind, help: $help, value: self.$field.get() },)+]
            }
        }
    };
}

totals! {
    accepted = "portcullis_connections_accepted_total", "counter", "Downstream connections accepted.";
    open = "portcullis_connections_open", "gauge", "Downstream connections open now.";
    shed = "portcullis_requests_shed_total", "counter", "Requests refused for want of memory.";
    resident = "portcullis_memory_watched_bytes", "gauge", "Memory of the process at the last look; 0 without a budget.";
    pressure = "portcullis_memory_pressure", "gauge", "What is given up for want of memory: 0 nothing, 1 idle connections, 2 new requests, 3 new connections.";
    refused = "portcullis_connections_refused_total", "counter", "Downstream connections closed at once for want of room.";
    adopted = "portcullis_connections_adopted_total", "counter", "Downstream connections taken over from another worker.";
    accept_errors = "portcullis_accept_errors_total", "counter", "Accepts that failed for want of a resource.";
    handshakes = "portcullis_tls_handshakes_total", "counter", "TLS handshakes completed.";
    handshake_errors = "portcullis_tls_handshake_errors_total", "counter", "TLS handshakes that failed, timed out or named no listener.";
    http2_connections = "portcullis_http2_connections_total", "counter", "Downstream connections that speak HTTP/2.";
    http2_abuses = "portcullis_http2_abuses_total", "counter", "HTTP/2 connections closed for sending too many resets, empty frames or malformed requests.";
    requests = "portcullis_requests_total", "counter", "Requests whose head was read.";
    downstream_in = "portcullis_downstream_received_bytes_total", "counter", "HTTP bytes received from clients.";
    downstream_out = "portcullis_downstream_sent_bytes_total", "counter", "HTTP bytes sent to clients.";
    connects = "portcullis_upstream_connects_total", "counter", "Connections opened to endpoints.";
    connect_errors = "portcullis_upstream_connect_errors_total", "counter", "Connects to endpoints that failed or timed out.";
    reused = "portcullis_upstream_reuses_total", "counter", "Attempts sent over a pooled connection.";
    retried = "portcullis_upstream_retries_total", "counter", "Attempts after the first.";
    ejected = "portcullis_upstream_ejections_total", "counter", "Endpoints paused after failures in a row.";
    tunnels = "portcullis_tunnels_total", "counter", "Connections upgraded to another protocol.";
    mirrored = "portcullis_mirror_requests_total", "counter", "Mirror requests sent.";
    mirror_drops = "portcullis_mirror_drops_total", "counter", "Mirror requests dropped: over a limit, no endpoint, or failed.";
    l4_in = "portcullis_l4_received_bytes_total", "counter", "Bytes received from clients of ended TCP and TLS connections and UDP flows.";
    l4_out = "portcullis_l4_sent_bytes_total", "counter", "Bytes sent to clients of ended TCP and TLS connections and UDP flows.";
    proxy_header_errors = "portcullis_proxy_header_errors_total", "counter", "Connections closed for want of a valid PROXY protocol header from a trusted peer.";
    udp_received = "portcullis_udp_datagrams_received_total", "counter", "Datagrams received from clients.";
    udp_sent = "portcullis_udp_datagrams_sent_total", "counter", "Datagrams sent to clients.";
    udp_drops = "portcullis_udp_datagrams_dropped_total", "counter", "Datagrams dropped: no way, no room, or a full queue.";
    udp_evictions = "portcullis_udp_flows_evicted_total", "counter", "UDP flows ended to make room for another.";
    log_drops = "portcullis_access_log_dropped_total", "counter", "Access log lines dropped.";
}

/// One counter or gauge without labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    pub name: &'static str,
    /// `counter` or `gauge`.
    pub kind: &'static str,
    pub help: &'static str,
    pub value: u64,
}

/// Counts of one backend of one rule in one worker.
#[derive(Default)]
pub(crate) struct SeriesCounters {
    classes: [Cell<u64>; 5],
    buckets: [Cell<u64>; DURATION_BUCKETS.len() + 1],
    micros: Cell<u64>,
    received: Cell<u64>,
    sent: Cell<u64>,
}

fn add(cell: &Cell<u64>, amount: u64) {
    cell.set(cell.get().wrapping_add(amount));
}

/// Adds one.
pub(crate) fn count(cell: &Cell<u64>) {
    add(cell, 1);
}

/// Adds bytes.
pub(crate) fn count_bytes(cell: &Cell<u64>, bytes: u64) {
    add(cell, bytes);
}

impl SeriesCounters {
    fn record(&self, status: u16, duration: Duration, received: u64, sent: u64) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(cell) = self.classes.get(class) {
            count(cell);
        }
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = DURATION_BUCKETS.iter().position(|most| micros <= *most);
        if let Some(cell) = self.buckets.get(bucket.unwrap_or(DURATION_BUCKETS.len())) {
            count(cell);
        }
        add(&self.micros, micros);
        add(&self.received, received);
        add(&self.sent, sent);
    }
}

/// Counters of one rule: one series per backend and one for answers of our own.
pub(crate) struct RuleCounters {
    backends: Vec<SeriesCounters>,
    local: SeriesCounters,
}

impl RuleCounters {
    fn new(backends: usize) -> Self {
        let backends = std::iter::repeat_with(SeriesCounters::default).take(backends).collect();
        Self { backends, local: SeriesCounters::default() }
    }

    fn series(&self, backend: Option<usize>) -> &SeriesCounters {
        backend.and_then(|backend| self.backends.get(backend)).unwrap_or(&self.local)
    }
}

/// The counters of all rules of a table, made when a rule is first used.
#[derive(Default)]
pub(crate) struct TableCounters {
    rules: Vec<OnceCell<Rc<RuleCounters>>>,
}

impl TableCounters {
    /// Counters for `table`; rules that also stand in `previous` go on counting.
    pub(crate) fn carry(table: &Table, previous: Option<(&Table, &Self)>) -> Self {
        let next = Self { rules: vec![OnceCell::new(); table.rules.len()] };
        let Some((old_table, old)) = previous else { return next };
        let mut moved = Vec::new();
        for (index, cell) in old.rules.iter().enumerate() {
            let Some(counters) = cell.get() else { continue };
            let (Some(old_rule), same) = (old_table.rules.get(index), table.rules.get(index))
            else {
                continue;
            };
            let identity = Identity::of(old_table, old_rule);
            if same.is_some_and(|same| Identity::of(table, same) == identity) {
                next.adopt(index, counters);
            } else {
                moved.push((identity, counters));
            }
        }
        if !moved.is_empty() {
            moved.sort_by(|a, b| a.0.cmp(&b.0));
            for (index, rule) in table.rules.iter().enumerate() {
                let identity = Identity::of(table, rule);
                if let Ok(found) = moved.binary_search_by(|(old, _)| old.cmp(&identity))
                    && let Some((_, counters)) = moved.get(found)
                {
                    next.adopt(index, counters);
                }
            }
        }
        next
    }

    fn adopt(&self, index: usize, counters: &Rc<RuleCounters>) {
        if let Some(cell) = self.rules.get(index)
            && cell.set(Rc::clone(counters)).is_err()
        {
            tracing::debug!(index, "two rules have the same labels");
        }
    }

    /// Counts one finished exchange.
    pub(crate) fn record(
        &self,
        rule: usize,
        backends: usize,
        backend: Option<usize>,
        outcome: &Exchanged,
    ) {
        if let Some(cell) = self.rules.get(rule) {
            let counters = cell.get_or_init(|| Rc::new(RuleCounters::new(backends)));
            counters.series(backend).record(
                outcome.status,
                outcome.duration,
                outcome.received,
                outcome.sent,
            );
        }
    }

    /// Every series that was ever used, labelled.
    pub(crate) fn read(&self, table: &Table) -> Vec<Series> {
        let mut all = Vec::new();
        for (rule, cell) in table.rules.iter().zip(&self.rules) {
            let Some(counters) = cell.get() else { continue };
            let labels = Labels::of(table, rule);
            let names = backend_names(&rule.rule);
            let named = counters.backends.iter().zip(names);
            let local = std::iter::once((&counters.local, String::new()));
            for (series, backend) in named.chain(local) {
                let requests: u64 = series.buckets.iter().map(Cell::get).sum();
                if requests > 0 {
                    all.push(Series::read(Labels { backend, ..labels.clone() }, series));
                }
            }
        }
        all
    }
}

/// What is counted about one exchange.
pub(crate) struct Exchanged {
    pub(crate) status: u16,
    pub(crate) duration: Duration,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// The name of each backend of a rule, as in its label.
pub(crate) fn backend_names(rule: &ir::Rule) -> Vec<String> {
    match &rule.action {
        ir::Action::Forward(backends) => backends.iter().map(backend_name).collect(),
        ir::Action::Redirect(_) | ir::Action::Fail(_) => Vec::new(),
    }
}

pub(crate) fn backend_name(backend: &ir::Backend) -> String {
    match &backend.target {
        ir::Target::Cluster(cluster) => cluster.to_string(),
        ir::Target::Fail(reason) => Reason::from(*reason).as_str().to_owned(),
    }
}

/// What tells the counters of one rule from those of others: its [`Labels`], without their texts.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Identity<'t> {
    /// First, since it differs most.
    route: &'t ir::ObjectRef,
    /// The Gateway and the name of the listener.
    listener: Option<(&'t ir::ObjectRef, &'t str)>,
    name: Option<&'t str>,
    /// Of a rule without a name.
    index: u32,
}

impl<'t> Identity<'t> {
    fn of(table: &'t Table, entry: &'t ir::RuleEntry) -> Self {
        let listener = usize::try_from(entry.listener.0).unwrap_or(usize::MAX);
        let listener = table.listeners.get(listener).map(|listener| &*listener.listener);
        let name = entry.rule.name.as_deref();
        Self {
            route: &entry.route.object,
            listener: listener.map(|listener| (&*listener.gateway, &*listener.id.name)),
            name,
            index: if name.is_some() { 0 } else { entry.rule.index },
        }
    }
}

/// Labels of one series; the whole set, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels {
    /// `namespace/name`
    pub gateway: String,
    pub listener: String,
    /// `Kind namespace/name`
    pub route: String,
    /// Its name, else its position from 0.
    pub rule: String,
    /// `namespace/name:port`, a reason where the reference is not valid, empty for an answer of
    /// our own.
    pub backend: String,
}

impl Labels {
    fn of(table: &Table, entry: &ir::RuleEntry) -> Self {
        let index = usize::try_from(entry.listener.0).unwrap_or(usize::MAX);
        let listener = table.listeners.get(index).map(|listener| &listener.listener);
        Self {
            gateway: listener.map(|l| namespaced(&l.gateway)).unwrap_or_default(),
            listener: listener.map(|l| l.id.name.to_string()).unwrap_or_default(),
            route: entry.route.object.to_string(),
            rule: rule_name(&entry.rule),
            backend: String::new(),
        }
    }
}

/// `namespace/name`
pub(crate) fn namespaced(object: &ir::ObjectRef) -> String {
    format!("{}/{}", object.namespace, object.name)
}

/// The rule's name, else its position from 0.
pub(crate) fn rule_name(rule: &ir::Rule) -> String {
    rule.name.as_ref().map_or_else(|| rule.index.to_string(), ToString::to_string)
}

/// Counts of one label set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    pub labels: Labels,
    /// 1xx to 5xx.
    pub classes: [u64; 5],
    /// Parallel to [`DURATION_BUCKETS`], and the rest; not cumulative.
    pub buckets: [u64; DURATION_BUCKETS.len() + 1],
    /// Sum of durations in microseconds.
    pub micros: u64,
    /// Request bytes, heads included.
    pub received: u64,
    /// Response bytes, heads included.
    pub sent: u64,
}

impl Series {
    fn read(labels: Labels, counters: &SeriesCounters) -> Self {
        Self {
            labels,
            classes: counters.classes.each_ref().map(Cell::get),
            buckets: counters.buckets.each_ref().map(Cell::get),
            micros: counters.micros.get(),
            received: counters.received.get(),
            sent: counters.sent.get(),
        }
    }

    fn add(&mut self, other: &Self) {
        let pairs = self.classes.iter_mut().zip(&other.classes);
        pairs.chain(self.buckets.iter_mut().zip(&other.buckets)).for_each(|(a, b)| *a += *b);
        self.micros = self.micros.wrapping_add(other.micros);
        self.received = self.received.wrapping_add(other.received);
        self.sent = self.sent.wrapping_add(other.sent);
    }
}

/// All counters of one worker.
pub(crate) struct Counters {
    pub(crate) totals: Totals,
    reasons: [Cell<u64>; Reason::COUNT],
    pub(crate) table: RefCell<Rc<TableCounters>>,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            totals: Totals::default(),
            reasons: std::array::from_fn(|_| Cell::new(0)),
            table: RefCell::default(),
        }
    }

    pub(crate) fn reason(&self, reason: Reason) {
        if let Some(cell) = self.reasons.get(reason as usize) {
            count(cell);
        }
    }

    pub(crate) fn read(&self) -> MetricsSnapshot {
        let reasons = Reason::ALL.iter().zip(&self.reasons);
        MetricsSnapshot {
            workers: 1,
            totals: self.totals.read(),
            reasons: reasons.map(|(reason, cell)| (*reason, cell.get())).collect(),
            series: Vec::new(),
            limits: Vec::new(),
            l4: Vec::new(),
        }
    }
}

/// All counters of the data plane at one moment. Order is stable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsSnapshot {
    pub workers: usize,
    pub totals: Vec<Total>,
    pub reasons: Vec<(Reason, u64)>,
    /// Sorted by labels.
    pub series: Vec<Series>,
    /// The bounds that are in force, by name.
    pub limits: Vec<(&'static str, u64)>,
    /// TCP, TLS and UDP, sorted by labels.
    pub l4: Vec<L4Series>,
}

impl MetricsSnapshot {
    /// Adds another worker's counters.
    pub(crate) fn merge(&mut self, other: Self) {
        self.workers = self.workers.saturating_add(other.workers);
        if self.totals.is_empty() {
            self.totals = other.totals;
            self.reasons = other.reasons;
        } else {
            self.totals.iter_mut().zip(&other.totals).for_each(|(a, b)| a.value += b.value);
            self.reasons.iter_mut().zip(&other.reasons).for_each(|(a, b)| a.1 += b.1);
        }
        for series in other.series {
            match self.series.binary_search_by(|known| known.labels.cmp(&series.labels)) {
                Ok(found) => {
                    if let Some(known) = self.series.get_mut(found) {
                        known.add(&series);
                    }
                }
                Err(place) => self.series.insert(place, series),
            }
        }
        for series in other.l4 {
            match self.l4.binary_search_by(|known| known.labels.cmp(&series.labels)) {
                Ok(found) => {
                    if let Some(known) = self.l4.get_mut(found) {
                        known.add(&series);
                    }
                }
                Err(place) => self.l4.insert(place, series),
            }
        }
    }
}
