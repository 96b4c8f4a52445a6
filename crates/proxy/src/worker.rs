//! One worker: a thread, its event loop, and everything that its connections share.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::SocketAddr,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ir::{ListenerTable, PortKey, Table, Transport};
use tokio::{
    net::TcpStream,
    runtime::{Builder, LocalOptions},
    sync::{mpsc, oneshot},
};

use crate::{
    accept::{self, Permit, PortState, Sources},
    http::scratch::ScratchPool,
    http2,
    l4::udp::{self, UdpPort},
    limits::Limits,
    observe::{
        access_log::Sink,
        l4::L4TableCounters,
        metrics::{Counters, MetricsSnapshot, TableCounters, count},
        reason::Reason,
    },
    port::Bound,
    pressure::{MemoryGauge, Pressure},
    random::Random,
    timer::{Clock, Deadlines, Slot, thread_woke},
    tls::{config::TlsTable, upstream::UpstreamTable},
    upstream::{
        endpoints::{ClusterState, EndpointStatus, Place, SharedEndpoints, Upstreams},
        pool,
    },
};

/// One revision as it is handed to workers.
pub(crate) struct Generation {
    pub(crate) table: Arc<Table>,
    pub(crate) tls: TlsTable,
    pub(crate) upstream: UpstreamTable,
    /// Connections of all workers by listener index, for listeners with a limit.
    pub(crate) open: Vec<Arc<AtomicUsize>>,
}

/// How far a graceful end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving,
    /// Connections are accepted, and told to close after their response.
    Draining,
    /// Nothing is accepted; idle connections are closed.
    Closing,
}

/// What the handle, or another worker, asks of a worker.
pub(crate) enum Command {
    Apply {
        generation: Arc<Generation>,
        listeners: Vec<(PortKey, Bound)>,
        done: oneshot::Sender<()>,
    },
    ClosePort {
        key: PortKey,
        done: oneshot::Sender<()>,
    },
    Endpoints {
        endpoints: Arc<SharedEndpoints>,
        done: oneshot::Sender<()>,
    },
    Adopt {
        tcp: std::net::TcpStream,
        peer: SocketAddr,
        port: PortKey,
    },
    Metrics(oneshot::Sender<MetricsSnapshot>),
    EndpointStates(oneshot::Sender<Vec<EndpointStatus>>),
    Phase(Phase),
    /// Memory became short: everybody is to look what to give up.
    Shed,
    Stop,
}

/// Connections of every worker, and the way to hand one over.
pub(crate) struct Peers {
    pub(crate) open: Vec<AtomicUsize>,
    pub(crate) commands: Vec<mpsc::Sender<Command>>,
    pub(crate) memory: MemoryGauge,
    pub(crate) sources: Sources,
}

impl Peers {
    pub(crate) fn new(commands: Vec<mpsc::Sender<Command>>, requests: usize) -> Self {
        let open = commands.iter().map(|_| AtomicUsize::new(0)).collect();
        let memory = MemoryGauge::new(commands.len(), requests);
        Self { open, commands, memory, sources: Sources::default() }
    }

    pub(crate) fn total(&self) -> usize {
        self.open.iter().map(|open| open.load(Ordering::Relaxed)).sum()
    }
}

/// A revision with this worker's state for it. A request holds it from its head to its end.
pub(crate) struct WorkerTable {
    pub(crate) generation: Arc<Generation>,
    /// By cluster index.
    pub(crate) clusters: Vec<Rc<ClusterState>>,
    pub(crate) counters: Rc<TableCounters>,
    pub(crate) l4: L4TableCounters,
}

impl WorkerTable {
    pub(crate) fn table(&self) -> &Table {
        &self.generation.table
    }

    /// A place among the connections of a listener. `Ok(None)` where their number is not limited.
    ///
    /// # Errors
    /// When it has as many as it may.
    pub(crate) fn permit(&self, listener: &ListenerTable) -> Result<Option<Permit>, Reason> {
        let Some(most) = listener.listener.connection.connections_max else { return Ok(None) };
        let index = usize::try_from(listener.index.0).unwrap_or(usize::MAX);
        let open = self.generation.open.get(index).ok_or(Reason::Shed)?;
        Permit::take(open, most).map(Some).ok_or(Reason::Shed)
    }
}

/// The state of a worker; one `Rc` of it in each task.
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) limits: Arc<Limits>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) clock: Rc<Clock>,
    pub(crate) deadlines: Rc<Deadlines>,
    pub(crate) random: Random,
    pub(crate) scratch: ScratchPool,
    pub(crate) http2_spare: http2::wire::Spare,
    pub(crate) http2_tasks: http2::tasks::Tasks<http2::server::Accepted>,
    pub(crate) upstreams: Upstreams,
    pub(crate) counters: Counters,
    pub(crate) log: Sink,
    pub(crate) explained: Cell<(u64, u32)>,
    pub(crate) mirrors: Cell<usize>,
    pub(crate) handshakes: Cell<usize>,
    /// Where relays read into; never borrowed over a wait.
    pub(crate) relay_space: RefCell<Vec<u8>>,
    phase: Cell<Phase>,
    table: RefCell<Option<Rc<WorkerTable>>>,
    ports: RefCell<BTreeMap<PortKey, Rc<PortState>>>,
    udp: RefCell<Vec<Rc<UdpPort>>>,
}

