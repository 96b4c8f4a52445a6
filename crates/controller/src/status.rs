//! Statuses are written here and nowhere else: only our own entries, only where they differ, and
//! only over what was read.
//!
//! Lists of parents and ancestors belong to several controllers and are atomic for the API server,
//! so a status is read, merged and written under its resource version; whoever else wrote in
//! between makes us begin again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use ir::ObjectRef;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use translate::{Status, StatusBody, Statuses, merge};

use crate::{
    limits::{REQUEST_TIMEOUT, STATUS_RETRY, STATUS_TRIES, STATUS_WRITES},
    metrics::Counters,
    objects::{Live, Objects},
};

/// Writes the statuses that are wanted, in the background.
pub struct Writer {
    client: Client,
    controller_name: Arc<str>,
    counters: Arc<Counters>,
    leading: bool,
    wanted: Statuses,
    /// Gateways that are not written for the moment.
    held: BTreeSet<Arc<ObjectRef>>,
    /// To be looked at.
    queue: BTreeSet<ObjectRef>,
    busy: BTreeSet<ObjectRef>,
    later: BTreeMap<ObjectRef, Instant>,
    tasks: JoinSet<Done>,
}

/// The end of one write.
pub struct Done {
    reference: ObjectRef,
    result: Result<Option<Live>, String>,
}

