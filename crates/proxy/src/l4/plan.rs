//! Where a connection or flow goes: listener, route, backend; chosen once, when it begins.

use std::{rc::Rc, sync::Arc};

use ir::{L4Entry, Listener, ListenerTable, PortKey, Revision};

use crate::{
    accept::Permit,
    observe::{l4::L4Counters, reason::Reason},
    upstream::endpoints::ClusterState,
    worker::{Worker, WorkerTable},
};

/// The choice. It holds nothing of a table but what it names, so that a long connection does not
/// keep an old revision in memory.
pub(crate) struct Plan {
    pub(crate) entry: Arc<L4Entry>,
    /// Of the backend in the route.
    pub(crate) position: usize,
    pub(crate) cluster: Rc<ClusterState>,
    pub(crate) counters: Rc<L4Counters>,
    pub(crate) revision: Revision,
    /// Its place at the listener.
    _permit: Option<Permit>,
}

impl Plan {
    /// Whether a route still leads to the backend that was chosen.
    pub(crate) fn is_among(&self, entry: &L4Entry) -> bool {
        let leads = |backend: &ir::Backend| {
            backend.weight > 0 && backend.target == ir::Target::Cluster(self.cluster.id.clone())
        };
        entry.route.object == self.entry.route.object && entry.route.backends.iter().any(leads)
    }
}

/// What could be found out before something was missing.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) listener: Option<Arc<Listener>>,
    pub(crate) entry: Option<Arc<L4Entry>>,
}

/// The listener of a port without server names.
pub(crate) fn only_listener<'t>(
    table: &'t WorkerTable,
    key: &PortKey,
) -> Option<&'t Arc<ListenerTable>> {
    table.table().ports.get(key)?.listener_for("")
}

/// Chooses route and backend. The weight of a backend that cannot be served is respected: its
/// share fails.
///
/// # Errors
/// The reason, with what `known` was filled with.
pub(crate) fn plan(
    worker: &Worker,
    table: &WorkerTable,
    listener: &ListenerTable,
    server_name: Option<&str>,
    known: &mut Known,
) -> Result<Plan, Reason> {
    known.listener = Some(Arc::clone(&listener.listener));
    let entry = listener.l4_for(server_name).ok_or(Reason::NoRoute)?;
    known.entry = Some(Arc::clone(entry));
    let position = entry.pick(worker.random.next()).ok_or(Reason::NoBackends)?;
    let backend = entry.backends.get(position).ok_or(Reason::NoBackends)?;
    let cluster = backend.cluster.and_then(|index| usize::try_from(index.0).ok());
    let cluster = cluster.and_then(|index| table.clusters.get(index));
    Ok(Plan {
        entry: Arc::clone(entry),
        position,
        cluster: Rc::clone(cluster.ok_or(Reason::InvalidBackend)?),
        counters: table.l4.of(entry),
        revision: table.table().revision,
        _permit: table.permit(listener)?,
    })
}
