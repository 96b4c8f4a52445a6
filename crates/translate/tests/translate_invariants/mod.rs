//! What holds for any text that is translated; shared with the fuzz target.
//!
//! The first byte chooses the settings ([`Choice`]), the rest is a file. Two ways lead from it to
//! a snapshot: the store, which refuses what an API server would refuse, and plain decoding,
//! because a cluster may hold objects that other versions of the schema admitted.

use std::sync::Arc;

use api::EndpointSlice;
use ir::{PortKey, Revision};
use source::{Contents, Store};
use translate::{
    BackendAddresses, Capabilities, Facts, PortFact, Settings, Snapshot, StatusBody, Statuses,
    Translation, Translator, endpoint_map, endpoints, finish, runtime_diagnostics, translate,
};

/// The most that the API server takes for the message of a condition, in bytes.
const MESSAGE_BYTES_MAX: usize = 32_768;
/// Longer inputs only repeat what shorter ones show.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// What the first byte says, bit by bit; the digit `0` stands for the defaults.
struct Choice {
    all_capabilities: bool,
    restricted: bool,
    open: bool,
    ports_fail: bool,
}

impl Choice {
    fn of(byte: u8) -> Self {
        let bit = |at: u8| byte >> at & 1 == 1;
        Self { all_capabilities: bit(0), restricted: bit(1), open: bit(2), ports_fail: bit(3) }
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        if self.all_capabilities {
            settings.capabilities = Capabilities::ALL;
        }
        if self.restricted {
            settings.backend_addresses = BackendAddresses::Restricted;
        }
        settings
    }
}

/// Translates `data` in all ways. Panics when something that always holds does not.
pub(crate) fn check(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    if data.len() > INPUT_BYTES_MAX {
        return;
    }
    let choice = Choice::of(*choice);
    let text = String::from_utf8_lossy(data);

    let mut store = Store::new(source::Settings { open: choice.open, ..Default::default() });
    store.load(Contents::from_texts([("input.yaml", &*text)]));
    let stored = store.snapshot();
    snapshot(&stored, store.endpoint_slices(), &choice);

    let mut decoded = Snapshot { open: choice.open, ..Snapshot::default() };
    let mut slices = Vec::new();
    for document in source::yaml::read(&text).documents {
        let read = api::Object::decode(&document.value);
        decoded.insert(&read.object, &read.issues);
        if let api::Object::EndpointSlice(slice) = read.object {
            slices.push(slice);
        }
    }
    snapshot(&decoded, &slices, &choice);

    // A translator that knew the one snapshot says of the other what a fresh one says.
    let settings = choice.settings();
    let mut translator = Translator::default();
    translator.update(&stored, &settings);
    assert_eq!(translator.update(&decoded, &settings), translate(&decoded, &settings));
}

/// Snapshot to table and statuses, twice.
fn snapshot(snapshot: &Snapshot, slices: &[Arc<EndpointSlice>], choice: &Choice) {
    let settings = choice.settings();
    let translation = translate(snapshot, &settings);
    let again = translate(snapshot, &settings);
    assert_eq!(translation, again, "the same snapshot, the same answer");
    assert_eq!(ir::dump(&translation.ir), ir::dump(&again.ir));

    let table = ir::assemble(&translation.ir, Revision { epoch: 1, sequence: 1 }, None);
    ir::assemble(&translation.ir, Revision { epoch: 1, sequence: 2 }, Some(&table));
    let names = endpoints::names(&translation.ir, snapshot);
    let loopback = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let names = names.into_iter().map(|name| (name, vec![loopback])).collect();
    endpoint_map(&translation.ir, snapshot, slices, &names, settings.backend_addresses);

    let facts = facts(&translation, choice.ports_fail);
    let statuses = finish(&translation, &facts);
    assert_eq!(statuses, finish(&again, &facts));
    judge(&translation.statuses);
    judge(&statuses);
    let running = runtime_diagnostics(&translation, &facts);
    for diagnostic in translation.diagnostics.iter().chain(&running) {
        message(&diagnostic.message);
    }
}

fn facts(translation: &Translation, fail: bool) -> Facts {
    let mut facts = Facts { acknowledged: true, ..Facts::default() };
    for listener in translation.ir.listeners.values() {
        for address in &listener.addresses {
            let transport = ir::PortKind::of(&listener.protocol).transport();
            let key = PortKey { address: *address, port: listener.bind_port, transport };
            let fact =
                if fail { PortFact::Failed(ir::BindFailure::InUse) } else { PortFact::Bound };
            facts.ports.insert(key, fact);
        }
    }
    facts
}

/// What an API server asks of a status.
fn judge(statuses: &Statuses) {
    for (object, status) in statuses {
        let mut lists = vec![status.conditions()];
        lists.extend(status.listeners().iter().map(|listener| &*listener.conditions));
        match &status.body {
            StatusBody::GatewayClass { .. }
            | StatusBody::Gateway { .. }
            | StatusBody::ListenerSet { .. } => {}
            StatusBody::Route { parents } => {
                lists.extend(parents.iter().map(|parent| &*parent.conditions));
            }
            StatusBody::Policy { ancestors } | StatusBody::Backend { ancestors } => {
                lists.extend(ancestors.iter().map(|ancestor| &*ancestor.conditions));
            }
        }
        for conditions in lists {
            for (at, condition) in conditions.iter().enumerate() {
                message(&condition.message);
                let twice = conditions.iter().skip(at + 1).any(|one| one.kind == condition.kind);
                assert!(!twice, "{object} has {} twice", condition.kind);
            }
        }
    }
}

fn message(text: &str) {
    assert!(text.len() <= MESSAGE_BYTES_MAX, "a message of {} bytes", text.len());
    assert!(!text.contains(['\n', '\r', '\0', '\u{1b}']), "a control byte in {text:?}");
    assert!(!text.contains("PRIVATE KEY"), "a key in {text:?}");
}
