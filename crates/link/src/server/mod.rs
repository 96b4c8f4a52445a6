//! The controller's end of the stream.

mod session;
mod state;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use ir::{Ack, EndpointMap, Revision};
use parking_lot::{Mutex, RwLock};
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc, watch},
    task::JoinHandle,
};

pub use state::{Config, PublishError};

use crate::{
    Authority,
    limits::{CONNECTIONS_MAX, EVENT_QUEUE, HANDSHAKES_MAX},
    name::{GatewayUid, ProxyName},
    tls::{self, TlsError},
};
use state::State;

/// Wait after a failed accept (out of file descriptors, as a rule), so as not to spin.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Whether this controller issues configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Proxies are served.
    Leader,
    /// Proxies are sent away, to `leader` (host and port) if it is known.
    Follower { leader: Option<Arc<str>> },
}

/// One connection of a proxy, counted from the start of the server. A proxy that comes back has
/// another one, and it may be there before the end of the one before is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

/// What the controller learns of proxies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A proxy proved that it is the Gateway's. `holds` is what it serves; issue only revisions
    /// above it.
    Connected { gateway: GatewayUid, proxy: ProxyName, session: SessionId, holds: Option<Revision> },
    /// A proxy serves a revision, on every port but those that failed; again when the result for
    /// a port changes.
    Acked { gateway: GatewayUid, proxy: ProxyName, session: SessionId, ack: Ack },
    /// A proxy did not take a revision, since what it holds is newer.
    Refused {
        gateway: GatewayUid,
        proxy: ProxyName,
        session: SessionId,
        offered: Revision,
        holds: Revision,
    },
    /// The connection is over; the proxy goes on serving what it has.
    Disconnected { gateway: GatewayUid, proxy: ProxyName, session: SessionId, reason: String },
}

/// What the server is started with.
pub struct ServerOptions {
    /// Port 0 takes any free port.
    pub listen: SocketAddr,
    pub authority: Authority,
    pub role: Role,
}

