//! Events (`events.k8s.io/v1`): what users must know, where `kubectl describe` shows it.
//!
//! Each finding is told once while it lasts. The name of an event is made of what it says, so that
//! a new leader repeats nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use aws_lc_rs::digest;
use ir::ObjectRef;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::task::JoinSet;
use translate::{Diagnostic, Severity};

use crate::{
    limits::{EVENT_NOTE_BYTES, EVENT_WINDOW, EVENTS_KNOWN, EVENTS_MAX},
    metrics::Counters,
    objects::Objects,
    status::{Failure, timely},
};

/// Where events of objects without a namespace are.
const CLUSTER_NAMESPACE: &str = "default";

/// Tells findings, each once.
pub struct Announcer {
    client: Client,
    controller_name: Arc<str>,
    instance: String,
    counters: Arc<Counters>,
    leading: bool,
    told: BTreeSet<String>,
    /// How often an event was written, by its name.
    counts: BTreeMap<String, u32>,
    /// Since when events are counted, and how many there were.
    window: (Instant, usize),
    tasks: JoinSet<()>,
}

/// An event that is about to be written.
struct Event {
    namespace: String,
    name: String,
    count: u32,
    body: serde_json::Value,
}

impl Announcer {
    pub fn new(
        client: Client,
        controller_name: &str,
        instance: &str,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            client,
            controller_name: controller_name.into(),
            instance: instance.to_owned(),
            counters,
            leading: false,
            told: BTreeSet::new(),
            counts: BTreeMap::new(),
            window: (Instant::now(), 0),
            tasks: JoinSet::new(),
        }
    }

    /// Begins or ends to tell.
    pub fn lead(&mut self, leading: bool) {
        self.leading = leading;
        if !leading {
            self.told.clear();
        }
    }

    /// Tells what was not found before.
    pub fn tell(&mut self, findings: &[Diagnostic], objects: &Objects) {
        while self.tasks.try_join_next().is_some() {}
        if !self.leading {
            return;
        }
        let mut now = BTreeSet::new();
        for finding in findings.iter().filter(|finding| finding.severity() != Severity::Note) {
            let object = &finding.origin.object;
            let Some(uid) = objects.uid(object) else { continue };
            let key = format!("{uid} {:?} {}", finding.code, finding.message);
            if !self.told.contains(&key) {
                self.write(finding, &uid, &key);
            }
            now.insert(key);
        }
        self.told = now;
    }

    fn write(&mut self, finding: &Diagnostic, uid: &str, key: &str) {
        if self.window.0.elapsed() >= EVENT_WINDOW {
            self.window = (Instant::now(), 0);
        }
        if self.window.1 >= EVENTS_MAX {
            self.counters.events_dropped.add(1);
            return;
        }
        self.window.1 = self.window.1.saturating_add(1);
        let event = self.event(finding, uid, key);
        let (client, counters) = (self.client.clone(), Arc::clone(&self.counters));
        self.tasks.spawn(async move {
            match event.write(client).await {
                Ok(()) => counters.events.add(1),
                Err(error) => tracing::debug!(%error, "an event cannot be written"),
            }
        });
    }

    fn event(&mut self, finding: &Diagnostic, uid: &str, key: &str) -> Event {
        let object = &finding.origin.object;
        let namespace = match &*object.namespace {
            "" => CLUSTER_NAMESPACE.to_owned(),
            namespace => namespace.to_owned(),
        };
        let name = name(object, key);
        if self.counts.len() >= EVENTS_KNOWN {
            self.counts.clear();
        }
        let count = self.counts.entry(name.clone()).or_default();
        *count = count.saturating_add(1);
        let count = *count;
        let info = api::kinds::find(&object.group, &object.kind);
        let version = info.and_then(|info| info.versions.first()).map_or("v1", |found| found.name);
        let body = json!({
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": { "name": name, "namespace": namespace },
            "eventTime": micro_now(),
            "action": "Translate",
            "reason": format!("{:?}", finding.code),
            "note": note(finding),
            "type": "Warning",
            "reportingController": &*self.controller_name,
            "reportingInstance": self.instance,
            "regarding": {
                "apiVersion": api::resource::api_version(&object.group, version),
                "kind": &*object.kind,
                "namespace": &*object.namespace,
                "name": &*object.name,
                "uid": uid,
            },
        });
        Event { namespace, name, count, body }
    }
}

impl Event {
    async fn write(self, client: Client) -> Result<(), Failure> {
        let resource = ApiResource {
            group: "events.k8s.io".to_owned(),
            version: "v1".to_owned(),
            api_version: "events.k8s.io/v1".to_owned(),
            kind: "Event".to_owned(),
            plural: "events".to_owned(),
        };
        let api: Api<DynamicObject> = Api::namespaced_with(client, &self.namespace, &resource);
        let event: DynamicObject = match serde_json::from_value(self.body) {
            Ok(event) => event,
            // It was made here, of texts alone.
            Err(error) => return Err(Failure::Other(Box::new(kube::Error::SerdeError(error)))),
        };
        match timely(api.create(&PostParams::default(), &event)).await {
            Err(Failure::Answer(status)) if status.code == 409 => {}
            other => return other.map(drop),
        }
        // Told before, by us or by the leader before.
        let series = json!({
            "series": { "count": self.count.max(2), "lastObservedTime": micro_now() },
        });
        let params = PatchParams::default();
        timely(api.patch(&self.name, &params, &Patch::Merge(series))).await.map(drop)
    }
}

fn name(object: &ObjectRef, key: &str) -> String {
    let digest = digest::digest(&digest::SHA256, key.as_bytes());
    let hash: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    // 253 letters at most, and names of objects are letters that may end anywhere but in a dot.
    let start: String = object.name.chars().take(200).collect();
    format!("{}.{hash}", start.trim_end_matches(['.', '-']))
}

fn note(finding: &Diagnostic) -> String {
    let field = &finding.origin.field;
    let place = if field.is_empty() { String::new() } else { format!("{field}: ") };
    let mut note = format!("{} {place}{}", finding.code.id(), finding.sentence());
    while note.len() > EVENT_NOTE_BYTES {
        note.pop();
    }
    note
}

fn micro_now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
