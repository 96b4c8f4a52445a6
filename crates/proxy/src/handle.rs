//! Starting the data plane, and telling it what to serve.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, atomic::AtomicUsize},
    thread::JoinHandle,
    time::Duration,
};

use ir::{
    Ack, BindFailure, EndpointMap, ListenerId, ListenerTable, PortAck, PortKey, PortKind, Revision,
    Table, Update,
};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::{
    limits::Limits,
    observe::{
        access_log::{AccessLog, Writer},
        metrics::{MetricsSnapshot, Total},
    },
    port::{self, Bound},
    pressure,
    tls::config::TlsConfigs,
    upstream::endpoints::{EndpointStatus, Place, SharedEndpoints, share},
    worker::{self, Command, Generation, Peers, Phase, Start},
};

/// What the data plane is started with.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Threads, each with its own event loop; at least one is started.
    pub workers: usize,
    pub limits: Limits,
    pub access_log: AccessLog,
    /// The zone that this data plane runs in, for backends that prefer endpoints nearby.
    pub zone: Option<Arc<str>>,
    /// The node that it runs on, likewise.
    pub node: Option<Arc<str>>,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            workers,
            limits: Limits::default(),
            access_log: AccessLog::Off,
            zone: None,
            node: None,
        }
    }
}

/// Why the data plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("access log cannot be opened: {0}; check its path")]
    AccessLog(#[source] io::Error),
    #[error("worker thread {index} cannot be started: {source}")]
    Thread { index: usize, source: io::Error },
}

/// The data plane.
pub struct Proxy;

impl Proxy {
    /// Starts the worker threads. They serve nothing until the first
    /// [`apply`](ProxyHandle::apply).
    ///
    /// # Errors
    /// When the access log or a thread cannot be had.
    pub fn start(config: ProxyConfig) -> Result<ProxyHandle, StartError> {
        let limits = Arc::new(config.limits);
        let writer =
            Writer::start(&config.access_log, limits.log_queue).map_err(StartError::AccessLog)?;
        let count = config.workers.max(1);
        let (commands, receivers): (Vec<_>, Vec<_>) =
            (0..count).map(|_| mpsc::channel(limits.commands)).unzip();
        let peers = Arc::new(Peers::new(commands, limits.requests));
        let memory = pressure::watch(&peers, &limits);
        memory.map_err(|source| StartError::Thread { index: count, source })?;
        let mut threads = Vec::with_capacity(count);
        for (index, commands) in receivers.into_iter().enumerate() {
            let start = Start {
                index,
                limits: Arc::clone(&limits),
                place: Place { zone: config.zone.clone(), node: config.node.clone() },
                peers: Arc::clone(&peers),
                log: writer.sink(limits.log_batch),
                commands,
            };
            let thread = std::thread::Builder::new()
                .name(format!("worker-{index}"))
                .spawn(move || run(start))
                .map_err(|source| StartError::Thread { index, source })?;
            threads.push(thread);
        }
        let state = State {
            tls: TlsConfigs::new(),
            ports: BTreeMap::new(),
            shared: Arc::default(),
            open: BTreeMap::new(),
            revision: None,
        };
        Ok(ProxyHandle {
            limits,
            peers,
            state: Mutex::new(state),
            ending: parking_lot::Mutex::new(Some(Ending { threads, writer })),
        })
    }
}

fn run(start: Start) {
    let index = start.index;
    if let Err(error) = worker::run(start) {
        tracing::error!(index, %error, "a worker has no event loop");
    }
}

/// The next endpoints with those of clusters that only the present table has, if there are any.
fn with_served(next: &EndpointMap, served: &SharedEndpoints) -> Option<EndpointMap> {
    let leaving: Vec<_> = served.iter().filter(|(key, _)| !next.contains_key(*key)).collect();
    if leaving.is_empty() {
        return None;
    }
    let mut both = next.clone();
    both.extend(leaving.into_iter().map(|(key, shared)| (key.clone(), Arc::clone(&shared.set))));
    Some(both)
}

struct Ending {
    threads: Vec<JoinHandle<()>>,
    writer: Writer,
}

struct State {
    tls: TlsConfigs,
    /// Bound ports with what they carry.
    ports: BTreeMap<PortKey, PortKind>,
    shared: Arc<SharedEndpoints>,
    /// Connections by listener; kept while the listener stays.
    open: BTreeMap<ListenerId, Arc<AtomicUsize>>,
    revision: Option<Revision>,
}

impl State {
    fn count_by_listener(&mut self, table: &Table) -> Vec<Arc<AtomicUsize>> {
        let mut old = std::mem::take(&mut self.open);
        let count = |listener: &Arc<ListenerTable>| {
            let id = &listener.listener.id;
            let open = old.remove(id).unwrap_or_default();
            self.open.insert(id.clone(), Arc::clone(&open));
            open
        };
        table.listeners.iter().map(count).collect()
    }
}

