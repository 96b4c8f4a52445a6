//! Accepting connections: one task per port and worker.

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener},
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use hashbrown::HashMap;
use ir::{ListenerTable, PortKey, PortKind};
use tokio::{net::TcpStream, sync::Notify};

use crate::{
    http::connection,
    l4::{proxy_protocol, tcp},
    observe::{metrics::count, reason::Reason},
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
    released: Notify,
}

impl PortState {
    pub(crate) fn new(key: PortKey, kind: PortKind) -> Self {
        let (closing, released) = (Notify::new(), Notify::new());
        Self { key, kind, closed: Cell::new(false), closing, released }
    }

    /// For the one task that listens.
    pub(crate) async fn until_closed(&self) {
        self.closing.notified().await;
    }

    /// Stops listening; connections end after their request.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.closing.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// The one task that listens has dropped its socket.
    pub(crate) fn release(&self) {
        self.released.notify_one();
    }

    /// Until nothing listens here any more, for the one who closed the port. Until then the kernel
    /// may still hand connections to the old socket, and the port cannot be bound anew.
    pub(crate) async fn until_released(&self) {
        self.released.notified().await;
    }
}

/// Starts to accept on a bound socket.
///
/// # Errors
/// When the socket cannot be registered with the event loop.
pub(crate) fn start(
    worker: &Rc<Worker>,
    port: &Rc<PortState>,
    listener: TcpListener,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (worker, state) = (Rc::clone(worker), Rc::clone(port));
    tokio::task::spawn_local(async move { accept_all(worker, state, listener).await });
    Ok(())
}

async fn accept_all(worker: Rc<Worker>, port: Rc<PortState>, listener: tokio::net::TcpListener) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = port.until_closed() => break,
            accepted = listener.accept() => accepted,
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
    // The queue is no longer than this, while new connections could keep us here for ever.
    for _ in 0..worker.limits.backlog {
        let Some(Ok((tcp, peer))) = queued().await else { break };
        serve(&worker, &port, tcp, peer);
    }
    drop(listener);
    port.release();
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

/// Before a request there is no host to tell listeners apart: the first one with a limit counts for
/// its port.
fn plain_permit(worker: &Worker, key: &PortKey) -> Result<Option<Permit>, Reason> {
    let Some(table) = worker.table() else { return Ok(None) };
    let Some(port) = table.table().ports.get(key) else { return Ok(None) };
    let limited = |entry: &&Arc<ListenerTable>| entry.listener.connection.connections_max.is_some();
    port.listeners().find(limited).map_or(Ok(None), |listener| table.permit(listener))
}

/// Starts the task of one connection, after its PROXY protocol header where the port has one.
pub(crate) fn serve(worker: &Rc<Worker>, port: &Rc<PortState>, tcp: TcpStream, peer: SocketAddr) {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let open = Open::new(worker);
    match header_wanted(worker, &port.key, peer) {
        Header::None => begin(open, worker, port, tcp, peer),
        Header::Refused => refuse(worker),
        Header::Wanted => {
            let (worker, port) = (Rc::clone(worker), Rc::clone(port));
            tokio::task::spawn_local(read_header(open, worker, port, tcp, peer));
        }
    }
}

enum Header {
    None,
    Wanted,
    /// A header is wanted, and the peer may not speak for others.
    Refused,
}

/// Before anything is read there is no name to tell listeners apart: one that wants headers decides
/// for its port.
fn header_wanted(worker: &Worker, key: &PortKey, peer: SocketAddr) -> Header {
    let Some(table) = worker.table() else { return Header::None };
    let Some(port) = table.table().ports.get(key) else { return Header::None };
    let mut wanting = port
        .listeners()
        .map(|entry| &entry.listener)
        .filter(|listener| listener.connection.proxy_protocol)
        .peekable();
    if wanting.peek().is_none() {
        return Header::None;
    }
    let trusted = wanting.any(|listener| {
        let peers = &listener.http.trusted_peers;
        peers.hops > 0 || peers.networks.iter().any(|network| network.contains(&peer.ip()))
    });
    if trusted { Header::Wanted } else { Header::Refused }
}