/// Why the server did not start.
#[derive(Debug, Error)]
pub enum ServerError {
    #[error("{address} cannot be bound for the proxies: {source}")]
    Bind { address: SocketAddr, source: io::Error },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// What a Gateway's proxies get.
enum Slot {
    /// Nothing yet; they wait.
    Waiting,
    Serving(Arc<State>),
    Retracted,
}

struct Tls {
    config: Arc<rustls::ServerConfig>,
    /// When the certificate is to be replaced.
    due: SystemTime,
}

struct Shared {
    slots: Mutex<BTreeMap<GatewayUid, watch::Sender<Slot>>>,
    role: watch::Sender<Role>,
    authority: watch::Sender<Authority>,
    tls: RwLock<Tls>,
    handshakes: Semaphore,
    connections: Arc<Semaphore>,
    events: mpsc::Sender<Event>,
    sessions: AtomicU64,
    entities_sent: AtomicU64,
}

/// The running server. Dropping it sends every proxy away; they go on serving what they have.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Starts to listen, on the tokio runtime of the caller. Events must be received: when
    /// [`EVENT_QUEUE`] of them wait, proxies wait.
    ///
    /// # Errors
    /// When the address cannot be bound, or no certificate can be made.
    pub async fn start(
        options: ServerOptions,
    ) -> Result<(Self, mpsc::Receiver<Event>), ServerError> {
        let ServerOptions { listen, authority, role } = options;
        let tls = Tls::new(&authority)?;
        let bind_error = |source| ServerError::Bind { address: listen, source };
        let listener = crate::listen(listen).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        let (events, received) = mpsc::channel(EVENT_QUEUE);
        let shared = Arc::new(Shared {
            slots: Mutex::default(),
            role: watch::Sender::new(role),
            authority: watch::Sender::new(authority),
            tls: RwLock::new(tls),
            handshakes: Semaphore::new(HANDSHAKES_MAX),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            events,
            sessions: AtomicU64::new(0),
            entities_sent: AtomicU64::new(0),
        });
        let accepting = tokio::spawn(accept(Arc::clone(&shared), listener));
        Ok((Self { shared, address, accepting }, received))
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Makes a configuration current for a Gateway. Its proxies get what differs from what they
    /// hold, each at its own pace, without those in between. Never waits; encodes what changed.
    ///
    /// # Errors
    /// When it is too large or not newer; what was published before stays.
    pub fn publish(&self, gateway: &GatewayUid, config: Config) -> Result<(), PublishError> {
        self.replace(gateway, |previous| State::next(config, previous).map(Some))
    }

    /// Makes other endpoints current within the published revision; no acknowledgement follows.
    /// Nothing happens while nothing is published.
    ///
    /// # Errors
    /// When they are too large; what was published before stays.
    pub fn publish_endpoints(
        &self,
        gateway: &GatewayUid,
        endpoints: Arc<EndpointMap>,
    ) -> Result<(), PublishError> {
        self.replace(gateway, |previous| {
            previous.map(|state| state.with_endpoints(endpoints)).transpose()
        })
    }

    /// The Gateway is gone: its proxies are sent away, and keep what they have until they end.
    pub fn retract(&self, gateway: &GatewayUid) {
        self.shared.slot_sender(gateway, |sender| sender.send_replace(Slot::Retracted));
        self.shared.forget_if_unused(gateway);
    }

    /// Begins or ends to serve proxies. A new leader should publish before.
    pub fn set_role(&self, role: Role) {
        self.shared.role.send_if_modified(|present| {
            let changes = *present != role;
            *present = role;
            changes
        });
    }

    /// Uses another authority from now on. Open connections stay; their proxies get identities
    /// that it issued.
    ///
    /// # Errors
    /// When no certificate can be made; the one before stays.
    pub fn set_authority(&self, authority: Authority) -> Result<(), TlsError> {
        *self.shared.tls.write() = Tls::new(&authority)?;
        self.shared.authority.send_replace(authority);
        Ok(())
    }

    /// Entities sent to proxies since the start.
    pub fn entities_sent(&self) -> u64 {
        self.shared.entities_sent.load(Ordering::Relaxed)
    }

    /// Ends: when this returns, the address is free, and proxies have been told to go elsewhere.
    pub async fn stop(mut self) {
        self.accepting.abort();
        if (&mut self.accepting).await.is_ok() {
            tracing::debug!("the server had ended before");
        }
    }

    fn replace(
        &self,
        gateway: &GatewayUid,
        next: impl FnOnce(Option<&State>) -> Result<Option<State>, PublishError>,
    ) -> Result<(), PublishError> {
        // The state of now is held, not locked: encoding takes its time.
        let previous = self.shared.slot_sender(gateway, |sender| match &*sender.borrow() {
            Slot::Serving(state) => Some(Arc::clone(state)),
            Slot::Waiting | Slot::Retracted => None,
        });
        let Some(state) = next(previous.as_deref())? else { return Ok(()) };
        let state = Arc::new(state);
        self.shared.slot_sender(gateway, |sender| sender.send_replace(Slot::Serving(state)));
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.set_role(Role::Follower { leader: None });
    }
}

impl Tls {
    fn new(authority: &Authority) -> Result<Self, TlsError> {
        let now = SystemTime::now();
        let config = Arc::new(tls::server(authority, now)?);
        let due = now.checked_add(authority.lifetimes().leaf / 3 * 2).unwrap_or(now);
        Ok(Self { config, due })
    }
}

impl Shared {
    fn slot_sender<T>(
        &self,
        gateway: &GatewayUid,
        with: impl FnOnce(&watch::Sender<Slot>) -> T,
    ) -> T {
        let mut slots = self.slots.lock();
        let sender =
            slots.entry(gateway.clone()).or_insert_with(|| watch::Sender::new(Slot::Waiting));
        with(sender)
    }

    fn slot(&self, gateway: &GatewayUid) -> watch::Receiver<Slot> {
        self.slot_sender(gateway, watch::Sender::subscribe)
    }

    fn forget_if_unused(&self, gateway: &GatewayUid) {
        let mut slots = self.slots.lock();
        let unused = slots.get(gateway).is_some_and(|sender| {
            sender.receiver_count() == 0 && !matches!(&*sender.borrow(), Slot::Serving(_))
        });
        if unused {
            slots.remove(gateway);
        }
    }

    /// The TLS settings of now, with a certificate that is not about to end.
    fn tls_config(&self) -> Result<Arc<rustls::ServerConfig>, TlsError> {
        {
            let tls = self.tls.read();
            if SystemTime::now() < tls.due {
                return Ok(Arc::clone(&tls.config));
            }
        }
        let tls = Tls::new(&self.authority.borrow())?;
        let config = Arc::clone(&tls.config);
        *self.tls.write() = tls;
        Ok(config)
    }

    fn next_session(&self) -> SessionId {
        SessionId(self.sessions.fetch_add(1, Ordering::Relaxed))
    }

    async fn tell(&self, event: Event) {
        if self.events.send(event).await.is_err() {
            tracing::debug!("nobody listens to the events of proxies");
        }
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let Ok((tcp, from)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_BACKOFF).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&shared.connections).try_acquire_owned() else {
            tracing::warn!(%from, "a proxy was turned away: {CONNECTIONS_MAX} are connected");
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            session::serve(shared, tcp, from).await;
            drop(permit);
        });
    }
}