/// The way to a running data plane. Dropping it without [`drain`](Self::drain) stops the workers
/// at once.
pub struct ProxyHandle {
    limits: Arc<Limits>,
    peers: Arc<Peers>,
    state: Mutex<State>,
    ending: parking_lot::Mutex<Option<Ending>>,
}

impl ProxyHandle {
    /// Makes one revision current in all workers.
    ///
    /// New ports are bound first; then every worker swaps its table between two requests; then
    /// ports that are not in the table any more stop listening and their connections end after
    /// their request. A port that cannot be bound is reported, and everything else serves.
    pub async fn apply(&self, update: Update) -> Ack {
        let mut state = self.state.lock().await;
        let table = update.table;
        // Until its table is gone a worker sends requests to clusters that the next one lacks.
        let both = update.endpoints.as_ref().and_then(|next| with_served(next, &state.shared));
        if let Some(endpoints) = both.as_ref().or(update.endpoints.as_deref()) {
            self.send_endpoints(&mut state, endpoints).await;
        }
        let mut bound: Vec<Vec<(PortKey, Bound)>> =
            self.peers.commands.iter().map(|_| Vec::new()).collect();
        let mut acks = Vec::with_capacity(table.ports.len());
        let mut next = BTreeMap::new();
        for (key, port) in &table.ports {
            let result = match state.ports.get(key) {
                Some(kind) if *kind == port.kind => Ok(Vec::new()),
                Some(_) => self.rebind(key, port.kind).await,
                None => self.bind(key, &state.ports),
            };
            match result {
                Ok(listeners) => {
                    next.insert(*key, port.kind);
                    for (worker, listener) in bound.iter_mut().zip(listeners) {
                        worker.push((*key, listener));
                    }
                    acks.push(PortAck { key: *key, result: Ok(()) });
                }
                Err(reason) => acks.push(PortAck { key: *key, result: Err(reason) }),
            }
        }
        state.ports = next;
        let revision = table.revision;
        let tls = state.tls.update(&table);
        let upstream = state.tls.upstream(&table);
        let open = state.count_by_listener(&table);
        let generation = Arc::new(Generation { table, tls, upstream, open });
        let mut waiting = Vec::with_capacity(bound.len());
        for (commands, listeners) in self.peers.commands.iter().zip(bound) {
            let (done, answered) = oneshot::channel();
            let generation = Arc::clone(&generation);
            let command = Command::Apply { generation, listeners, done };
            if commands.send(command).await.is_ok() {
                waiting.push(answered);
            }
        }
        for answered in waiting {
            if answered.await.is_err() {
                tracing::error!("a worker ended without applying a revision");
            }
        }
        if let Some(endpoints) = update.endpoints.filter(|_| both.is_some()) {
            self.send_endpoints(&mut state, &endpoints).await;
        }
        state.revision = Some(revision);
        Ack { revision, ports: acks }
    }

    fn bind(
        &self,
        key: &PortKey,
        bound: &BTreeMap<PortKey, PortKind>,
    ) -> Result<Vec<Bound>, BindFailure> {
        let explain = |error: io::Error| {
            let kind = error.kind();
            if kind == io::ErrorKind::AddrInUse {
                BindFailure::InUse
            } else if kind == io::ErrorKind::PermissionDenied {
                BindFailure::Denied
            } else if kind == io::ErrorKind::AddrNotAvailable {
                BindFailure::NotLocal
            } else {
                BindFailure::Other(error.to_string())
            }
        };
        // A port that we hold on another address would look like someone else's.
        let same = |own: &PortKey| own.port == key.port && own.transport == key.transport;
        if !bound.keys().any(same) {
            port::probe(key).map_err(explain)?;
        }
        let workers = self.peers.commands.len();
        port::bind_all(key, workers, self.limits.backlog).map_err(explain)
    }

    /// A port that changes what it carries: its connections end, its number stays.
    async fn rebind(&self, key: &PortKey, kind: PortKind) -> Result<Vec<Bound>, BindFailure> {
        for commands in &self.peers.commands {
            let (done, answered) = oneshot::channel();
            if commands.send(Command::ClosePort { key: *key, done }).await.is_ok()
                && answered.await.is_err()
            {
                tracing::error!("a worker ended without closing a port");
            }
        }
        self.bind(key, &BTreeMap::from([(*key, kind)]))
    }

    /// Makes these endpoints current, without touching the table.
    pub async fn endpoints(&self, endpoints: &EndpointMap) {
        let mut state = self.state.lock().await;
        self.send_endpoints(&mut state, endpoints).await;
    }

