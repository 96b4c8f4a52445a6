//! The task that makes the cluster as it should be, and keeps it so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SelectAll, StreamExt as _};
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt as _, watcher as watch_objects};
use kube::{Api, Client};
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::desired::owner_label;
use super::reconcile::{Key, State};
use super::{KINDS, Kind, OWNER_LABEL, Orders, Reports, Settings};

/// Changes that come this close together are looked at once.
const QUIET: Duration = Duration::from_millis(50);

/// Wait after something could not be done; doubled each time up to the second.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Time between two looks at everything though nothing has changed: identities grow old.
const LOOK: Duration = Duration::from_secs(3600);

/// Why something could not be done about an object.
#[derive(Debug, Error)]
pub enum ProvisionError {
    #[error("{kind} {name} exists and is not ours; delete it, or give the Gateway another name")]
    Foreign { kind: &'static str, name: String },
    #[error("{kind} {name} belongs to a Gateway of this name that is gone; it is about to go too")]
    Leftover { kind: &'static str, name: String },
    #[error("{kind} {name} cannot be made: {reason}")]
    Refused { kind: &'static str, name: String, reason: String },
    #[error("the identity of the proxies cannot be made: {0}")]
    Identity(String),
}

/// Who makes the identities of proxies.
pub trait Identities: Send + Sync + 'static {
    /// The data of the Secret for a Gateway, when what is `present` must be replaced.
    ///
    /// # Errors
    /// A sentence, when none can be made.
    fn renew(
        &self,
        gateway_uid: &str,
        present: Option<&BTreeMap<String, Vec<u8>>>,
    ) -> Result<Option<BTreeMap<String, Vec<u8>>>, String>;
}

/// Provisions Gateways until it is dropped.
pub struct Provisioner {
    orders: watch::Sender<Option<Arc<Orders>>>,
    reports: watch::Receiver<Arc<Reports>>,
    task: JoinHandle<()>,
}

impl Provisioner {
    /// Starts to watch what was made before. Nothing is changed before the first order.
    pub fn start(client: Client, settings: Settings, identities: Arc<dyn Identities>) -> Self {
        let (orders, receiver) = watch::channel(None);
        let (sender, reports) = watch::channel(Arc::new(Reports::new()));
        let state = State::new(client.clone(), settings, identities);
        let task = tokio::spawn(run(client, state, receiver, sender));
        Self { orders, reports, task }
    }

    /// What should be there from now on. `orders` must name every Gateway of ours.
    pub fn order(&self, orders: Orders) {
        self.orders.send_if_modified(|now| {
            let same = now.as_ref().is_some_and(|now| **now == orders);
            if !same {
                *now = Some(Arc::new(orders));
            }
            !same
        });
    }

    /// Nothing is changed until the next order: another controller leads.
    pub fn pause(&self) {
        self.orders.send_replace(None);
    }

    /// What became of the orders; changes whenever something is known anew.
    pub fn reports(&self) -> watch::Receiver<Arc<Reports>> {
        self.reports.clone()
    }
}

impl Drop for Provisioner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn resource(kind: Kind) -> ApiResource {
    let (group, version) = kind.group_version();
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api::resource::api_version(group, version),
        kind: kind.as_str().to_owned(),
        plural: kind.plural().to_owned(),
    }
}

type Events = SelectAll<
    futures_util::stream::BoxStream<'static, (Kind, Result<Event<DynamicObject>, watcher::Error>)>,
>;

fn events(client: &Client, controller_name: &str) -> Events {
    let label = format!("{OWNER_LABEL}={}", owner_label(controller_name));
    let mut all = SelectAll::new();
    for kind in KINDS {
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource(kind));
        let config = watcher::Config::default().labels(&label);
        let stream = watch_objects(api, config).default_backoff();
        all.push(stream.map(move |event| (kind, event)).boxed());
    }
    all
}

async fn run(
    client: Client,
    mut state: State,
    mut orders: watch::Receiver<Option<Arc<Orders>>>,
    reports: watch::Sender<Arc<Reports>>,
) {
    let mut events = events(&client, state.controller_name());
    let mut retry = RETRY_MIN;
    let mut wait = Duration::MAX;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some((kind, event)) => see(&mut state, kind, event),
                None => return,
            },
            changed = orders.changed() => if changed.is_err() { return },
            () = sleep(wait) => {}
        }
        // What else is there already, and what comes within a moment.
        while let Ok(Some((kind, event))) = tokio::time::timeout(QUIET, events.next()).await {
            see(&mut state, kind, event);
        }
        let current = orders.borrow_and_update().clone();
        wait = Duration::MAX;
        let Some(current) = current.filter(|_| state.is_complete()) else { continue };
        let done = state.reconcile(&current).await;
        let now = Arc::new(state.reports(&current).await);
        reports.send_if_modified(|before| {
            let differs = *before != now;
            *before = now;
            differs
        });
        if done {
            retry = RETRY_MIN;
            wait = LOOK;
        } else {
            wait = retry;
            retry = retry.saturating_mul(2).min(RETRY_MAX);
        }
    }
}

async fn sleep(wait: Duration) {
    if wait == Duration::MAX {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(wait).await;
}

fn see(state: &mut State, kind: Kind, event: Result<Event<DynamicObject>, watcher::Error>) {
    match event {
        Ok(Event::Init) => state.begin(kind),
        Ok(Event::InitApply(object) | Event::Apply(object)) => {
            if let Some(key) = key(kind, &object)
                && let Ok(value) = serde_json::to_value(&object)
            {
                state.put(key, value);
            }
        }
        Ok(Event::InitDone) => state.end(kind),
        Ok(Event::Delete(object)) => {
            if let Some(key) = key(kind, &object) {
                state.remove(&key);
            }
        }
        Err(error) => {
            tracing::warn!(kind = kind.as_str(), %error, "watching generated objects failed");
        }
    }
}

fn key(kind: Kind, object: &DynamicObject) -> Option<Key> {
    let metadata = &object.metadata;
    Some(Key { kind, namespace: metadata.namespace.clone()?, name: metadata.name.clone()? })
}
