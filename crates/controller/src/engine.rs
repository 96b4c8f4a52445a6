//! The one loop that owns snapshot and translation: changes in, configurations and statuses out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use api::ObjectName;
use futures_util::{StreamExt as _, stream};
use ir::{BindAddress, EndpointMap, IrSet, ObjectRef, Revision};
use kube::{Api, Client, api::DynamicObject};
use source::names::Resolver;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use translate::{Capabilities, Diagnostic, Placement, Settings, Statuses, Translation, Translator};

use crate::{
    cluster::Cluster,
    discovery::{ServedKinds, TRUST_BUNDLES, served_kinds},
    events::Announcer,
    leader::{Election, Leadership, LeaseOptions},
    limits::{CHANGE_QUEUE, DEBOUNCE_LONGEST, DEBOUNCE_QUIET, DISCOVERY_INTERVAL, FETCHES},
    metrics::Counters,
    objects::{Objects, read_fetched},
    plane::{DataPlane, Publication},
    selectors::Selectors,
    status::{Writer, timely},
    watch::{Change, KindKey, News, Watches},
};

/// What the controller is started with.
pub struct Options {
    pub settings: Settings,
    /// Absent: this controller leads, and nobody else may run.
    pub lease: Option<LeaseOptions>,
}

/// What the outside may look at; replaced as a whole.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Every kind was read once, and a configuration was made of it.
    pub ready: bool,
    pub statuses: Arc<Statuses>,
    pub findings: Arc<Vec<Diagnostic>>,
    pub leadership: Leadership,
}

/// Why the controller ended.
#[derive(Debug, Error)]
pub enum ControllerError {
    #[error("every watch has ended")]
    WatchesEnded,
}

