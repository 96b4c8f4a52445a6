//! Idle upstream connections: last in, first out, owned by the endpoint they lead to.

use std::{
    rc::Rc,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use tokio::net::TcpStream;

use crate::upstream::endpoints::{EndpointEntry, Upstreams};

/// A connection without a request.
pub(crate) struct Idle {
    tcp: TcpStream,
    since: Instant,
}

/// A fresh enough idle connection, if there is one.
pub(crate) fn take(entry: &EndpointEntry) -> Option<TcpStream> {
    loop {
        let idle = entry.idle.borrow_mut().pop()?;
        if is_quiet(&idle.tcp) {
            return Some(idle.tcp);
        }
    }
}

/// Keeps a connection whose last response ended where it should.
pub(crate) fn give(entry: &Rc<EndpointEntry>, tcp: TcpStream, now: Instant, most: usize) {
    let mut idle = entry.idle.borrow_mut();
    if !entry.closed.get() && idle.len() < most {
        idle.push(Idle { tcp, since: now });
    }
}

/// Drops what idled too long or was closed by the backend. Returns how many remain.
pub(crate) fn sweep(upstreams: &Upstreams, now: Instant, longest: Duration) -> usize {
    let mut remaining = 0usize;
    upstreams.for_each(|cluster| {
        for entry in cluster.endpoints.borrow().all() {
            let mut idle = entry.idle.borrow_mut();
            idle.retain(|idle| {
                now.saturating_duration_since(idle.since) < longest && is_quiet(&idle.tcp)
            });
            remaining = remaining.saturating_add(idle.len());
        }
    });
    remaining
}

/// Whether the backend neither closed the connection nor sent anything unasked. Looks at the
/// readiness that the event loop noted; no system call.
fn is_quiet(tcp: &TcpStream) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    tcp.poll_read_ready(&mut context).is_pending()
}
