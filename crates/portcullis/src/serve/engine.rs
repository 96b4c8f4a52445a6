//! From what the files hold to what is served.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use analyze::lint::Level;
use anyhow::Result;
use api::ObjectName;
use ir::{BindAddress, EndpointMap, IrSet, Revision, Update};
use source::{Reader, Store};
use translate::{Facts, PortFact, Settings, Translation, Translator};

use super::{Options, Shared};
use crate::{
    command::load::machine_addresses,
    config::Config,
    demo::Demo,
    render::{
        self,
        report::{self, Report, Texts},
    },
};

/// Time between two tries to bind a port that another process held.
const PORT_RETRY: Duration = Duration::from_secs(5);

/// Owns the store and the translation; nothing else changes what is served.
pub(crate) struct Engine {
    reader: Reader,
    store: Store,
    settings: Settings,
    translator: Translator,
    demo: Option<Demo>,
    shared: Shared,
    served: Served,
    facts: Facts,
    /// Reports already printed, so that an unchanged finding is not repeated on each change.
    told: BTreeSet<String>,
    sequence: u64,
    /// When ports that could not be bound are tried again.
    retry_at: Option<Instant>,
}

/// What the data plane was last told.
#[derive(Default)]
struct Served {
    translation: Translation,
    ir: Arc<IrSet>,
    endpoints: Arc<EndpointMap>,
}

impl Engine {
    pub(crate) fn new(options: &Options, config: &Config, shared: Shared) -> Self {
        let store_settings = source::Settings { backends: options.backends.clone(), open: false };
        Self {
            reader: Reader::new(&options.paths, &mut io::stdin().lock()),
            store: Store::new(store_settings),
            settings: Settings {
                controller_name: config.controller_name.value.clone(),
                class: config.class.value.clone(),
                addresses: config.address.value.clone(),
                port_offset: config.port_offset.value,
                ..Settings::default()
            },
            translator: Translator::default(),
            demo: options.demo.then(Demo::default),
            shared,
            served: Served::default(),
            facts: Facts::default(),
            told: BTreeSet::new(),
            sequence: 0,
            retry_at: None,
        }
    }

    /// Reads the files and makes what changed current, as one revision.
    pub(crate) async fn reload(&mut self) -> Result<()> {
        let started = Instant::now();
        let load = self.store.load(self.reader.read());
        let mut reports: Vec<Report> = load.issues.iter().map(Report::from_issue).collect();
        let loaded = started.elapsed();
        if load.changed || self.sequence == 0 {
            let (translation, endpoints) = self.translate().await?;
            let translated = started.elapsed();
            self.publish(translation, endpoints).await;
            let revision = self.revision();
            tracing::info!(%revision, elapsed = ?started.elapsed(), "serving");
            tracing::debug!(?loaded, ?translated, "since the change was seen");
        }
        let diagnostics = self.served.translation.diagnostics.iter();
        reports.extend(diagnostics.map(|found| Report::from_diagnostic(found, &self.store)));
        reports.extend(self.port_reports());
        self.tell(&reports);
        self.shared.published.borrow_mut().findings = reports.iter().map(report::json).collect();
        Ok(())
    }

    /// The translation of the present snapshot, and its endpoints.
    async fn translate(&mut self) -> Result<(Translation, EndpointMap)> {
        let mut snapshot = self.store.snapshot();
        let mut slices = self.store.endpoint_slices().to_vec();
        if let Some(demo) = &mut self.demo {
            demo.stand_in(&mut snapshot, &mut slices, &self.settings).await?;
        }
        let mut translation = self.translator.update(&snapshot, &self.settings);
        self.settings.held = held(&translation.ir);
        if self.demo.is_some() {
            crate::demo::name_routes(&mut translation.ir);
        }
        let allowed = self.settings.backend_addresses;
        let names = translate::endpoints::Names::new();
        let endpoints = translate::endpoints::endpoint_map(
            &translation.ir,
            &snapshot,
            &slices,
            &names,
            allowed,
        );
        Ok((translation, endpoints))
    }