/// Runs until `stop` is done, then gives the lease up.
///
/// # Errors
/// When it cannot go on. What a cluster refuses, or an API server that is away, is no reason.
pub async fn run<P: DataPlane>(
    cluster: Cluster,
    options: Options,
    plane: P,
    counters: Arc<Counters>,
    view: watch::Sender<View>,
    stop: impl Future<Output = ()>,
) -> Result<(), ControllerError> {
    let client = cluster.client.clone();
    let (sender, mut changes) = mpsc::channel(CHANGE_QUEUE);
    let mut watches = Watches::new(client.clone(), sender, Arc::clone(&counters));
    let (found, mut kinds) = mpsc::channel(1);
    let discovery = tokio::spawn(discover(client.clone(), found));
    let instance = options.lease.as_ref().map_or("controller", |lease| &lease.identity).to_owned();
    let (election, mut leadership) = match options.lease {
        Some(lease) => {
            let election = Election::start(client.clone(), lease);
            let leadership = election.leadership();
            (Some(election), leadership)
        }
        None => (None, watch::channel(Leadership { epoch: Some(0), leader: None }).1),
    };
    leadership.mark_changed();
    let mut engine = Engine::new(client, options.settings, plane, &instance, counters, view);
    tokio::pin!(stop);
    let result = loop {
        engine.writer.start(&engine.objects);
        let selectors_due = engine.selectors_due();
        tokio::select! {
            () = &mut stop => break Ok(()),
            Some(served) = kinds.recv() => {
                let ended = watches.follow(&served);
                engine.follow(served, ended);
            }
            change = changes.recv() => match change {
                Some(change) => {
                    engine.take(change);
                    while let Ok(change) = changes.try_recv() {
                        engine.take(change);
                    }
                }
                None => break Err(ControllerError::WatchesEnded),
            },
            () = wait(engine.due()) => engine.refresh().await,
            () = engine.plane.changed() => {
                engine.plane.catch_up().await;
                engine.renew_statuses();
            }
            () = wait(selectors_due) => engine.select_pods().await,
            () = engine.resolver.changed() => engine.renew_endpoints().await,
            done = engine.writer.next() => if let Some(done) = done {
                engine.writer.finish(done, &mut engine.objects);
                engine.look_at_live();
            },
            // Without a lease, the sender is gone and nothing changes after the first time.
            Ok(()) = leadership.changed() => {
                let now = leadership.borrow_and_update().clone();
                engine.lead(now).await;
            }
        }
    };
    discovery.abort();
    engine.writer.lead(false, &engine.objects);
    engine.writer.settle().await;
    if let Some(election) = election {
        election.resign().await;
    }
    result
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Tells which kinds are served, whenever that changes.
async fn discover(client: Client, found: mpsc::Sender<ServedKinds>) {
    let mut before = None;
    loop {
        match timely(served_kinds(&client)).await {
            Ok(served) if before.as_ref() != Some(&served) => {
                before = Some(served.clone());
                if found.send(served).await.is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the API server does not tell which kinds it has"),
        }
        tokio::time::sleep(DISCOVERY_INTERVAL).await;
    }
}

struct Engine<P> {
    client: Client,
    settings: Settings,
    /// Without regard to what the cluster serves.
    capabilities: Capabilities,
    translator: Translator,
    objects: Objects,
    served: ServedKinds,
    /// Kinds of which the first list is not complete. Nothing is published before that.
    awaited: Option<BTreeSet<KindKey>>,
    plane: P,
    writer: Writer,
    announcer: Announcer,
    resolver: Resolver,
    selectors: Selectors,
    translation: Translation,
    ir: Arc<IrSet>,
    endpoints: Arc<EndpointMap>,
    leadership: Leadership,
    sequence: u64,
    snapshot_changed: bool,
    endpoints_changed: bool,
    /// When the first of the changes came that are not translated yet, and the last.
    changed_at: Option<(Instant, Instant)>,
    counters: Arc<Counters>,
    view: watch::Sender<View>,
}

impl<P: DataPlane> Engine<P> {
    fn new(
        client: Client,
        settings: Settings,
        plane: P,
        instance: &str,
        counters: Arc<Counters>,
        view: watch::Sender<View>,
    ) -> Self {
        let name = &settings.controller_name;
        let writer = Writer::new(client.clone(), name, Arc::clone(&counters));
        let announcer = Announcer::new(client.clone(), name, instance, Arc::clone(&counters));
        let selectors = Selectors::new(client.clone(), name);
        Self {
            client,
            capabilities: settings.capabilities,
            settings,
            translator: Translator::default(),
            objects: Objects::default(),
            served: ServedKinds::new(),
            awaited: None,
            plane,
            writer,
            announcer,
            resolver: Resolver::default(),
            selectors,
            translation: Translation::default(),
            ir: Arc::default(),
            endpoints: Arc::default(),
            leadership: Leadership::default(),
            sequence: 0,
            snapshot_changed: false,
            endpoints_changed: false,
            changed_at: None,
            counters,
            view,
        }
    }

    /// Other kinds are served than before.
    fn follow(&mut self, served: ServedKinds, ended: Vec<KindKey>) {
        for kind in ended.into_iter().filter(|kind| !served.contains_key(kind)) {
            self.take(Change { kind, news: News::Gone });
        }
        if self.awaited.is_none() {
            self.awaited = Some(served.keys().copied().collect());
        }
        let bundles =
            self.capabilities.cluster_trust_bundles && served.contains_key(&TRUST_BUNDLES);
        if bundles != self.settings.capabilities.cluster_trust_bundles {
            self.settings.capabilities.cluster_trust_bundles = bundles;
            self.snapshot_changed = true;
            self.touch();
        }
        self.served = served;
    }

    /// Takes in what a watch told.
    fn take(&mut self, change: Change) {
        self.counters.changes.add(1);
        if let Some(awaited) = &mut self.awaited {
            match change.news {
                News::All(_) | News::Unreadable | News::Gone => {
                    if awaited.remove(&change.kind) && awaited.is_empty() {
                        tracing::info!(objects = self.objects.len(), "everything is read");
                        self.snapshot_changed = true;
                        self.touch();
                    }
                }
                News::Applied(_) | News::Deleted(_) => {}
            }
        }
        self.objects.apply(change);
        self.counters.objects.set(u64::try_from(self.objects.len()).unwrap_or_default());
        self.look_at_live();
        if !self.objects.to_fetch().is_empty() {
            self.touch();
        }
    }

    /// Sorts out what changed among the objects.
    fn look_at_live(&mut self) {
        let dirty = self.objects.take_dirty();
        self.writer.look_at(dirty.live);
        if dirty.snapshot || dirty.endpoints {
            self.snapshot_changed |= dirty.snapshot;
            self.endpoints_changed |= dirty.endpoints;
            self.touch();
        }
    }

    fn touch(&mut self) {
        let now = Instant::now();
        let first = self.changed_at.map_or(now, |(first, _)| first);
        self.changed_at = Some((first, now));
    }

    /// When the changes should be translated.
    fn due(&self) -> Option<Instant> {
        if self.awaited.as_ref().is_none_or(|awaited| !awaited.is_empty()) {
            return None;
        }
        let (first, last) = self.changed_at?;
        Some((last + DEBOUNCE_QUIET).min(first + DEBOUNCE_LONGEST))
    }

    /// Makes everything current.
    async fn refresh(&mut self) {
        self.fetch().await;
        self.changed_at = None;
        let dirty = self.objects.take_dirty();
        self.writer.look_at(dirty.live);
        let translate = std::mem::take(&mut self.snapshot_changed) || dirty.snapshot;
        if translate {
            self.translate();
        }
        if translate || std::mem::take(&mut self.endpoints_changed) || dirty.endpoints {
            self.publish(translate).await;
        }
        if translate {
            self.renew_statuses();
            self.select_pods().await;
        }
    }

    fn selectors_due(&self) -> Option<Instant> {
        self.leadership.epoch.and_then(|_| self.selectors.due())
    }

    /// Gives XBackends what their pods are found by; one controller does, the leader.
    async fn select_pods(&mut self) {
        if self.leadership.epoch.is_some() {
            self.selectors.reconcile(self.objects.snapshot(), &self.endpoints).await;
        }
    }

    /// Reads the Secrets, ConfigMaps and ClusterTrustBundles that are referred to and not known as they are now.
    async fn fetch(&mut self) {
        let client = &self.client;
        let served = &self.served;
        let reads = self.objects.to_fetch().into_iter().filter_map(|reference| {
            let kind = served
                .iter()
                .find(|(key, _)| key.0 == &*reference.group && key.1 == &*reference.kind);
            let kind = kind?.1.clone();
            let api: Api<DynamicObject> = if reference.namespace.is_empty() {
                Api::all_with(client.clone(), &kind.resource)
            } else {
                Api::namespaced_with(client.clone(), &reference.namespace, &kind.resource)
            };
            Some(async move {
                let answer = timely(api.get_opt(&reference.name)).await;
                (reference, kind, answer)
            })
        });
        let answers: Vec<_> = stream::iter(reads).buffer_unordered(FETCHES).collect().await;
        for (reference, kind, answer) in answers {
            match answer {
                Ok(found) => {
                    let found = found.and_then(|object| read_fetched(object, &kind));
                    self.objects.put_fetched(&reference, found);
                }
                Err(error) => {
                    tracing::warn!(object = %reference, %error, "it cannot be read");
                    self.objects.put_fetched(&reference, None);
                }
            }
        }
    }

    fn translate(&mut self) {
        let started = Instant::now();
        self.translation = self.translator.update(self.objects.snapshot(), &self.settings);
        if self.settings.placement == Placement::Shared {
            self.settings.held = held(&self.translation.ir);
        }
        self.plane.translated(&self.translation, self.objects.snapshot());
        let elapsed = started.elapsed();
        self.counters.translations.add(1);
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.counters.translation_microseconds.add(micros);
        tracing::debug!(?elapsed, lowered = self.translator.lowered_routes(), "translated");
    }

    /// Tells the data planes what differs.
    async fn publish(&mut self, translated: bool) {
        let snapshot = self.objects.snapshot();
        if translated {
            self.resolver.want(translate::endpoints::names(&self.translation.ir, snapshot));
        }
        let endpoints = Arc::new(translate::endpoint_map(
            &self.translation.ir,
            snapshot,
            &self.objects.slices(),
            self.resolver.found(),
            self.settings.backend_addresses,
        ));
        let same_endpoints = endpoints == self.endpoints;
        self.endpoints = endpoints;
        if self.sequence > 0 && (!translated || *self.ir == self.translation.ir) {
            if !same_endpoints {
                self.plane.publish_endpoints(&self.endpoints).await;
            }
            return;
        }
        self.ir = Arc::new(self.translation.ir.clone());
        self.issue().await;
    }

    /// The present configuration as a new revision.
    async fn issue(&mut self) {
        self.sequence = self.sequence.saturating_add(1);
        let revision =
            Revision { epoch: self.leadership.epoch.unwrap_or_default(), sequence: self.sequence };
        let publication = Publication {
            revision,
            ir: &self.ir,
            endpoints: &self.endpoints,
            translation: &self.translation,
            snapshot: self.objects.snapshot(),
        };
        self.plane.publish(publication).await;
        tracing::debug!(%revision, "published");
    }

    /// Host names have other addresses.
    async fn renew_endpoints(&mut self) {
        if self.sequence > 0 {
            self.publish(false).await;
        }
    }

    /// Writes what running and translation say now.
    fn renew_statuses(&mut self) {
        if self.sequence == 0 {
            return;
        }
        let facts = self.plane.facts();
        let statuses = translate::finish(&self.translation, &facts);
        let mut findings = self.translation.diagnostics.clone();
        findings.extend(translate::runtime_diagnostics(&self.translation, &facts));
        self.writer.hold(self.plane.unsettled());
        self.writer.want(statuses.clone());
        self.announcer.tell(&findings, &self.objects);
        self.view.send_modify(|view| {
            view.ready = true;
            view.statuses = Arc::new(statuses);
            view.findings = Arc::new(findings);
        });
    }

    /// Somebody else leads, or we do.
    async fn lead(&mut self, leadership: Leadership) {
        self.counters.leading.set(u64::from(leadership.epoch.is_some()));
        self.plane.follow(&leadership);
        self.writer.lead(leadership.epoch.is_some(), &self.objects);
        self.announcer.lead(leadership.epoch.is_some());
        self.view.send_modify(|view| view.leadership = leadership.clone());
        self.leadership = leadership;
        // Revisions of an epoch before would be refused.
        if self.leadership.epoch.is_some() && self.sequence > 0 {
            self.issue().await;
            self.renew_statuses();
            self.select_pods().await;
        }
    }
}

/// The addresses that Gateways have now: they keep them in the next translation.
fn held(ir: &IrSet) -> BTreeMap<ObjectName, Vec<BindAddress>> {
    let mut held = BTreeMap::new();
    for listener in ir.listeners.values() {
        let gateway: &ObjectRef = &listener.gateway;
        let name = ObjectName::new(Arc::clone(&gateway.namespace), Arc::clone(&gateway.name));
        held.insert(name, listener.addresses.clone());
    }
    held
}