/// What a worker is started with.
pub(crate) struct Start {
    pub(crate) index: usize,
    pub(crate) limits: Arc<Limits>,
    pub(crate) place: Place,
    pub(crate) peers: Arc<Peers>,
    pub(crate) log: Sink,
    pub(crate) commands: mpsc::Receiver<Command>,
}

/// Runs a worker on this thread until it is told to stop.
pub(crate) fn run(start: Start) -> std::io::Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .on_thread_unpark(thread_woke)
        .build_local(LocalOptions::default())?;
    runtime.block_on(serve(start));
    Ok(())
}

async fn serve(start: Start) {
    let clock = Rc::new(Clock::new());
    let workers = start.peers.open.len();
    let worker = Rc::new(Worker {
        index: start.index,
        limits: start.limits,
        peers: start.peers,
        deadlines: Deadlines::new(Rc::clone(&clock)),
        clock,
        random: Random::new(),
        scratch: ScratchPool::default(),
        http2_spare: http2::wire::Spare::default(),
        http2_tasks: http2::tasks::Tasks::default(),
        upstreams: Upstreams::new(start.place, workers),
        counters: Counters::new(),
        log: start.log,
        explained: Cell::new((0, 0)),
        mirrors: Cell::new(0),
        handshakes: Cell::new(0),
        relay_space: RefCell::default(),
        phase: Cell::new(Phase::Serving),
        table: RefCell::new(None),
        ports: RefCell::default(),
        udp: RefCell::default(),
    });
    let sweeper = Rc::clone(&worker);
    let sweeping = tokio::task::spawn_local(async move {
        let housekeeping = Rc::clone(&sweeper);
        sweeper.deadlines.run(move || housekeeping.housekeeping()).await;
    });
    let mut commands = start.commands;
    while let Some(command) = commands.recv().await {
        if !worker.handle(command) {
            break;
        }
    }
    sweeping.abort();
    worker.log.flush();
}

