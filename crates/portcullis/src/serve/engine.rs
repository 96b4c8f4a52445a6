//! From what the files hold to what is served.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use analyze::lint::Level;
use anyhow::Result;
use api::{EndpointSlice, ObjectName};
use ir::{BindAddress, EndpointMap, IrSet};
use proxy::ProxyHandle;
use source::{Reader, Store, names::Resolver};
use translate::{Settings, Snapshot, Translation, Translator};

use super::{Local, Options, Shared};
use crate::{
    command::load::machine_addresses,
    config::Config,
    demo::Demo,
    render::{
        self,
        report::{self, Report, Texts},
    },
};

/// What is due.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Due {
    Ports,
    Names,
}

/// Owns the store and the translation; nothing else changes what is served.
pub(crate) struct Engine {
    reader: Reader,
    store: Store,
    settings: Settings,
    translator: Translator,
    demo: Option<Demo>,
    shared: Shared,
    translation: Translation,
    /// What the translation was made from, stand-ins included, and the endpoints beside it.
    snapshot: Snapshot,
    slices: Vec<Arc<EndpointSlice>>,
    /// Host names of backends and their addresses.
    names: Resolver,
    plane: Local,
    /// Reports already printed, so that an unchanged finding is not repeated on each change.
    told: BTreeSet<String>,
}

impl Engine {
    pub(crate) fn new(
        options: &Options,
        config: &Config,
        proxy: Rc<ProxyHandle>,
        shared: Shared,
    ) -> Self {
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
            plane: Local::new(proxy, Rc::clone(&shared.published), machine_addresses()),
            shared,
            translation: Translation::default(),
            snapshot: Snapshot::default(),
            slices: Vec::new(),
            names: Resolver::default(),
            told: BTreeSet::new(),
        }
    }

    /// Reads the files and makes what changed current, as one revision.
    pub(crate) async fn reload(&mut self) -> Result<()> {
        let started = Instant::now();
        let load = self.store.load(self.reader.read());
        let mut reports: Vec<Report> = load.issues.iter().map(Report::from_issue).collect();
        let loaded = started.elapsed();
        if load.changed || !self.plane.serves() {
            let (translation, endpoints) = self.translate().await?;
            let translated = started.elapsed();
            self.publish(translation, endpoints).await;
            let revision = self.plane.revision();
            tracing::info!(%revision, elapsed = ?started.elapsed(), "serving");
            tracing::debug!(?loaded, ?translated, "since the change was seen");
        }
        let diagnostics = self.translation.diagnostics.iter();
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
            self.shared.published.borrow_mut().demo = demo.files();
        }
        let mut translation = self.translator.update(&snapshot, &self.settings);
        self.settings.held = held(&translation.ir);
        if self.demo.is_some() {
            crate::demo::name_routes(&mut translation.ir);
        }
        (self.snapshot, self.slices) = (snapshot, slices);
        self.names.want(translate::endpoints::names(&translation.ir, &self.snapshot));
        let endpoints = self.endpoints(&translation.ir);
        Ok((translation, endpoints))
    }

    fn endpoints(&self, ir: &IrSet) -> EndpointMap {
        translate::endpoint_map(
            ir,
            &self.snapshot,
            &self.slices,
            self.names.found(),
            self.settings.backend_addresses,
        )
    }

    /// Tells the data plane what differs: endpoints alone, or a new table.
    async fn publish(&mut self, translation: Translation, endpoints: EndpointMap) {
        let endpoints = Arc::new(endpoints);
        if self.plane.serves() && **self.plane.ir() == translation.ir {
            self.plane.publish_endpoints(&endpoints).await;
            self.translation = translation;
        } else {
            let ir = Arc::new(translation.ir.clone());
            // Held until the new revision serves: freeing thousands of objects takes its time.
            let before = std::mem::replace(&mut self.translation, translation);
            self.plane.publish(&ir, &endpoints).await;
            drop(before);
        }
        self.renew_statuses();
    }

    fn renew_statuses(&self) {
        let statuses = translate::finish(&self.translation, self.plane.facts());
        self.shared.published.borrow_mut().statuses = statuses;
    }

    /// Ports that another process holds, as findings.
    fn port_reports(&self) -> Vec<Report> {
        let failures = translate::runtime_diagnostics(&self.translation, self.plane.facts());
        failures.iter().map(|found| Report::from_diagnostic(found, &self.store)).collect()
    }

    /// Waits until something other than the files asks for work: ports that could not be bound are
    /// to be tried again, or a host name has other addresses. May be dropped at any time.
    pub(crate) async fn due(&mut self) -> Due {
        tokio::select! {
            () = self.plane.retry_due() => Due::Ports,
            () = self.names.changed() => Due::Names,
        }
    }

    pub(crate) async fn work(&mut self, due: Due) {
        match due {
            Due::Ports => {
                self.plane.retry().await;
                self.renew_statuses();
            }
            Due::Names => {
                let endpoints = Arc::new(self.endpoints(self.plane.ir()));
                self.plane.publish_endpoints(&endpoints).await;
            }
        }
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

    pub(crate) fn ir(&self) -> &IrSet {
        self.plane.ir()
    }

    /// Whether another process, or the operating system, keeps the listener from the port.
    pub(crate) fn is_refused(&self, address: BindAddress, port: u16) -> bool {
        self.plane.is_refused(address, port)
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
