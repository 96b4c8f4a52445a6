//! Which of several controllers leads: the holder of a Lease (`coordination.k8s.io/v1`).
//!
//! A lease counts as abandoned when it did not change for its duration, by our own clock; times in
//! it are for people. A leader that cannot renew in time stops leading before anybody else begins.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{sync::watch, task::JoinHandle};

use crate::limits::{LEASE_DEADLINE, LEASE_DURATION, LEASE_RETRY, LEASE_TIMEOUT};

/// The annotation with the place where the leader serves proxies.
const ADDRESS_ANNOTATION: &str = "portcullis.dev/link-address";

/// The lease that controllers of one installation share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseOptions {
    pub namespace: String,
    pub name: String,
    /// Tells this controller from the others; a controller that is started anew may keep it.
    pub identity: String,
    /// Where proxies find this controller: host and port.
    pub address: Option<String>,
}

/// Who leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// Set when we lead: how often the lease has changed hands.
    pub epoch: Option<u64>,
    /// Where the leader serves proxies, when somebody else leads.
    pub leader: Option<Arc<str>>,
}

/// The running election.
pub struct Election {
    leadership: watch::Receiver<Leadership>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Election {
    pub fn start(client: Client, options: LeaseOptions) -> Self {
        let (sender, leadership) = watch::channel(Leadership::default());
        let (stop, stopped) = watch::channel(false);
        let api = Api::namespaced(client, &options.namespace);
        let candidate = Candidate { api, options, seen: None, held: None, sender };
        let task = tokio::spawn(candidate.run(stopped));
        Self { leadership, stop, task }
    }

    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// Gives the lease up, so that another controller can lead at once.
    pub async fn resign(mut self) {
        self.stop.send_replace(true);
        let ended = tokio::time::timeout(LEASE_TIMEOUT * 2, &mut self.task).await;
        if ended.is_err() {
            tracing::warn!("the lease could not be given up; it ends by itself");
        }
    }
}

impl Drop for Election {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Candidate {
    api: Api<Lease>,
    options: LeaseOptions,
    /// The version of the lease that was seen last, and since when.
    seen: Option<(String, Instant)>,
    /// Our lease as it was written last, and when that was begun.
    held: Option<(Lease, Instant)>,
    sender: watch::Sender<Leadership>,
}

/// Why a step of the election failed.
#[derive(Debug, thiserror::Error)]
enum ElectionError {
    #[error("{0}")]
    Api(#[from] Box<kube::Error>),
    #[error("no answer within {} s", LEASE_TIMEOUT.as_secs())]
    Late,
}

impl Candidate {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.step().await {
                tracing::warn!(%error, "the lease cannot be had");
            }
            self.check_deadline();
            let wait = match &self.held {
                Some((_, at)) => {
                    let deadline = LEASE_DEADLINE.saturating_sub(at.elapsed());
                    LEASE_RETRY.min(deadline.max(Duration::from_millis(100)))
                }
                None => LEASE_RETRY,
            };
            let stop = async { stopped.wait_for(|stopped| *stopped).await.is_ok() };
            // An error means that nobody can ask for it any longer, and this task is about to end.
            if tokio::time::timeout(wait, stop).await.is_ok() {
                self.release().await;
                return;
            }
        }
    }

    async fn step(&mut self) -> Result<(), ElectionError> {
        let began = Instant::now();
        if let Some((lease, _)) = &self.held {
            let mut next = lease.clone();
            if let Some(spec) = &mut next.spec {
                spec.renew_time = Some(now());
            }
            match self.replace(&next).await? {
                Some(lease) => {
                    self.held = Some((lease, began));
                    return Ok(());
                }
                None => self.lose("somebody else changed the lease"),
            }
        }
        let found = timely(self.api.get_opt(&self.options.name)).await?;
        let next = match found {
            None => self.lease(None),
            Some(lease) => {
                if !self.is_free(&lease) {
                    return Ok(());
                }
                self.lease(Some(lease))
            }
        };
        let taken = if next.metadata.resource_version.is_none() {
            match timely(self.api.create(&PostParams::default(), &next)).await {
                Ok(lease) => Some(lease),
                Err(error) if is_conflict(&error) => None,
                Err(error) => return Err(error),
            }
        } else {
            self.replace(&next).await?
        };
        if let Some(lease) = taken {
            self.lead(lease, began);
        }
        Ok(())
    }

