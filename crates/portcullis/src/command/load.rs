//! Reading PATHs and translating what they hold: the beginning of every command.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use anyhow::Result;
use api::EndpointSlice;
use source::{Reader, SourceIssue, Store};
use translate::{Facts, PortFact, Settings, Severity, Snapshot, Statuses, Translation};

use crate::render::{
    self,
    report::{self, Report, Texts},
};

/// What a command is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) paths: &'a [PathBuf],
    /// Files that only supply what `paths` refer to.
    pub(crate) with: &'a [PathBuf],
    /// What is not there is unknown, not missing.
    pub(crate) open: bool,
    /// What is missing gets stand-ins, without backends that answer.
    pub(crate) demo: bool,
}

/// What the PATHs hold, translated once.
pub(crate) struct Loaded {
    pub(crate) store: Store,
    pub(crate) issues: Vec<SourceIssue>,
    pub(crate) snapshot: Snapshot,
    pub(crate) slices: Vec<Arc<EndpointSlice>>,
    pub(crate) translation: Translation,
    /// Names of the files that only supply.
    pub(crate) supplied: BTreeSet<Arc<str>>,
}

/// Reads everything once and translates.
pub(crate) fn load(inputs: &Inputs<'_>, settings: &Settings) -> Result<Loaded> {
    let mut stdin = io::stdin().lock();
    let mut contents = Reader::new(inputs.paths, &mut stdin).read();
    let with = Reader::new(inputs.with, &mut stdin).read();
    let own: BTreeSet<Arc<str>> =
        contents.files.iter().map(|file| Arc::clone(&file.path)).collect();
    let mut supplied = BTreeSet::new();
    for file in with.files.into_iter().filter(|file| !own.contains(&file.path)) {
        supplied.insert(Arc::clone(&file.path));
        contents.files.push(file);
    }
    contents.issues.extend(with.issues);
    let mut store = Store::new(source::Settings { backends: Vec::new(), open: inputs.open });
    let load = store.load(contents);
    let mut snapshot = store.snapshot();
    let mut slices = store.endpoint_slices().to_vec();
    if inputs.demo {
        crate::demo::stand_in_offline(&mut snapshot, &mut slices, settings)?;
    }
    let translation = translate::translate(&snapshot, settings);
    Ok(Loaded { store, issues: load.issues, snapshot, slices, translation, supplied })
}

impl Loaded {
    /// The texts that places point into.
    pub(crate) fn texts(&self) -> Texts {
        self.store.files().map(|(file, text)| (Arc::clone(file), Arc::clone(text))).collect()
    }

    /// Endpoints as `serve` would have them.
    pub(crate) fn endpoints(&self, settings: &Settings) -> ir::EndpointMap {
        translate::endpoints::endpoint_map(
            &self.translation.ir,
            &self.snapshot,
            &self.slices,
            &translate::endpoints::Names::new(),
            settings.backend_addresses,
        )
    }

    /// Statuses as `serve` would write them once every port is bound.
    pub(crate) fn statuses(&self) -> Statuses {
        let table = ir::assemble(&self.translation.ir, ir::Revision::default(), None);
        let ports = table.ports.keys().map(|key| (*key, PortFact::Bound)).collect();
        let facts = Facts {
            ports,
            acknowledged: true,
            machine_addresses: machine_addresses(),
            ..Facts::default()
        };
        translate::finish(&self.translation, &facts)
    }

    /// Prints what is wrong with the files themselves to standard error; true if anything is.
    pub(crate) fn complain(&self) -> bool {
        let errors = self.issues.iter().filter(|issue| issue.severity == Severity::Error);
        let errors: Vec<Report> = errors.map(Report::from_issue).collect();
        if !errors.is_empty() {
            render::note(report::text(&errors, &self.texts()).trim_end());
        }
        !errors.is_empty()
    }
}

/// 1 when something is wrong, whatever else was printed.
pub(crate) fn exit(wrong: bool) -> ExitCode {
    if wrong { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

/// The settings of an offline command: what `serve` would use by default.
pub(crate) fn settings(class: Option<&str>, controller_name: &str) -> Settings {
    Settings {
        class: class.map(str::to_owned),
        controller_name: controller_name.to_owned(),
        ..Settings::default()
    }
}

/// Where a Gateway that listens on every address is reached from this machine.
pub(crate) fn machine_addresses() -> Vec<IpAddr> {
    vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]
}
