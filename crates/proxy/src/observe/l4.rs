//! Counters of TCP and TLS connections and of UDP flows, by route and backend.

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
};

use ir::{L4Entry, Table};

use crate::observe::metrics::{Labels, backend_name, count, count_bytes, namespaced};

/// Counts of one backend of one route in one worker.
#[derive(Default)]
pub(crate) struct BackendCounters {
    begun: Cell<u64>,
    open: Cell<u64>,
    failed: Cell<u64>,
    received: Cell<u64>,
    sent: Cell<u64>,
}

/// Counters of one route at one listener.
pub(crate) struct L4Counters {
    backends: Vec<BackendCounters>,
}

impl L4Counters {
    fn new(backends: usize) -> Self {
        let backends = std::iter::repeat_with(BackendCounters::default).take(backends).collect();
        Self { backends }
    }

    /// Counts a connection or flow as open until the guard is dropped.
    pub(crate) fn begin(self: &Rc<Self>, backend: usize) -> Opened {
        if let Some(counters) = self.backends.get(backend) {
            count(&counters.begun);
            count(&counters.open);
        }
        Opened { counters: Rc::clone(self), backend }
    }
}

/// A connection or flow that is counted as open.
pub(crate) struct Opened {
    counters: Rc<L4Counters>,
    backend: usize,
}

impl Opened {
    fn cells(&self) -> Option<&BackendCounters> {
        self.counters.backends.get(self.backend)
    }

    /// Adds bytes from the client and bytes to it.
    pub(crate) fn add(&self, received: u64, sent: u64) {
        if let Some(cells) = self.cells() {
            count_bytes(&cells.received, received);
            count_bytes(&cells.sent, sent);
        }
    }

    /// It ended otherwise than by the will of both sides.
    pub(crate) fn fail(&self) {
        if let Some(cells) = self.cells() {
            count(&cells.failed);
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(cells) = self.cells() {
            cells.open.set(cells.open.get().saturating_sub(1));
        }
    }
}

/// The counters of all L4 routes of a table, made when a route is first used.
#[derive(Default)]
pub(crate) struct L4TableCounters {
    routes: Vec<OnceCell<Rc<L4Counters>>>,
}

impl L4TableCounters {
    /// Counters for `table`; routes that also stand in `previous` go on counting.
    pub(crate) fn carry(table: &Table, previous: Option<(&Table, &Self)>) -> Self {
        let next = Self { routes: vec![OnceCell::new(); table.l4.len()] };
        let Some((old_table, old)) = previous else { return next };
        let mut known: Vec<_> = old_table
            .l4
            .iter()
            .zip(&old.routes)
            .filter_map(|(entry, cell)| Some((route_labels(old_table, entry), cell.get()?)))
            .collect();
        known.sort_by(|a, b| a.0.cmp(&b.0));
        for (entry, cell) in table.l4.iter().zip(&next.routes) {
            let labels = route_labels(table, entry);
            let found = known.binary_search_by(|(other, _)| other.cmp(&labels)).ok();
            let counters = found.and_then(|found| known.get(found)).map(|(_, counters)| counters);
            let fits = counters.filter(|counters| counters.backends.len() == entry.backends.len());
            if let Some(counters) = fits
                && cell.set(Rc::clone(counters)).is_err()
            {
                tracing::debug!(?labels, "two routes have the same labels");
            }
        }
        next
    }

    pub(crate) fn of(&self, entry: &L4Entry) -> Rc<L4Counters> {
        let index = usize::try_from(entry.index.0).unwrap_or(usize::MAX);
        let new = || Rc::new(L4Counters::new(entry.backends.len()));
        self.routes.get(index).map_or_else(new, |cell| Rc::clone(cell.get_or_init(new)))
    }

    /// Every series that was ever used, labelled.
    pub(crate) fn read(&self, table: &Table) -> Vec<L4Series> {
        let mut all = Vec::new();
        for (entry, cell) in table.l4.iter().zip(&self.routes) {
            let Some(counters) = cell.get() else { continue };
            let labels = route_labels(table, entry);
            for (backend, cells) in entry.route.backends.iter().zip(&counters.backends) {
                if cells.begun.get() > 0 {
                    let labels = Labels { backend: backend_name(backend), ..labels.clone() };
                    all.push(L4Series::read(labels, cells));
                }
            }
        }
        all
    }
}

fn route_labels(table: &Table, entry: &L4Entry) -> Labels {
    let listener = table.listener(entry.listener).map(|listener| &listener.listener);
    Labels {
        gateway: listener.map(|listener| namespaced(&listener.gateway)).unwrap_or_default(),
        listener: listener.map(|listener| listener.id.name.to_string()).unwrap_or_default(),
        route: entry.route.object.to_string(),
        // These routes have exactly one.
        rule: "0".to_owned(),
        backend: String::new(),
    }
}

/// Counts of connections or flows of one label set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L4Series {
    pub labels: Labels,
    /// Connections or flows that began.
    pub begun: u64,
    /// Those that are open now.
    pub open: u64,
    /// Those that ended with a reason.
    pub failed: u64,
    /// Bytes from clients.
    pub received: u64,
    /// Bytes to clients.
    pub sent: u64,
}

impl L4Series {
    fn read(labels: Labels, cells: &BackendCounters) -> Self {
        Self {
            labels,
            begun: cells.begun.get(),
            open: cells.open.get(),
            failed: cells.failed.get(),
            received: cells.received.get(),
            sent: cells.sent.get(),
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.begun = self.begun.wrapping_add(other.begun);
        self.open = self.open.wrapping_add(other.open);
        self.failed = self.failed.wrapping_add(other.failed);
        self.received = self.received.wrapping_add(other.received);
        self.sent = self.sent.wrapping_add(other.sent);
    }
}