    /// Tells the data plane what differs: endpoints alone, or a new table.
    async fn publish(&mut self, translation: Translation, endpoints: EndpointMap) {
        let endpoints = Arc::new(endpoints);
        let same_table = self.sequence > 0 && *self.served.ir == translation.ir;
        let same_endpoints = self.served.endpoints == endpoints;
        if same_table {
            if !same_endpoints {
                self.shared.proxy.endpoints(&endpoints).await;
            }
            self.served.translation = translation;
            self.served.endpoints = Arc::clone(&endpoints);
            self.shared.published.borrow_mut().endpoints = endpoints;
            self.renew_statuses();
            return;
        }
        let ir = Arc::new(translation.ir.clone());
        // Held until the new revision serves: freeing thousands of objects takes its time.
        let before = std::mem::replace(&mut self.served, Served { translation, ir, endpoints });
        self.apply().await;
        drop(before);
    }

    /// Sends the present table as a new revision.
    async fn apply(&mut self) {
        self.sequence = self.sequence.saturating_add(1);
        let previous = Arc::clone(&self.shared.published.borrow().table);
        let table = ir::assemble(&self.served.ir, self.revision(), Some(&previous));
        let table = Arc::new(table);
        let endpoints = Some(Arc::clone(&self.served.endpoints));
        let assembled = Instant::now();
        let ack = self.shared.proxy.apply(Update { table: Arc::clone(&table), endpoints }).await;
        tracing::debug!(elapsed = ?assembled.elapsed(), "every worker swapped its table");
        self.retry_at =
            ack.ports.iter().any(|port| port.result.is_err()).then(|| Instant::now() + PORT_RETRY);
        {
            let mut published = self.shared.published.borrow_mut();
            published.table = table;
            published.endpoints = Arc::clone(&self.served.endpoints);
            published.revision = Some(ack.revision);
            published.reloads = published.reloads.saturating_add(1);
        }
        drop(previous);
        self.facts = Facts::from_ack(&ack);
        self.facts.machine_addresses = machine_addresses();
        self.renew_statuses();
    }

    fn renew_statuses(&self) {
        let statuses = translate::finish(&self.served.translation, &self.facts);
        self.shared.published.borrow_mut().statuses = statuses;
    }

    /// Ports that another process holds, as findings.
    fn port_reports(&self) -> Vec<Report> {
        let failures = translate::runtime_diagnostics(&self.served.translation, &self.facts);
        failures.iter().map(|found| Report::from_diagnostic(found, &self.store)).collect()
    }

    /// Waits until ports that could not be bound should be tried again; forever if there are none.
    pub(crate) async fn retry_due(&self) {
        match self.retry_at {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }

    pub(crate) async fn retry_ports(&mut self) -> Result<()> {
        self.apply().await;
        Ok(())
    }

    /// Prints what was not printed before, and how many findings are mended.
    fn tell(&mut self, reports: &[Report]) {
        let texts = self.texts();
        let mut now = BTreeSet::new();
        let mut news = Vec::new();
        for report in reports.iter().filter(|report| report.level < Level::Note) {
            let key = format!("{} {:?} {}", report.code, report.origin, report.message);
            if !self.told.contains(&key) {
                news.push(report.clone());
            }
            now.insert(key);
        }
        let mended = self.told.difference(&now).count();
        if !news.is_empty() {
            render::note(report::text(&news, &texts).trim_end());
        }
        if mended > 0 {
            tracing::info!(findings = mended, "no longer found");
        }
        self.told = now;
    }

    fn texts(&self) -> Texts {
        self.store.files().map(|(file, text)| (Arc::clone(file), Arc::clone(text))).collect()
    }

    fn revision(&self) -> Revision {
        Revision { epoch: 0, sequence: self.sequence }
    }

    pub(crate) fn ir(&self) -> &IrSet {
        &self.served.ir
    }

    /// Whether another process, or the operating system, keeps the listener from the port.
    pub(crate) fn is_refused(&self, address: BindAddress, port: u16) -> bool {
        self.facts.ports.iter().any(|(key, fact)| {
            (key.address, key.port) == (address, port) && matches!(fact, PortFact::Failed(_))
        })
    }

    pub(crate) fn demo(&self) -> Option<&Demo> {
        self.demo.as_ref()
    }
}

/// The addresses that Gateways have now: they keep them in the next translation.
fn held(ir: &IrSet) -> BTreeMap<ObjectName, Vec<BindAddress>> {
    let mut held = BTreeMap::new();
    for listener in ir.listeners.values() {
        let gateway = &listener.gateway;
        let name = ObjectName::new(Arc::clone(&gateway.namespace), Arc::clone(&gateway.name));
        held.insert(name, listener.addresses.clone());
    }
    held
}