    /// Whether nobody else holds the lease. Tells who does.
    fn is_free(&mut self, lease: &Lease) -> bool {
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != version) {
            self.seen = Some((version, Instant::now()));
        }
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
        if holder.is_empty() || holder == self.options.identity {
            return true;
        }
        let address = lease.metadata.annotations.as_ref();
        let address = address.and_then(|all| all.get(ADDRESS_ANNOTATION));
        self.tell(Leadership { epoch: None, leader: address.map(|text| text.as_str().into()) });
        let seconds = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or_default();
        let duration = u64::try_from(seconds).map_or(LEASE_DURATION, Duration::from_secs);
        self.seen.as_ref().is_some_and(|(_, since)| since.elapsed() > duration)
    }

    /// The lease as it is when we have taken it: its transitions count each time that somebody
    /// began to lead, which makes them an epoch.
    fn lease(&self, before: Option<Lease>) -> Lease {
        let mut lease = before.unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(self.options.name.clone()),
                namespace: Some(self.options.namespace.clone()),
                ..ObjectMeta::default()
            },
            ..Lease::default()
        });
        let transitions = lease.spec.as_ref().and_then(|spec| spec.lease_transitions);
        let annotations = lease.metadata.annotations.get_or_insert_default();
        match &self.options.address {
            Some(address) => annotations.insert(ADDRESS_ANNOTATION.to_owned(), address.clone()),
            None => annotations.remove(ADDRESS_ANNOTATION),
        };
        lease.metadata.managed_fields = None;
        lease.spec = Some(LeaseSpec {
            acquire_time: Some(now()),
            renew_time: Some(now()),
            holder_identity: Some(self.options.identity.clone()),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            lease_transitions: Some(transitions.unwrap_or_default().saturating_add(1)),
            ..LeaseSpec::default()
        });
        lease
    }

    /// Writes over the version that was read; nothing if somebody else did so before.
    async fn replace(&self, lease: &Lease) -> Result<Option<Lease>, ElectionError> {
        let params = PostParams::default();
        let request = self.api.replace(&self.options.name, &params, lease);
        match timely(request).await {
            Ok(lease) => Ok(Some(lease)),
            Err(error) if is_conflict(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn lead(&mut self, lease: Lease, began: Instant) {
        let transitions = lease.spec.as_ref().and_then(|spec| spec.lease_transitions);
        let epoch = u64::try_from(transitions.unwrap_or_default()).unwrap_or_default();
        tracing::info!(lease = self.options.name, epoch, "leading");
        self.held = Some((lease, began));
        self.tell(Leadership { epoch: Some(epoch), leader: None });
    }

    fn lose(&mut self, why: &str) {
        tracing::warn!(why, "no longer leading");
        self.held = None;
        self.tell(Leadership::default());
    }

    fn check_deadline(&mut self) {
        if self.held.as_ref().is_some_and(|(_, at)| at.elapsed() >= LEASE_DEADLINE) {
            self.lose("the lease could not be renewed");
        }
    }

    async fn release(&mut self) {
        let Some((mut lease, _)) = self.held.take() else { return };
        self.tell(Leadership::default());
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
            spec.renew_time = Some(now());
        }
        match self.replace(&lease).await {
            Ok(_) => tracing::info!("the lease is given up"),
            Err(error) => tracing::warn!(%error, "the lease could not be given up"),
        }
    }

    fn tell(&self, leadership: Leadership) {
        self.sender.send_if_modified(|present| {
            let changes = *present != leadership;
            *present = leadership;
            changes
        });
    }
}

fn is_conflict(error: &ElectionError) -> bool {
    match error {
        ElectionError::Api(error) => {
            matches!(&**error, kube::Error::Api(status) if status.code == 409)
        }
        ElectionError::Late => false,
    }
}

async fn timely<T>(
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ElectionError> {
    match tokio::time::timeout(LEASE_TIMEOUT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(ElectionError::Api(Box::new(error))),
        Err(_) => Err(ElectionError::Late),
    }
}

fn now() -> MicroTime {
    MicroTime(k8s_openapi::jiff::Timestamp::now())
}