    async fn send_endpoints(&self, state: &mut State, endpoints: &EndpointMap) {
        let shared = Arc::new(share(endpoints, &state.shared));
        state.shared = Arc::clone(&shared);
        let mut waiting = Vec::new();
        for commands in &self.peers.commands {
            let (done, answered) = oneshot::channel();
            let command = Command::Endpoints { endpoints: Arc::clone(&shared), done };
            if commands.send(command).await.is_ok() {
                waiting.push(answered);
            }
        }
        for answered in waiting {
            if answered.await.is_err() {
                tracing::error!("a worker ended without taking endpoints");
            }
        }
    }

    /// The revision that every worker serves; `None` before the first.
    pub async fn revision(&self) -> Option<Revision> {
        self.state.lock().await.revision
    }

    /// Downstream connections open now.
    pub fn connections(&self) -> usize {
        self.peers.total()
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// All counters, merged over the workers.
    pub async fn metrics_snapshot(&self) -> MetricsSnapshot {
        let mut merged = MetricsSnapshot::default();
        for snapshot in self.ask(Command::Metrics).await {
            merged.merge(snapshot);
        }
        let failed = self.ending.lock().as_ref().map_or(0, |ending| ending.writer.failed());
        merged.limits = self.limits.named();
        merged.totals.push(Total {
            name: "portcullis_access_log_write_errors_total",
            kind: "counter",
            help: "Batches of access log lines that could not be written.",
            value: failed,
        });
        merged
    }

    /// Every endpoint of every cluster that some rule names, summed over the workers.
    pub async fn endpoints_state(&self) -> Vec<EndpointStatus> {
        let mut merged: Vec<EndpointStatus> = Vec::new();
        for states in self.ask(Command::EndpointStates).await {
            if merged.is_empty() {
                merged = states;
                continue;
            }
            for state in states {
                let same = |known: &&mut EndpointStatus| {
                    known.cluster == state.cluster && known.endpoint == state.endpoint
                };
                if let Some(known) = merged.iter_mut().find(same) {
                    known.in_flight = known.in_flight.saturating_add(state.in_flight);
                    known.idle = known.idle.saturating_add(state.idle);
                }
            }
        }
        merged
    }

    async fn ask<T>(&self, command: impl Fn(oneshot::Sender<T>) -> Command) -> Vec<T> {
        let mut waiting = Vec::new();
        for commands in &self.peers.commands {
            let (done, answered) = oneshot::channel();
            if commands.send(command(done)).await.is_ok() {
                waiting.push(answered);
            }
        }
        let mut answers = Vec::with_capacity(waiting.len());
        for answered in waiting {
            answers.extend(answered.await.ok());
        }
        answers
    }

    /// Ends gracefully: for `min` connections are still accepted, and told to close after their
    /// response; then listening stops and idle connections are closed; what is in flight may
    /// finish until `deadline` after the call. Returns the connections that were cut.
    pub async fn drain(&self, min: Duration, deadline: Duration) -> usize {
        self.drain_after(tokio::time::sleep(min), deadline).await
    }

    /// As [`drain`](Self::drain), with `enough` as the end of the time in which connections are
    /// still accepted.
    pub async fn drain_after(&self, enough: impl Future<Output = ()>, deadline: Duration) -> usize {
        let start = tokio::time::Instant::now();
        self.enter(Phase::Draining).await;
        // Either way accepting is over.
        drop(tokio::time::timeout(deadline, enough).await);
        self.enter(Phase::Closing).await;
        while self.connections() > 0 && start.elapsed() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let cut = self.connections();
        self.stop().await;
        cut
    }

    async fn enter(&self, phase: Phase) {
        for commands in &self.peers.commands {
            if commands.send(Command::Phase(phase)).await.is_err() {
                tracing::debug!("a worker ended before the others");
            }
        }
    }

    async fn stop(&self) {
        for commands in &self.peers.commands {
            if commands.send(Command::Stop).await.is_err() {
                tracing::debug!("a worker ended before the others");
            }
        }
        let ending = self.ending.lock().take();
        if let Some(ending) = ending
            && tokio::task::spawn_blocking(move || ending.finish()).await.is_err()
        {
            tracing::error!("the workers were not waited for");
        }
    }
}

impl Ending {
    fn finish(mut self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker ended with a panic");
            }
        }
        self.writer.finish();
    }
}

impl Drop for ProxyHandle {
    fn drop(&mut self) {
        for commands in &self.peers.commands {
            if commands.try_send(Command::Stop).is_err() {
                tracing::debug!("a worker ended before its handle");
            }
        }
    }
}
