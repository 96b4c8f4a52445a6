//! Accepting connections: one task per port and worker.

use std::{
    cell::Cell,
    io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::atomic::Ordering,
    task::Poll,
};

use ir::{PortKey, PortKind};
use tokio::{net::TcpStream, sync::Notify};

use crate::{
    http::connection,
    observe::metrics::count,
    tls,
    worker::{Command, Phase, Worker},
};

/// Connections a worker may have above another before it hands new ones over.
const IMBALANCE: usize = 32;

/// A listening port in one worker; its connections hold it.
pub(crate) struct PortState {
    pub(crate) key: PortKey,
    kind: PortKind,
    closed: Cell<bool>,
    closing: Notify,
}

impl PortState {
    /// Stops listening; connections end after their request.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.closing.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }
}

/// Starts to accept on a bound socket.
///
/// # Errors
/// When the socket cannot be registered with the event loop.
pub(crate) fn start(
    worker: &Rc<Worker>,
    key: PortKey,
    kind: PortKind,
    listener: TcpListener,
) -> io::Result<Rc<PortState>> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let port = Rc::new(PortState { key, kind, closed: Cell::new(false), closing: Notify::new() });
    let (worker, state) = (Rc::clone(worker), Rc::clone(&port));
    tokio::task::spawn_local(async move { accept_all(worker, state, listener).await });
    Ok(port)
}

async fn accept_all(worker: Rc<Worker>, port: Rc<PortState>, listener: tokio::net::TcpListener) {
    loop {
        let accepted = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            () = port.closing.notified() => break,
        };
        match accepted {
            Ok((tcp, peer)) => admit(&worker, &port, tcp, peer),
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                count(&worker.counters.totals.accept_errors);
                tracing::warn!(%error, "accept failed; waiting");
                tokio::time::sleep(worker.limits.accept_backoff).await;
            }
        }
    }
    // What the kernel completed before we stopped would be reset with the socket.
    let queued = || {
        std::future::poll_fn(|cx| match listener.poll_accept(cx) {
            Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
            Poll::Pending => Poll::Ready(None),
        })
    };
    while let Some(Ok((tcp, peer))) = queued().await {
        serve(&worker, &port, tcp, peer);
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionAborted
        || error.kind() == io::ErrorKind::ConnectionReset
        || error.kind() == io::ErrorKind::Interrupted
}

fn admit(worker: &Rc<Worker>, port: &Rc<PortState>, tcp: TcpStream, peer: SocketAddr) {
    count(&worker.counters.totals.accepted);
    if worker.peers.total() >= worker.limits.connections {
        count(&worker.counters.totals.refused);
        return;
    }
    match less_loaded(worker) {
        Some(other) => hand_over(worker, other, port, tcp, peer),
        None => serve(worker, port, tcp, peer),
    }
}

/// A worker that has far fewer connections than this one.
fn less_loaded(worker: &Worker) -> Option<usize> {
    let own = worker.open()?.load(Ordering::Relaxed);
    if own < IMBALANCE || worker.phase() != Phase::Serving {
        return None;
    }
    let counts = worker.peers.open.iter().map(|open| open.load(Ordering::Relaxed)).enumerate();
    let (index, least) = counts.min_by_key(|(_, open)| *open)?;
    let far = own.saturating_sub(least) >= IMBALANCE && own > least.saturating_mul(5) / 4;
    far.then_some(index)
}

fn hand_over(
    worker: &Rc<Worker>,
    other: usize,
    port: &Rc<PortState>,
    tcp: TcpStream,
    peer: SocketAddr,
) {
    let Ok(tcp) = tcp.into_std() else { return };
    let command = Command::Adopt { tcp, peer, port: port.key };
    let Some(sender) = worker.peers.commands.get(other) else { return };
    // A worker that is too busy to take it leaves it with us.
    if let Err(back) = sender.try_send(command)
        && let Command::Adopt { tcp, .. } = back.into_inner()
        && let Ok(tcp) = TcpStream::from_std(tcp)
    {
        serve(worker, port, tcp, peer);
    }
}

/// Starts the task of one connection.
pub(crate) fn serve(worker: &Rc<Worker>, port: &Rc<PortState>, tcp: TcpStream, peer: SocketAddr) {
    if tcp.set_nodelay(true).is_err() {
        return;
    }
    let guard = Open::new(worker);
    let (worker, port) = (Rc::clone(worker), Rc::clone(port));
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    match port.kind {
        PortKind::Http => {
            tokio::task::spawn_local(connection::serve_plain(guard, worker, port, tcp, peer));
        }
        PortKind::Tls => {
            tokio::task::spawn_local(tls::accept::serve(guard, worker, port, tcp, peer));
        }
        PortKind::Tcp | PortKind::Udp => {}
    }
}

/// Counts an open connection until dropped.
pub(crate) struct Open(Rc<Worker>);

impl Open {
    fn new(worker: &Rc<Worker>) -> Self {
        if let Some(open) = worker.open() {
            open.fetch_add(1, Ordering::Relaxed);
        }
        Self(Rc::clone(worker))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(open) = self.0.open() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
