//! One proxy's connection.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use ir::{Ack, BindFailure, Revision};
use rustls_pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, BufReader, BufWriter, ReadHalf, WriteHalf, split},
    net::TcpStream,
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    Event, Role, SessionId, Shared, Slot,
    state::{State, Step},
};
use crate::{
    authority::x509::{self, Validity},
    digest::Digest,
    frame::{self, StreamError},
    limits::{
        ACK_DEADLINE, ENTITIES_MAX, FRAME_BYTES_MAX, GREETING_BYTES_MAX, HANDSHAKE_DEADLINE,
        INBOUND_QUEUE, KEEPALIVE_INTERVAL, PORTS_MAX, REASON_BYTES_MAX, SILENCE_MAX,
    },
    message::{FromProxy, Hello, Refusal, ToProxy},
    name::{GatewayUid, ProxyName},
    wire::{EntityKey, WireError, lists::fingerprint},
};

type Held = BTreeMap<EntityKey, Digest>;

/// What a connection proved and said.
struct Peer {
    gateway: GatewayUid,
    proxy: ProxyName,
    leaf: CertificateDer<'static>,
    validity: Validity,
    hello: Hello,
}

/// How a session that worked came to its end.
enum End {
    Refused(Refusal),
    Elsewhere(Option<Arc<str>>),
    Broken(StreamError),
    /// The identity that was proven is not valid any more, and its successor was not used.
    Expired,
    /// What the proxy holds is newer.
    Newer,
    /// No acknowledgement in time.
    Silent,
}

pub(crate) async fn serve(shared: Arc<Shared>, tcp: TcpStream, from: SocketAddr) {
    let greeting = timeout(HANDSHAKE_DEADLINE, greet(&shared, tcp)).await;
    let (stream, peer) = match greeting {
        Ok(Ok(greeted)) => greeted,
        Ok(Err(error)) => {
            return tracing::debug!(%from, %error, "a proxy was not let in");
        }
        Err(_) => return tracing::debug!(%from, "a proxy did not introduce itself in time"),
    };
    let (read, write) = split(stream);
    let mut write = BufWriter::with_capacity(64 << 10, write);
    if peer.hello.fingerprint != fingerprint() {
        tracing::warn!(
            gateway = %peer.gateway, proxy = %peer.proxy, release = %peer.hello.release,
            "a proxy of another release keeps what it has; update it"
        );
        let refusal = Refusal::Build(env!("CARGO_PKG_VERSION").into());
        return farewell(&mut write, &ToProxy::Refused(refusal)).await;
    }
    let role = shared.role.subscribe();
    let now = role.borrow().clone();
    if let Role::Follower { leader } = now {
        return farewell(&mut write, &ToProxy::Elsewhere(leader)).await;
    }
    let session = Session::new(&shared, peer, write, role);
    session.run(read).await;
}

/// Who is it, by certificate and by greeting.
async fn greet(
    shared: &Shared,
    tcp: TcpStream,
) -> Result<(TlsStream<TcpStream>, Peer), StreamError> {
    let _permit = shared.handshakes.acquire().await.map_err(io::Error::other)?;
    tcp.set_nodelay(true)?;
    let config = shared.tls_config().map_err(io::Error::other)?;
    let mut stream = TlsAcceptor::from(config).accept(tcp).await?;
    let refused = |error: &dyn std::fmt::Display| {
        StreamError::Io(io::Error::new(io::ErrorKind::PermissionDenied, error.to_string()))
    };
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let leaf = certificates.first().cloned().ok_or_else(|| refused(&"no certificate"))?;
    let gateway = x509::gateway(&leaf).map_err(|error| refused(&error))?;
    let validity = x509::validity(&leaf).map_err(|error| refused(&error))?;
    let hello: Hello = frame::read(&mut stream, GREETING_BYTES_MAX).await?;
    let proxy = ProxyName::new(&hello.proxy).ok_or_else(|| refused(&"not a name of a proxy"))?;
    Ok((stream, Peer { gateway, proxy, leaf, validity, hello }))
}

type Writer = BufWriter<WriteHalf<TlsStream<TcpStream>>>;

async fn farewell(write: &mut Writer, message: &ToProxy) {
    let sent = async {
        frame::write(write, message).await?;
        frame::flush(write).await?;
        Ok::<_, StreamError>(
            timeout(HANDSHAKE_DEADLINE, tokio::io::AsyncWriteExt::shutdown(write)).await??,
        )
    };
    if let Err(error) = sent.await {
        tracing::debug!(%error, "a proxy did not wait for the last word");
    }
}

