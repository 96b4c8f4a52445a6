//! One stream to one controller.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use ir::{Ack, Revision};
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, BufReader, BufWriter, WriteHalf, split},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Backoff, Link, Source,
    holding::{Change, Mismatch},
};
use crate::{
    authority::SERVER_NAME,
    digest::Digest,
    frame::{self, StreamError},
    limits::{
        FRAME_BYTES_MAX, HANDSHAKE_DEADLINE, HELD_PER_MESSAGE, IDENTITY_CHECK_INTERVAL,
        INBOUND_QUEUE, KEEPALIVE_INTERVAL, SILENCE_MAX,
    },
    message::{FromProxy, Hello, Refusal, ToProxy},
    wire::{WireError, lists::fingerprint},
};

/// How a stream ended.
pub(crate) enum End {
    /// The controller does not lead; the one that does, if it said so.
    Elsewhere(Option<Arc<str>>),
    Failed(String),
    /// There is an identity to be used instead.
    NewIdentity,
}

impl From<StreamError> for End {
    fn from(error: StreamError) -> Self {
        Self::Failed(error.to_string())
    }
}

type Writer = BufWriter<WriteHalf<TlsStream<TcpStream>>>;
type Inbound = mpsc::Receiver<Result<ToProxy, StreamError>>;

/// What lives as long as one stream.
struct Stream {
    write: Writer,
    change: Option<Change>,
    heard: Instant,
    said: Instant,
}

impl Link {
    pub(super) async fn session(
        &mut self,
        name: String,
        address: SocketAddr,
        backoff: &mut Backoff,
    ) -> End {
        let opened = timeout(HANDSHAKE_DEADLINE, self.open(address)).await;
        let tls = match opened {
            Ok(Ok(tls)) => tls,
            Ok(Err(error)) => return End::Failed(format!("{name} ({address}): {error}")),
            Err(_) => return End::Failed(format!("{name} ({address}) does not answer")),
        };
        let (read, write) = split(tls);
        let (messages, inbound) = mpsc::channel(INBOUND_QUEUE);
        let reader = tokio::spawn(read_all(BufReader::new(read), messages));
        let now = Instant::now();
        let write = BufWriter::with_capacity(64 << 10, write);
        let stream = Stream { write, change: None, heard: now, said: now };
        self.status.send_modify(|status| {
            status.controller = Some(format!("{name} ({address})"));
            status.connections = status.connections.saturating_add(1);
        });
        tracing::info!(%address, "stream to the controller is open");
        let end = self.talk(stream, inbound, backoff).await;
        reader.abort();
        match end {
            End::Failed(reason) => End::Failed(format!("{name} ({address}): {reason}")),
            End::Elsewhere(_) | End::NewIdentity => end,
        }
    }

    async fn open(&mut self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        self.identities.look_again(&self.gateway).await;
        let (config, until) = self.identities.newest().map_err(io::Error::other)?;
        self.status.send_modify(|status| status.identity_until = Some(until));
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
        let mut tls = TlsConnector::from(config).connect(name, tcp).await?;
        if tls.get_ref().1.alpn_protocol().is_none() {
            return Err(io::Error::other("it is no controller of this release"));
        }
        let hello = Hello {
            fingerprint: fingerprint(),
            release: env!("CARGO_PKG_VERSION").into(),
            proxy: self.options.proxy.as_str().into(),
            holds: self.holding.revision(),
        };
        frame::write(&mut tls, &hello).await.map_err(io::Error::other)?;
        frame::flush(&mut tls).await.map_err(io::Error::other)?;
        Ok(tls)
    }