impl Writer {
    pub fn new(client: Client, controller_name: &str, counters: Arc<Counters>) -> Self {
        Self {
            client,
            controller_name: controller_name.into(),
            counters,
            leading: false,
            wanted: Statuses::new(),
            held: BTreeSet::new(),
            queue: BTreeSet::new(),
            busy: BTreeSet::new(),
            later: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Begins or ends to write. What is being written is finished either way.
    pub fn lead(&mut self, leading: bool, objects: &Objects) {
        if leading && !self.leading {
            self.queue.extend(objects.with_status().cloned());
        }
        self.leading = leading;
    }

    /// The statuses of these Gateways stay as they are if they say Programmed, until they are not
    /// named any longer.
    pub fn hold(&mut self, held: BTreeSet<Arc<ObjectRef>>) {
        let before = std::mem::replace(&mut self.held, held);
        let released = before.iter().filter(|object| !self.held.contains(*object));
        self.queue.extend(released.map(|object| (**object).clone()));
    }

    /// What is wanted from now on.
    pub fn want(&mut self, statuses: Statuses) {
        let before = std::mem::replace(&mut self.wanted, statuses);
        for (reference, status) in &self.wanted {
            if before.get(reference) != Some(status) {
                self.queue.insert((**reference).clone());
            }
        }
        for reference in before.keys().filter(|reference| !self.wanted.contains_key(*reference)) {
            self.queue.insert((**reference).clone());
        }
    }

    /// These objects were changed by somebody.
    pub fn look_at(&mut self, references: BTreeSet<ObjectRef>) {
        self.queue.extend(references);
    }

    /// Begins to write what differs.
    pub fn start(&mut self, objects: &Objects) {
        if !self.leading {
            return;
        }
        let now = Instant::now();
        let due: Vec<_> = self.later.iter().filter(|(_, at)| **at <= now).collect();
        let due: Vec<ObjectRef> = due.into_iter().map(|(reference, _)| reference.clone()).collect();
        for reference in due {
            self.later.remove(&reference);
            self.queue.insert(reference);
        }
        let mut waiting = BTreeSet::new();
        while let Some(reference) = self.queue.pop_first() {
            if self.tasks.len() >= STATUS_WRITES || self.busy.contains(&reference) {
                waiting.insert(reference);
                if self.tasks.len() >= STATUS_WRITES {
                    break;
                }
                continue;
            }
            self.consider(reference, objects);
        }
        self.queue.append(&mut waiting);
    }

    fn consider(&mut self, reference: ObjectRef, objects: &Objects) {
        let Some(live) = objects.live(&reference) else { return };
        if self.held.contains(&reference) && is_programmed(&live.status) {
            return;
        }
        let ours = match self.wanted.get(&reference) {
            Some(status) => Arc::clone(status),
            None if has_entries(&live.status, &self.controller_name) => {
                let Some(body) = no_entries(&reference.kind) else { return };
                Arc::new(Status { observed_generation: live.generation, body })
            }
            None => return,
        };
        // A translation of the present object is on its way.
        if live.generation != ours.observed_generation {
            return;
        }
        if merge(&live.status, &ours, &self.controller_name, &now()) == live.status {
            return;
        }
        self.busy.insert(reference.clone());
        let write = Write {
            client: self.client.clone(),
            controller_name: Arc::clone(&self.controller_name),
            counters: Arc::clone(&self.counters),
            ours,
        };
        let live = live.clone();
        self.tasks.spawn(async move {
            let result = write.run(&reference, live).await;
            Done { reference, result }
        });
    }

    /// The next write that came to its end, or a write that is due again.
    pub async fn next(&mut self) -> Option<Done> {
        let due = self.later.values().min().copied();
        let due = async {
            match due {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(done) = self.tasks.join_next() => done.ok(),
            () = due => None,
        }
    }

    /// Takes in the end of a write.
    pub fn finish(&mut self, done: Done, objects: &mut Objects) {
        let Done { reference, result } = done;
        self.busy.remove(&reference);
        match result {
            Ok(Some(live)) => objects.put_live(&reference, live),
            Ok(None) => {}
            Err(error) => {
                self.counters.status_errors.add(1);
                tracing::warn!(object = %reference, error, "the status cannot be written");
                self.later.insert(reference, Instant::now() + STATUS_RETRY);
            }
        }
    }

    /// Waits for what is being written.
    pub async fn settle(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// One status on its way to the API server.
struct Write {
    client: Client,
    controller_name: Arc<str>,
    counters: Arc<Counters>,
    ours: Arc<Status>,
}

impl Write {
    /// What is there afterwards; nothing when the object is gone.
    async fn run(&self, reference: &ObjectRef, mut live: Live) -> Result<Option<Live>, String> {
        let api = api(&self.client, reference, &live);
        for _ in 0..STATUS_TRIES {
            let merged = merge(&live.status, &self.ours, &self.controller_name, &now());
            if merged == live.status {
                return Ok(Some(live));
            }
            let patch = patch(&live, merged);
            let params = PatchParams::default();
            let request = api.patch_status(&reference.name, &params, &patch);
            match timely(request).await {
                Ok(object) => {
                    self.counters.status_writes.add(1);
                    return Ok(read(object, &live));
                }
                Err(Failure::Answer(status)) if status.is_not_found() => return Ok(None),
                Err(Failure::Answer(status)) if status.code == 409 => {
                    self.counters.status_conflicts.add(1);
                    let fresh = match timely(api.get_opt(&reference.name)).await {
                        Ok(Some(object)) => read(object, &live),
                        Ok(None) => None,
                        Err(failure) => return Err(failure.to_string()),
                    };
                    let Some(fresh) = fresh else { return Ok(None) };
                    let same = fresh.uid == live.uid && fresh.generation == live.generation;
                    live = fresh;
                    if !same {
                        return Ok(Some(live));
                    }
                }
                Err(failure) => return Err(failure.to_string()),
            }
        }
        Err(format!("somebody else wrote it {STATUS_TRIES} times at the same time"))
    }
}

fn read(object: DynamicObject, before: &Live) -> Option<Live> {
    let mut value = serde_json::to_value(object).ok()?;
    Some(Live::read(&mut value, &before.resource))
}

fn api(client: &Client, reference: &ObjectRef, live: &Live) -> Api<DynamicObject> {
    if reference.namespace.is_empty() {
        Api::all_with(client.clone(), &live.resource)
    } else {
        Api::namespaced_with(client.clone(), &reference.namespace, &live.resource)
    }
}

/// The whole status, under the version that it was made from. Fields that are gone are named, as a
/// merge patch asks for.
fn patch(live: &Live, mut merged: Value) -> Patch<Value> {
    if let (Some(before), Some(after)) = (live.status.as_object(), merged.as_object_mut()) {
        for name in before.keys() {
            if !after.contains_key(name) {
                after.insert(name.clone(), Value::Null);
            }
        }
    }
    Patch::Merge(json!({
        "metadata": { "resourceVersion": &*live.resource_version, "uid": &*live.uid },
        "status": merged,
    }))
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{}", .0.message)]
    Answer(Box<kube::core::Status>),
    #[error("{0}")]
    Other(Box<kube::Error>),
    #[error("no answer within {} s", REQUEST_TIMEOUT.as_secs())]
    Late,
}

/// A request with an end.
///
/// # Errors
/// Those of the request, and [`Failure::Late`].
pub async fn timely<T>(
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(kube::Error::Api(status))) => Err(Failure::Answer(status)),
        Ok(Err(error)) => Err(Failure::Other(Box::new(error))),
        Err(_) => Err(Failure::Late),
    }
}

/// Whether entries of ours are in the list of parents or ancestors.
fn has_entries(status: &Value, controller_name: &str) -> bool {
    ["parents", "ancestors"].iter().any(|list| {
        let entries = status.get(list).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        entries.iter().any(|entry| {
            entry.get("controllerName").and_then(Value::as_str) == Some(controller_name)
        })
    })
}

fn is_programmed(status: &Value) -> bool {
    let conditions = status.get("conditions").and_then(Value::as_array);
    conditions.is_some_and(|conditions| {
        conditions.iter().any(|condition| {
            let field = |name: &str| condition.get(name).and_then(Value::as_str);
            field("type") == Some("Programmed") && field("status") == Some("True")
        })
    })
}

/// Our part of a status when nothing of the object is ours any longer.
fn no_entries(kind: &str) -> Option<StatusBody> {
    match kind {
        "HTTPRoute" | "GRPCRoute" | "TLSRoute" | "TCPRoute" | "UDPRoute" => {
            Some(StatusBody::Route { parents: Vec::new() })
        }
        "BackendTLSPolicy" | "XBackendTrafficPolicy" | "XTelemetryPolicy" => {
            Some(StatusBody::Policy { ancestors: Vec::new() })
        }
        "XBackend" => Some(StatusBody::Backend { ancestors: Vec::new() }),
        _ => None,
    }
}

/// The time of conditions, whole seconds.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
