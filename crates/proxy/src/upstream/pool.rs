//! Idle upstream connections: last in, first out, owned by the endpoint they lead to.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use crate::upstream::{
    endpoints::{EndpointEntry, Upstreams},
    stream::UpstreamStream,
};

/// A connection without a request.
pub(crate) struct Idle {
    stream: UpstreamStream,
    since: Instant,
}

/// A fresh enough idle connection, if there is one.
pub(crate) fn take(entry: &EndpointEntry) -> Option<UpstreamStream> {
    loop {
        let mut idle = entry.idle.borrow_mut().pop()?;
        if idle.stream.is_quiet() {
            return Some(idle.stream);
        }
    }
}

/// Keeps a connection whose last response ended where it should.
pub(crate) fn give(entry: &Rc<EndpointEntry>, stream: UpstreamStream, now: Instant, most: usize) {
    let mut idle = entry.idle.borrow_mut();
    if !entry.closed.get() && idle.len() < most {
        idle.push(Idle { stream, since: now });
    }
}

/// Drops what idled too long or was closed by the backend. Returns how many remain.
pub(crate) fn sweep(upstreams: &Upstreams, now: Instant, longest: Duration) -> usize {
    let mut remaining = 0usize;
    upstreams.for_each(|cluster| {
        for entry in cluster.endpoints.borrow().all() {
            let mut idle = entry.idle.borrow_mut();
            idle.retain_mut(|idle| {
                now.saturating_duration_since(idle.since) < longest && idle.stream.is_quiet()
            });
            remaining = remaining.saturating_add(idle.len());
        }
    });
    remaining
}
