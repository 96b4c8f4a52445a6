//! The proxy's end of the stream.

mod holding;
mod identities;
mod session;
mod store;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ir::{Ack, EndpointMap, IrSet, Revision};
use thiserror::Error;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    authority::AuthorityError,
    limits::{BACKOFF_FIRST, BACKOFF_MAX, REDIRECTS_MAX},
    name::{GatewayUid, ProxyName},
};
use holding::Holding;
use identities::Identities;
use session::End;

/// What the client is started with.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Host and port each; a host may have several addresses. All are tried in turn.
    pub controllers: Vec<String>,
    /// The folder with `tls.crt`, `tls.key` and `ca.crt`; changes are noticed.
    pub identity: PathBuf,
    pub proxy: ProxyName,
    /// The folder for the last good configuration, made when it is missing. It holds private
    /// keys: memory-backed, and nobody else's. `None` keeps nothing.
    pub state: Option<PathBuf>,
}

/// Why the client did not start.
#[derive(Debug, Error)]
pub enum ClientError {
    #[error("identity in {folder} is not usable: {source}")]
    Identity { folder: PathBuf, source: AuthorityError },
    #[error("no controller is given")]
    NoController,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Controller,
    /// The last good configuration of an earlier process.
    Stored,
}

/// Everything that is to be served now.
///
/// When `ir` is the very `Arc` of the update before and the revision is the same, only the
/// endpoints differ; then no acknowledgement is due.
#[derive(Clone, Debug)]
pub struct Update {
    pub revision: Revision,
    pub ir: Arc<IrSet>,
    pub endpoints: Arc<EndpointMap>,
    pub source: Source,
    /// Entities that came or went.
    pub changed: usize,
}

/// How the stream is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkStatus {
    /// The controller that is connected now.
    pub controller: Option<String>,
    /// What was received in full.
    pub holds: Option<Revision>,
    /// Streams that were opened.
    pub connections: u64,
    /// Streams that ended, or were not opened, for another reason than a new identity.
    pub failures: u64,
    /// Revisions that were refused because they were older than what is held.
    pub refused: u64,
    /// Entities that were received.
    pub entities: u64,
    /// Why the last stream ended or was not opened.
    pub error: Option<String>,
    /// When the identity in use ends.
    pub identity_until: Option<SystemTime>,
    /// The leader has said that it serves this Gateway no longer, and has sent nothing since.
    pub retracted: bool,
}

/// The running client. Dropping it ends the stream.
pub struct Client {
    gateway: GatewayUid,
    updates: watch::Receiver<Option<Update>>,
    acks: watch::Sender<Option<Ack>>,
    status: watch::Receiver<LinkStatus>,
    tasks: [JoinHandle<()>; 2],
}

impl Client {
    /// Starts to connect, on the tokio runtime of the caller. A stored configuration is the first
    /// update, whether or not a controller can be reached.
    ///
    /// # Errors
    /// When the identity cannot be read, or no controller is given.
    pub fn start(options: ClientOptions) -> Result<Self, ClientError> {
        if options.controllers.is_empty() {
            return Err(ClientError::NoController);
        }
        let (identities, gateway) = Identities::open(&options.identity)
            .map_err(|source| ClientError::Identity { folder: options.identity.clone(), source })?;
        let stored = options.state.as_ref().and_then(|folder| store::read(folder, &gateway));
        let (updates, updated) = watch::channel(None);
        let (acks, acked) = watch::channel(None);
        let (status, status_of) = watch::channel(LinkStatus::default());
        if let Some(stored) = &stored {
            updates.send_replace(Some(stored.update(Source::Stored, stored.len())));
            status.send_modify(|status| status.holds = stored.revision());
        }
        let keeper = store::keep(
            options.state.clone(),
            gateway.clone(),
            updates.subscribe(),
            acks.subscribe(),
        );
        let link = Link {
            holding: stored.unwrap_or_default(),
            options,
            gateway: gateway.clone(),
            identities,
            updates,
            acks: acked,
            status,
        };
        let tasks = [tokio::spawn(link.run()), tokio::spawn(keeper)];
        Ok(Self { gateway, updates: updated, acks, status: status_of, tasks })
    }