async fn read_header(
    open: Open,
    worker: Rc<Worker>,
    port: Rc<PortState>,
    mut tcp: TcpStream,
    peer: SocketAddr,
) {
    let timer = poll_fn(|cx| Poll::Ready(worker.slot(cx))).await;
    timer.arm(worker.limits.handshake_timeout);
    let read = {
        let mut reading = pin!(proxy_protocol::read(&mut tcp));
        poll_fn(|cx| match reading.as_mut().poll(cx) {
            Poll::Pending if timer.expired() => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
            Poll::Ready(read) => Poll::Ready(read),
        })
        .await
    };
    match read {
        Ok(hop) => {
            let peer = hop.map_or(peer, |hop| hop.source);
            begin(open, &worker, &port, tcp, peer);
        }
        Err(error) => {
            tracing::debug!(%peer, %error, "no valid PROXY protocol header");
            refuse(&worker);
        }
    }
}

fn refuse(worker: &Worker) {
    count(&worker.counters.totals.proxy_header_errors);
    worker.counters.reason(Reason::ProxyHeader);
}

fn begin(
    mut guard: Open,
    worker: &Rc<Worker>,
    port: &Rc<PortState>,
    tcp: TcpStream,
    peer: SocketAddr,
) {
    if !guard.claim(peer.ip()) {
        count(&worker.counters.totals.refused);
        return;
    }
    if tcp.set_nodelay(true).is_err() {
        return;
    }
    let (worker, port) = (Rc::clone(worker), Rc::clone(port));
    match port.kind {
        PortKind::Http => {
            match plain_permit(&worker, &port.key) {
                Ok(permit) => guard.keep(permit),
                Err(reason) => return worker.counters.reason(reason),
            }
            tokio::task::spawn_local(connection::serve_plain(guard, worker, port, tcp, peer));
        }
        PortKind::Tls => {
            tokio::task::spawn_local(tls::accept::serve(guard, worker, port, tcp, peer));
        }
        PortKind::Tcp => {
            tokio::task::spawn_local(tcp::serve(guard, worker, port, tcp, peer));
        }
        // Has no connections.
        PortKind::Udp => {}
    }
}

/// One of the connections that a listener may have; given back when dropped.
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Permit {
    /// `None` when `most` are taken.
    pub(crate) fn take(open: &Arc<AtomicUsize>, most: u32) -> Option<Self> {
        let permit = Self(Arc::clone(open));
        let before = open.fetch_add(1, Ordering::Relaxed);
        (u64::try_from(before).unwrap_or(u64::MAX) < u64::from(most)).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts an open connection until dropped.
pub(crate) struct Open {
    worker: Rc<Worker>,
    /// It came when few places were left.
    late: bool,
    /// The client whose share it is part of, once that is known.
    source: Option<IpAddr>,
    permit: Option<Permit>,
}

impl Open {
    fn new(worker: &Rc<Worker>) -> Self {
        if let Some(open) = worker.open() {
            open.fetch_add(1, Ordering::Relaxed);
        }
        let late = worker.is_crowded();
        Self { worker: Rc::clone(worker), late, source: None, permit: None }
    }

    /// Whether it ends with its response, so that others have its place: one of those that came when
    /// few were left. Those that were there before keep theirs.
    pub(crate) fn gives_way(&self) -> bool {
        self.late && self.worker.is_crowded()
    }

    /// Makes it one of the connections of a client; false when that has all it may have.
    fn claim(&mut self, source: IpAddr) -> bool {
        let Some(most) = self.worker.limits.connections_per_source else { return true };
        let claimed = self.worker.peers.sources.add(source, most);
        self.source = claimed.then_some(source);
        claimed
    }

    /// Keeps a place at a listener as long as the connection is open.
    pub(crate) fn keep(&mut self, permit: Option<Permit>) {
        self.permit = permit;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(source) = self.source {
            self.worker.peers.sources.remove(source);
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
    /// Counts one more, unless there are `most`.
    fn add(&self, source: IpAddr, most: usize) -> bool {
        let mut open = self.0.lock();
        let open = open.entry(network_of(source)).or_insert(0);
        let fits = *open < most;
        *open = open.saturating_add(usize::from(fits));
        fits
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