    async fn talk(
        &mut self,
        mut stream: Stream,
        mut inbound: Inbound,
        backoff: &mut Backoff,
    ) -> End {
        if let Err(error) = self.name_held(&mut stream).await {
            // The controller may have said why it does not listen.
            return match inbound.recv().await {
                Some(Ok(ToProxy::Refused(refusal))) => refused(refusal),
                Some(Ok(ToProxy::Elsewhere(leader))) => End::Elsewhere(leader),
                Some(Ok(_) | Err(_)) | None => error.into(),
            };
        }
        let mut acks = self.acks.clone();
        let mut tick = interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut identity_check = interval(IDENTITY_CHECK_INTERVAL);
        loop {
            let done = tokio::select! {
                message = inbound.recv() => {
                    stream.heard = Instant::now();
                    match message {
                        Some(Ok(message)) => self.hear(message, &mut stream, backoff).await,
                        Some(Err(error)) => Err(error.into()),
                        None => Err(StreamError::Closed.into()),
                    }
                }
                Ok(()) = acks.changed() => {
                    let ack = acks.borrow_and_update().clone();
                    stream.acknowledge(ack).await
                }
                _ = tick.tick() => stream.look_after().await,
                _ = identity_check.tick() => {
                    if self.identities.look_again(&self.gateway).await {
                        Err(End::NewIdentity)
                    } else {
                        Ok(())
                    }
                }
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Says what need not be sent.
    async fn name_held(&self, stream: &mut Stream) -> Result<(), StreamError> {
        let mut held = self.holding.digests().iter().peekable();
        while held.peek().is_some() {
            let part = held.by_ref().take(HELD_PER_MESSAGE);
            let part = part.map(|(key, digest)| (key.clone(), *digest)).collect();
            frame::write(&mut stream.write, &FromProxy::Held(part)).await?;
        }
        frame::write(&mut stream.write, &FromProxy::HeldAll).await?;
        frame::flush(&mut stream.write).await
    }

    async fn hear(
        &mut self,
        message: ToProxy,
        stream: &mut Stream,
        backoff: &mut Backoff,
    ) -> Result<(), End> {
        let order = || StreamError::Wire(WireError::Trailing);
        match message {
            ToProxy::Begin(revision) => self.begin(revision, stream).await,
            ToProxy::Put(payload) => {
                let change = stream.change.as_mut().ok_or_else(order)?;
                Ok(change.put(payload.as_bytes()).map_err(StreamError::from)?)
            }
            ToProxy::Remove(key) => {
                let change = stream.change.as_mut().ok_or_else(order)?;
                Ok(change.remove(key).map_err(StreamError::from)?)
            }
            ToProxy::Commit { revision, digest } => {
                let change = stream.change.take().filter(|change| change.revision == revision);
                self.commit(change.ok_or_else(order)?, digest, stream).await?;
                backoff.reset();
                Ok(())
            }
            ToProxy::Identity(identity) => {
                if self.identities.take(identity, &self.gateway) {
                    return Err(End::NewIdentity);
                }
                tracing::warn!("the controller sent an identity that is not usable");
                Ok(())
            }
            ToProxy::Elsewhere(leader) => Err(End::Elsewhere(leader)),
            ToProxy::Refused(refusal) => {
                if refusal == Refusal::Retracted {
                    self.status.send_modify(|status| status.retracted = true);
                }
                Err(refused(refusal))
            }
            ToProxy::Ping => stream.say(&FromProxy::Pong).await,
            ToProxy::Pong => Ok(()),
        }
    }

    async fn begin(&mut self, offered: Revision, stream: &mut Stream) -> Result<(), End> {
        if let Some(holds) = self.holding.revision().filter(|holds| offered < *holds) {
            self.status.send_modify(|status| status.refused = status.refused.saturating_add(1));
            stream.say(&FromProxy::Refuse { offered, holds }).await?;
            return Err(End::Failed(format!(
                "revision {offered} was refused, since {holds} is held"
            )));
        }
        stream.change = Some(Change::new(offered));
        Ok(())
    }

    async fn commit(
        &mut self,
        change: Change,
        digest: Digest,
        stream: &mut Stream,
    ) -> Result<(), End> {
        let (revision, changed) = (change.revision, change.len());
        let before = self.holding.update(Source::Controller, 0);
        let first = self.holding.revision().is_none();
        match self.holding.after(change, revision, digest) {
            Ok(next) => self.holding = next,
            Err(Mismatch::Digest) => {
                self.holding.distrust();
                return Err(End::Failed("the two sides hold different things".to_owned()));
            }
            Err(Mismatch::Wire(error)) => return Err(StreamError::Wire(error).into()),
        }
        self.status.send_modify(|status| {
            status.holds = Some(revision);
            status.retracted = false;
            status.entities = status.entities.saturating_add(changed as u64);
        });
        let update = self.holding.update(Source::Controller, changed);
        let same_ir = !first && Arc::ptr_eq(&before.ir, &update.ir) && before.revision == revision;
        if !same_ir || !Arc::ptr_eq(&before.endpoints, &update.endpoints) {
            self.updates.send_replace(Some(update));
        }
        // What serves already is acknowledged anew on each stream.
        let known = self.acks.borrow().clone().filter(|ack| same_ir && ack.revision == revision);
        stream.acknowledge(known).await
    }
}

impl Stream {
    async fn acknowledge(&mut self, ack: Option<Ack>) -> Result<(), End> {
        match ack {
            Some(ack) => self.say(&FromProxy::Ack(ack)).await,
            None => Ok(()),
        }
    }

    async fn say(&mut self, message: &FromProxy) -> Result<(), End> {
        frame::write(&mut self.write, message).await?;
        self.said = Instant::now();
        Ok(frame::flush(&mut self.write).await?)
    }

    /// Once a second.
    async fn look_after(&mut self) -> Result<(), End> {
        if self.heard.elapsed() > SILENCE_MAX {
            return Err(End::Failed("the controller is silent".to_owned()));
        }
        if self.said.elapsed() > KEEPALIVE_INTERVAL {
            return self.say(&FromProxy::Ping).await;
        }
        Ok(())
    }
}

fn refused(refusal: Refusal) -> End {
    End::Failed(match refusal {
        Refusal::Build(release) => {
            format!(
                "the controller is of another release ({release}); update controller and proxies to the same one"
            )
        }
        Refusal::Retracted => "the controller does not serve this gateway any more".to_owned(),
    })
}

async fn read_all(
    mut stream: impl AsyncRead + Unpin,
    messages: mpsc::Sender<Result<ToProxy, StreamError>>,
) {
    loop {
        let message = frame::read(&mut stream, FRAME_BYTES_MAX).await;
        let over = message.is_err();
        if messages.send(message).await.is_err() || over {
            return;
        }
    }
}