    /// The Gateway that the identity names.
    pub fn gateway(&self) -> &GatewayUid {
        &self.gateway
    }

    /// Waits for something else to serve than the update before; those in between are left out.
    pub async fn next(&mut self) -> Update {
        loop {
            if self.updates.changed().await.is_err() {
                // The task is gone with the process.
                std::future::pending::<()>().await;
            }
            if let Some(update) = self.updates.borrow_and_update().clone() {
                return update;
            }
        }
    }

    /// Says that a revision serves, also again when a port was bound later. It is then the last
    /// good one.
    pub fn ack(&self, ack: Ack) {
        self.acks.send_replace(Some(ack));
    }

    /// How the stream is now.
    pub fn status(&self) -> watch::Receiver<LinkStatus> {
        self.status.clone()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The task that keeps a stream open.
struct Link {
    options: ClientOptions,
    gateway: GatewayUid,
    identities: Identities,
    holding: Holding,
    updates: watch::Sender<Option<Update>>,
    acks: watch::Receiver<Option<Ack>>,
    status: watch::Sender<LinkStatus>,
}

impl Link {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut attempt: usize = rand::random::<u16>().into();
        let mut redirect: Option<Arc<str>> = None;
        let mut redirects = 0;
        loop {
            let end = match self.target(redirect.take(), attempt).await {
                Ok((name, address)) => self.session(name, address, &mut backoff).await,
                Err(reason) => End::Failed(reason),
            };
            attempt = attempt.wrapping_add(1);
            match end {
                // The same controller, with the new identity.
                End::NewIdentity => {
                    attempt = attempt.wrapping_sub(1);
                    self.ended(None);
                    tokio::time::sleep(BACKOFF_FIRST).await;
                }
                End::Elsewhere(Some(leader)) if redirects < REDIRECTS_MAX => {
                    redirects += 1;
                    redirect = Some(leader);
                    self.ended(None);
                }
                End::Elsewhere(_) => {
                    redirects = 0;
                    self.ended(Some("the controller does not lead".to_owned()));
                    backoff.wait().await;
                }
                End::Failed(reason) => {
                    redirects = 0;
                    self.ended(Some(reason));
                    backoff.wait().await;
                }
            }
        }
    }

    /// One address to try, with the name it came from.
    async fn target(
        &self,
        redirect: Option<Arc<str>>,
        attempt: usize,
    ) -> Result<(String, std::net::SocketAddr), String> {
        let redirect = redirect.map(|leader| leader.to_string());
        let names = match &redirect {
            Some(leader) => std::slice::from_ref(leader),
            None => self.options.controllers.as_slice(),
        };
        let mut found = Vec::new();
        let mut error = None;
        for name in names {
            match tokio::net::lookup_host(name.as_str()).await {
                Ok(addresses) => found.extend(addresses.map(|address| (name.clone(), address))),
                Err(why) => error = Some(format!("{name} is not found: {why}")),
            }
        }
        let position = attempt.checked_rem(found.len()).unwrap_or(0);
        let nothing = || error.unwrap_or_else(|| "the controller has no address".to_owned());
        found.into_iter().nth(position).ok_or_else(nothing)
    }

    fn ended(&self, reason: Option<String>) {
        match &reason {
            Some(reason) => tracing::warn!(reason, "no stream to a controller; serving goes on"),
            None => tracing::info!("opening the stream anew"),
        }
        self.status.send_modify(|status| {
            status.controller = None;
            if reason.is_some() {
                status.failures = status.failures.saturating_add(1);
                status.error = reason;
            }
        });
    }
}

/// Exponential, with a random part, so that the proxies of a restarted controller do not come
/// all at once.
struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(BACKOFF_FIRST)
    }
}

impl Backoff {
    fn reset(&mut self) {
        *self = Self::default();
    }

    async fn wait(&mut self) {
        let half = self.0 / 2;
        let wait = half.saturating_add(half.mul_f64(rand::random::<f64>()));
        self.0 = self.0.saturating_mul(2).min(BACKOFF_MAX);
        tokio::time::sleep(wait).await;
    }
}