struct Session<'a> {
    shared: &'a Arc<Shared>,
    id: SessionId,
    peer: Peer,
    write: Writer,
    role: watch::Receiver<Role>,
    slot: watch::Receiver<Slot>,
    authority: watch::Receiver<crate::Authority>,
    /// What the proxy holds; `None` until it has said so.
    held: Option<Held>,
    named: Held,
    /// What the proxy was last sent, and since when its acknowledgement is waited for.
    sent: Option<Arc<State>>,
    waiting: Option<(Revision, Instant)>,
    identity_sent: Option<SystemTime>,
    heard: Instant,
    said: Instant,
}

impl<'a> Session<'a> {
    fn new(
        shared: &'a Arc<Shared>,
        peer: Peer,
        write: Writer,
        role: watch::Receiver<Role>,
    ) -> Self {
        let now = Instant::now();
        Self {
            id: shared.next_session(),
            slot: shared.slot(&peer.gateway),
            authority: shared.authority.subscribe(),
            shared,
            peer,
            write,
            role,
            held: None,
            named: Held::new(),
            sent: None,
            waiting: None,
            identity_sent: None,
            heard: now,
            said: now,
        }
    }

    async fn run(mut self, read: ReadHalf<TlsStream<TcpStream>>) {
        let (messages, mut inbound) = mpsc::channel(INBOUND_QUEUE);
        let reader = tokio::spawn(read_all(BufReader::new(read), messages));
        self.tell(|session| Event::Connected {
            gateway: session.peer.gateway.clone(),
            proxy: session.peer.proxy.clone(),
            session: session.id,
            holds: session.peer.hello.holds,
        })
        .await;
        let end = self.talk(&mut inbound).await;
        reader.abort();
        let reason = match end {
            End::Refused(refusal) => {
                farewell(&mut self.write, &ToProxy::Refused(refusal)).await;
                "the gateway is not served any more".to_owned()
            }
            End::Elsewhere(leader) => {
                farewell(&mut self.write, &ToProxy::Elsewhere(leader)).await;
                "this controller does not lead any more".to_owned()
            }
            End::Broken(error) => error.to_string(),
            End::Expired => "its identity has ended".to_owned(),
            End::Newer => "it holds a newer revision".to_owned(),
            End::Silent => "a revision was not acknowledged in time".to_owned(),
        };
        tracing::info!(gateway = %self.peer.gateway, proxy = %self.peer.proxy, reason, "a proxy left");
        let Self { slot, peer: Peer { gateway, proxy, .. }, id, shared, .. } = self;
        drop(slot);
        shared.forget_if_unused(&gateway);
        shared.tell(Event::Disconnected { gateway, proxy, session: id, reason }).await;
    }

