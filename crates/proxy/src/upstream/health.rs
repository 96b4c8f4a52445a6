//! What the requests of all workers learn about an endpoint: load, failures, pauses.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use ir::Outlier;

use crate::upstream::endpoints::{ClusterState, EndpointEntry};

/// Ejections are kept as milliseconds since this moment, so that they fit an atomic.
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Shared by all workers and by all clusters with the endpoint; read without waiting.
#[derive(Default)]
pub(crate) struct Health {
    /// Requests in flight; counted only for clusters that balance by it.
    pub(crate) in_flight: AtomicUsize,
    /// Failed attempts since the last that went well.
    failures: AtomicU32,
    /// The end of the pause, in milliseconds since [`EPOCH`]; 0 while there was none.
    ejected_until: AtomicU64,
}

fn since_epoch() -> u64 {
    u64::try_from(EPOCH.elapsed().as_millis()).unwrap_or(u64::MAX)
}

impl Health {
    /// Whether the endpoint has a pause. Reads the time only when it had one before.
    pub(crate) fn is_ejected(&self) -> bool {
        let until = self.ejected_until.load(Ordering::Relaxed);
        until != 0 && until > since_epoch()
    }

    fn eject(&self, pause: Duration) {
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.ejected_until.store(since_epoch().saturating_add(pause), Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
    }
}

/// The endpoint answered; whether it answered well is the application's business.
pub(crate) fn succeeded(entry: &EndpointEntry) {
    if entry.health.failures.load(Ordering::Relaxed) != 0 {
        entry.health.failures.store(0, Ordering::Relaxed);
    }
}

/// An attempt failed without an answer: no connection, no handshake, no valid response head.
/// Returns whether the endpoint got a pause for it.
pub(crate) fn failed(cluster: &ClusterState, entry: &EndpointEntry) -> bool {
    let outlier = &cluster.id.0.outlier;
    let Some(most) = outlier.consecutive_failures else { return false };
    let failures = entry.health.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
    if failures < most || entry.health.is_ejected() || !may_eject(cluster, outlier) {
        return false;
    }
    entry.health.eject(outlier.ejection);
    true
}

/// Whether one more of the cluster's endpoints may pause.
fn may_eject(cluster: &ClusterState, outlier: &Outlier) -> bool {
    let list = cluster.endpoints.borrow();
    let (mut all, mut ejected) = (0usize, 1usize);
    for entry in list.all() {
        all = all.saturating_add(1);
        ejected = ejected.saturating_add(usize::from(entry.health.is_ejected()));
    }
    ejected.saturating_mul(100) <= all.saturating_mul(usize::from(outlier.max_percent))
}
