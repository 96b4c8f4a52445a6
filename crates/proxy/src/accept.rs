//! Accepting connections: one task per port and worker.

use std::{
    cell::Cell,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener},
    rc::Rc,
    sync::atomic::Ordering,
    task::Poll,
};

use hashbrown::HashMap;
use ir::{PortKey, PortKind};
use tokio::{net::TcpStream, sync::Notify};

use crate::{
    http::connection,
    observe::metrics::count,
    pressure::Pressure,
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
    if worker.peers.total() >= worker.limits.connections
        || worker.pressure() == Pressure::Connections
        || worker.peers.sources.is_full(peer.ip(), worker.limits.connections_per_source)
    {
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
    let guard = Open::new(worker, peer.ip());
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
pub(crate) struct Open {
    worker: Rc<Worker>,
    source: IpAddr,
}

impl Open {
    fn new(worker: &Rc<Worker>, source: IpAddr) -> Self {
        if worker.limits.connections_per_source.is_some() {
            worker.peers.sources.add(source);
        }
        if let Some(open) = worker.open() {
            open.fetch_add(1, Ordering::Relaxed);
        }
        Self { worker: Rc::clone(worker), source }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.worker.limits.connections_per_source.is_some() {
            self.worker.peers.sources.remove(self.source);
        }
        if let Some(open) = self.worker.open() {
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Connections by client address, of all workers. Kept only while there is a cap, and touched only
/// when a connection begins or ends. An IPv6 client is its /64, since it may take any address in it.
#[derive(Default)]
pub(crate) struct Sources(parking_lot::Mutex<HashMap<IpAddr, usize>>);

impl Sources {
    fn is_full(&self, source: IpAddr, most: Option<usize>) -> bool {
        let open = |most| self.0.lock().get(&network_of(source)).is_some_and(|open| *open >= most);
        most.is_some_and(open)
    }

    fn add(&self, source: IpAddr) {
        let mut open = self.0.lock();
        let open = open.entry(network_of(source)).or_insert(0);
        *open = open.saturating_add(1);
    }

    fn remove(&self, source: IpAddr) {
        let source = network_of(source);
        let mut open = self.0.lock();
        if let Some(count) = open.get_mut(&source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&source);
            }
        }
    }
}

fn network_of(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}