    async fn talk(&mut self, inbound: &mut mpsc::Receiver<Result<FromProxy, StreamError>>) -> End {
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.slot.mark_changed();
        self.authority.mark_changed();
        loop {
            // Watches whose sender is gone end with the process.
            let done = tokio::select! {
                message = inbound.recv() => match message {
                    Some(Ok(message)) => self.hear(message).await,
                    Some(Err(error)) => Err(End::Broken(error)),
                    None => Err(End::Broken(StreamError::Closed)),
                },
                Ok(()) = self.slot.changed(), if self.held.is_some() && self.waiting.is_none() => {
                    self.send_state().await
                }
                Ok(()) = self.role.changed() => match self.role.borrow_and_update().clone() {
                    Role::Leader => Ok(()),
                    Role::Follower { leader } => Err(End::Elsewhere(leader)),
                },
                Ok(()) = self.authority.changed() => {
                    self.identity_sent = None;
                    self.renew_identity().await
                }
                _ = tick.tick() => self.look_after().await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    async fn hear(&mut self, message: FromProxy) -> Result<(), End> {
        self.heard = Instant::now();
        match message {
            FromProxy::Ack(ack) => self.acknowledge(ack).await,
            FromProxy::Held(entities) if self.held.is_none() => {
                self.named.extend(entities);
                if self.named.len() > ENTITIES_MAX {
                    return Err(End::Broken(StreamError::Wire(WireError::TooMany)));
                }
            }
            FromProxy::HeldAll if self.held.is_none() => {
                self.held = Some(std::mem::take(&mut self.named));
            }
            FromProxy::Held(_) | FromProxy::HeldAll => {
                return Err(End::Broken(StreamError::Wire(WireError::Trailing)));
            }
            FromProxy::Ping => self.say(&ToProxy::Pong).await?,
            FromProxy::Pong => {}
            FromProxy::Refuse { offered, holds } => {
                tracing::warn!(
                    gateway = %self.peer.gateway, proxy = %self.peer.proxy, %offered, %holds,
                    "a proxy holds a newer revision than this controller issues"
                );
                self.tell(|session| Event::Refused {
                    gateway: session.peer.gateway.clone(),
                    proxy: session.peer.proxy.clone(),
                    session: session.id,
                    offered,
                    holds,
                })
                .await;
                return Err(End::Newer);
            }
        }
        Ok(())
    }

    async fn acknowledge(&mut self, mut ack: Ack) {
        if self.waiting.is_some_and(|(revision, _)| revision <= ack.revision) {
            self.waiting = None;
        }
        ack.ports.truncate(PORTS_MAX);
        for failure in ack.ports.iter_mut().filter_map(|port| port.result.as_mut().err()) {
            match failure {
                BindFailure::Other(words) => {
                    words.truncate(words.floor_char_boundary(REASON_BYTES_MAX));
                }
                BindFailure::InUse | BindFailure::Denied | BindFailure::NotLocal => {}
            }
        }
        self.tell(|session| Event::Acked {
            gateway: session.peer.gateway.clone(),
            proxy: session.peer.proxy.clone(),
            session: session.id,
            ack,
        })
        .await;
    }

    /// Brings the proxy from what it holds to the latest state, whatever came in between.
    async fn send_state(&mut self) -> Result<(), End> {
        let state = match &*self.slot.borrow_and_update() {
            Slot::Waiting => return Ok(()),
            Slot::Retracted => return Err(End::Refused(Refusal::Retracted)),
            Slot::Serving(state) => Arc::clone(state),
        };
        let Some(held) = self.held.take() else { return Ok(()) };
        let steps = state.steps(&held);
        let again = self.sent.as_ref().is_some_and(|sent| sent.revision == state.revision);
        if again && steps.is_empty() {
            self.held = Some(held);
            return Ok(());
        }
        self.put(&ToProxy::Begin(state.revision)).await?;
        let count = steps.len();
        for step in steps {
            match step {
                Step::Put(sealed) => self.put(&ToProxy::Put(sealed.payload.clone())).await?,
                Step::Remove(key) => self.put(&ToProxy::Remove(key.clone())).await?,
            }
        }
        self.say(&ToProxy::Commit { revision: state.revision, digest: state.digest }).await?;
        tracing::debug!(
            gateway = %self.peer.gateway, proxy = %self.peer.proxy, revision = %state.revision,
            entities = count, "sent"
        );
        self.shared.entities_sent.fetch_add(count as u64, Ordering::Relaxed);
        self.held = Some(state.held());
        if !again {
            self.waiting = Some((state.revision, Instant::now()));
        }
        self.sent = Some(state);
        Ok(())
    }

    /// A new identity when the one of the connection grows old, or the authorities changed.
    async fn renew_identity(&mut self) -> Result<(), End> {
        let authority = self.authority.borrow_and_update().clone();
        let now = SystemTime::now();
        if now > self.peer.validity.to {
            return Err(End::Expired);
        }
        let again = authority.lifetimes().leaf / 6;
        let sent = self.identity_sent.and_then(|at| now.duration_since(at).ok());
        let fresh = !self.peer.validity.is_due(now) && authority.issued(&self.peer.leaf);
        if fresh || sent.is_some_and(|age| age < again) {
            return Ok(());
        }
        match authority.issue(&self.peer.gateway, now) {
            Ok(identity) => {
                self.identity_sent = Some(now);
                self.say(&ToProxy::Identity(identity)).await
            }
            Err(error) => {
                tracing::error!(%error, "a proxy's identity was not renewed");
                Ok(())
            }
        }
    }

    /// Once a second.
    async fn look_after(&mut self) -> Result<(), End> {
        if self.heard.elapsed() > SILENCE_MAX {
            return Err(End::Broken(StreamError::Closed));
        }
        if self.waiting.is_some_and(|(_, since)| since.elapsed() > ACK_DEADLINE) {
            return Err(End::Silent);
        }
        if self.said.elapsed() > KEEPALIVE_INTERVAL {
            self.say(&ToProxy::Ping).await?;
        }
        self.renew_identity().await
    }

    async fn put(&mut self, message: &ToProxy) -> Result<(), End> {
        frame::write(&mut self.write, message).await.map_err(End::Broken)
    }

    async fn say(&mut self, message: &ToProxy) -> Result<(), End> {
        self.put(message).await?;
        self.said = Instant::now();
        frame::flush(&mut self.write).await.map_err(End::Broken)
    }

    async fn tell(&self, event: impl FnOnce(&Self) -> Event) {
        self.shared.tell(event(self)).await;
    }
}

async fn read_all(
    mut stream: impl AsyncRead + Unpin,
    messages: mpsc::Sender<Result<FromProxy, StreamError>>,
) {
    loop {
        let message = frame::read(&mut stream, FRAME_BYTES_MAX).await;
        let over = message.is_err();
        if messages.send(message).await.is_err() || over {
            return;
        }
    }
}