impl Worker {
    /// The current revision; `None` before the first.
    pub(crate) fn table(&self) -> Option<Rc<WorkerTable>> {
        self.table.borrow().clone()
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// What must be given up now.
    pub(crate) fn pressure(&self) -> Pressure {
        let memory = &self.peers.memory;
        memory.pressure().max(memory.pressure_of_requests(self.index))
    }

    /// Whether nine tenths of the connections are taken. Only this worker's share is looked at,
    /// since responses ask.
    pub(crate) fn is_crowded(&self) -> bool {
        let own = self.open().map_or(0, |open| open.load(Ordering::Relaxed));
        let workers = self.peers.open.len();
        own.saturating_mul(workers).saturating_mul(10) >= self.limits.connections.saturating_mul(9)
    }

    /// How long a connection may idle from now on.
    pub(crate) fn keep_alive(&self) -> Duration {
        let limits = &self.limits;
        if self.is_crowded() {
            limits.keep_alive.min(limits.keep_alive_crowded)
        } else {
            limits.keep_alive
        }
    }

    pub(crate) fn slot(&self, context: &std::task::Context<'_>) -> Slot {
        self.deadlines.slot(context.waker().clone())
    }

    pub(crate) fn open(&self) -> Option<&AtomicUsize> {
        self.peers.open.get(self.index)
    }

    /// Whether this second's share of explained misses is not used up.
    pub(crate) fn may_explain(&self) -> bool {
        let second = self.clock.second();
        let (last, used) = self.explained.get();
        let used = if last == second { used } else { 0 };
        self.explained.set((second, used.saturating_add(1)));
        used < self.limits.explained_misses
    }

    /// Regular work beside connections; true while there is a reason to come back.
    fn housekeeping(&self) -> bool {
        let (now, longest) = (self.clock.now(), self.limits.pool_idle);
        let pooled = pool::sweep(&self.upstreams, now, longest).saturating_add(http2::pool::sweep(
            &self.upstreams,
            now,
            longest,
        ));
        let spare = self.scratch.trim().saturating_add(self.http2_tasks.trim());
        self.http2_spare.free();
        if self.peers.memory.pressure() >= Pressure::KeepAlive {
            self.deadlines.wake_all();
        }
        let ports = self.udp.borrow().clone();
        let flows: usize = ports.iter().map(|port| port.sweep(self)).sum();
        self.log.flush();
        pooled > 0 || spare > 0 || flows > 0
    }

    fn handle(self: &Rc<Self>, command: Command) -> bool {
        match command {
            Command::Apply { generation, listeners, done } => {
                let closed = self.apply(generation, listeners);
                answer_when_released(closed, done);
            }
            Command::ClosePort { key, done } => {
                let port = self.ports.borrow_mut().remove(&key);
                port.iter().for_each(|port| port.close());
                self.deadlines.wake_all();
                answer_when_released(port.into_iter().collect(), done);
            }
            Command::Endpoints { endpoints, done } => {
                self.upstreams.set_endpoints(endpoints);
                answer(done, ());
            }
            Command::Adopt { tcp, peer, port } => self.adopt(tcp, peer, &port),
            Command::Metrics(done) => answer(done, self.read_metrics()),
            Command::EndpointStates(done) => answer(done, self.upstreams.status()),
            Command::Phase(phase) => self.enter(phase),
            Command::Shed => self.deadlines.wake_all(),
            Command::Stop => return false,
        }
        true
    }

    /// Makes a revision current. Returns the ports that it closed.
    fn apply(
        self: &Rc<Self>,
        generation: Arc<Generation>,
        listeners: Vec<(PortKey, Bound)>,
    ) -> Vec<Rc<PortState>> {
        let table = &generation.table;
        let previous = self.table();
        let start = || self.random.below(1 << 16);
        let clusters = self.upstreams.reconcile(&table.clusters, &generation.upstream, start);
        let old = previous.as_ref().map(|old| (old.table(), &*old.counters));
        let counters = Rc::new(TableCounters::carry(table, old));
        self.counters.table.replace(Rc::clone(&counters));
        let l4 = previous.as_ref().map(|old| (old.table(), &old.l4));
        let l4 = L4TableCounters::carry(table, l4);
        let next = WorkerTable { generation: Arc::clone(&generation), clusters, counters, l4 };
        self.table.replace(Some(Rc::new(next)));
        let closed = self.close_all_but(table);
        self.udp.borrow_mut().retain(|port| !port.state.is_closed());
        let flows = self.udp.borrow().clone();
        flows.iter().for_each(|port| port.revise(self, table));
        for (key, bound) in listeners {
            let Some(kind) = table.ports.get(&key).map(|port| port.kind) else { continue };
            let port = Rc::new(PortState::new(key, kind));
            let started = match bound {
                Bound::Tcp(listener) => accept::start(self, &port, listener),
                Bound::Udp(socket) => udp::start(self, &port, socket)
                    .map(|started| self.udp.borrow_mut().push(started)),
            };
            match started {
                Ok(()) => {
                    self.ports.borrow_mut().insert(key, port);
                }
                Err(error) => tracing::error!(?key, %error, "a bound port is not served"),
            }
        }
        if !closed.is_empty() {
            self.deadlines.wake_all();
        }
        closed
    }

    fn close_all_but(&self, table: &Table) -> Vec<Rc<PortState>> {
        let mut closed = Vec::new();
        self.ports.borrow_mut().retain(|key, port| {
            let stays = table.ports.contains_key(key);
            if !stays {
                port.close();
                closed.push(Rc::clone(port));
            }
            stays
        });
        closed
    }

    fn adopt(self: &Rc<Self>, tcp: std::net::TcpStream, peer: SocketAddr, key: &PortKey) {
        let port = self.ports.borrow().get(key).cloned();
        let (Some(port), Ok(tcp)) = (port, TcpStream::from_std(tcp)) else { return };
        count(&self.counters.totals.adopted);
        accept::serve(self, &port, tcp, peer);
    }

    fn read_metrics(&self) -> MetricsSnapshot {
        self.counters.totals.log_drops.set(self.log.dropped());
        if self.index == 0 {
            let resident = u64::try_from(self.peers.memory.resident()).unwrap_or(u64::MAX);
            self.counters.totals.resident.set(resident);
            self.counters.totals.pressure.set(u64::from(self.peers.memory.pressure() as u8));
        }
        let open = self.open().map_or(0, |open| open.load(Ordering::Relaxed));
        self.counters.totals.open.set(u64::try_from(open).unwrap_or(u64::MAX));
        let mut snapshot = self.counters.read();
        if let Some(table) = self.table() {
            let most = self.limits.metric_series;
            snapshot.series = table.counters.read(table.table());
            snapshot.series.sort_by(|a, b| a.labels.cmp(&b.labels));
            snapshot.series.truncate(most);
            snapshot.l4 = table.l4.read(table.table());
            snapshot.l4.sort_by(|a, b| a.labels.cmp(&b.labels));
            snapshot.l4.truncate(most);
        }
        snapshot
    }

    /// Whether a UDP port of that number is ours.
    pub(crate) fn serves_udp(&self, port: u16) -> bool {
        self.ports.borrow().keys().any(|key| key.transport == Transport::Udp && key.port == port)
    }

    fn enter(&self, phase: Phase) {
        if phase <= self.phase.get() {
            return;
        }
        self.phase.set(phase);
        if phase == Phase::Closing {
            self.ports.take().values().for_each(|port| port.close());
            self.udp.take();
        }
        // Idle connections close now; those of HTTP/2 say GOAWAY while we drain.
        self.deadlines.wake_all();
    }
}

/// Answers once nothing listens on the closed ports any more.
fn answer_when_released(closed: Vec<Rc<PortState>>, done: oneshot::Sender<()>) {
    tokio::task::spawn_local(async move {
        for port in closed {
            port.until_released().await;
        }
        answer(done, ());
    });
}

fn answer<T>(done: oneshot::Sender<T>, value: T) {
    if done.send(value).is_err() {
        tracing::debug!("nobody waits for a worker's answer any more");
    }
}
