//! The hidden Services by which a cluster finds the pods of XBackends (GEP-4894): headless, owned
//! by the XBackend, and removed with it by the cluster itself.
//!
//! A Service is ours when it carries our label and this very XBackend owns it. No other is touched:
//! one is made under a name of its own or not at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use api::{ObjectName, Resource as _, Service, XBackend};
use futures_util::{StreamExt as _, stream};
use ir::{EndpointMap, ObjectRef};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use translate::{Snapshot, endpoints::selector_service};

use crate::{
    limits::{SELECTOR_RETRY, SELECTOR_WRITES},
    provision::{owned_name, owner_label},
    status::{Failure, timely},
};

/// Marks the Services that are ours; the value tells controllers apart.
const LABEL: &str = "portcullis.dev/x-backend-of";

/// What is to be done so that the pods of an XBackend are found.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    Make {
        service: Value,
    },
    /// Ours, but no longer as the XBackend says.
    Repair {
        patch: Value,
    },
    /// Ours, and the XBackend selects no pods any longer.
    Remove {
        uid: Arc<str>,
    },
}

/// Orders by the Service that each is about.
pub type Orders = BTreeMap<ObjectName, Order>;

/// Makes and repairs hidden Services.
pub struct Selectors {
    client: Client,
    label: String,
    /// What was done and when, until a watch shows it.
    done: BTreeMap<ObjectName, (Order, Instant)>,
    /// Something could not be done.
    failed: bool,
    retry_at: Option<Instant>,
    /// Of which it was said that they are in the way.
    foreign: BTreeSet<ObjectName>,
}

impl Selectors {
    pub fn new(client: Client, controller_name: &str) -> Self {
        Self {
            client,
            label: owner_label(controller_name),
            done: BTreeMap::new(),
            failed: false,
            retry_at: None,
            foreign: BTreeSet::new(),
        }
    }

    /// When [`Self::reconcile`] should be called again though nothing changed.
    pub fn due(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Gives every XBackend in use what its pods are found by.
    pub async fn reconcile(&mut self, snapshot: &Snapshot, endpoints: &EndpointMap) {
        let orders = orders(snapshot, endpoints, &self.label);
        self.done.retain(|service, (done, at)| {
            orders.get(service) == Some(done) && at.elapsed() < SELECTOR_RETRY
        });
        self.foreign.retain(|service| orders.contains_key(service));
        let open: Vec<_> =
            orders.into_iter().filter(|(service, _)| !self.done.contains_key(service)).collect();
        let client = &self.client;
        let writes = open.into_iter().map(|(service, order)| async move {
            let result = execute(client, &service, &order).await;
            (service, order, result)
        });
        self.failed = false;
        let ends: Vec<_> = stream::iter(writes).buffer_unordered(SELECTOR_WRITES).collect().await;
        for (service, order, result) in ends {
            self.take(service, order, result);
        }
        let open = !self.done.is_empty() || self.failed;
        self.retry_at = open.then(|| Instant::now() + SELECTOR_RETRY);
    }

    fn take(&mut self, service: ObjectName, order: Order, result: Result<(), Failure>) {
        let error = match result {
            Ok(()) => {
                self.done.insert(service, (order, Instant::now()));
                return;
            }
            Err(error) => error,
        };
        self.failed = true;
        let taken = matches!(order, Order::Make { .. })
            && matches!(&error, Failure::Answer(status) if status.code == 409);
        if !taken {
            tracing::warn!(%service, %error, "the Service for the pods of an XBackend cannot be written");
        } else if self.foreign.insert(service.clone()) {
            tracing::warn!(
                %service,
                "the Service for the pods of an XBackend cannot be made: one of this name exists \
                 and is not ours; delete it"
            );
        }
    }
}

async fn execute(client: &Client, service: &ObjectName, order: &Order) -> Result<(), Failure> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Service"));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &service.namespace, &kind);
    match order {
        Order::Make { service } => {
            // The form is ours, so it always reads.
            let Ok(object) = serde_json::from_value(service.clone()) else { return Ok(()) };
            timely(api.create(&PostParams::default(), &object)).await.map(|_| ())
        }
        Order::Repair { patch } => {
            let (parameters, patch) = (PatchParams::default(), Patch::Merge(patch));
            timely(api.patch(&service.name, &parameters, &patch)).await.map(|_| ())
        }
        Order::Remove { uid } => {
            let uid = Some(uid.to_string());
            let parameters = DeleteParams {
                preconditions: Some(Preconditions { uid, resource_version: None }),
                ..DeleteParams::background()
            };
            match timely(api.delete(&service.name, &parameters)).await {
                Err(Failure::Answer(status)) if status.is_not_found() => Ok(()),
                result => result.map(|_| ()),
            }
        }
    }
}

/// What is missing or wrong for the XBackends in use, and what is too much.
pub fn orders(snapshot: &Snapshot, endpoints: &EndpointMap, label: &str) -> Orders {
    let own = own(snapshot, label);
    let mut orders = Orders::new();
    let used: BTreeSet<&ObjectRef> = endpoints.keys().map(|key| &*key.backend).collect();
    for backend in used.into_iter().filter_map(|backend| known(snapshot, backend)) {
        let Some(uid) = backend.metadata.uid.as_deref() else { continue };
        let Some(wanted) = selector_service(backend) else { continue };
        match own.get(uid) {
            None => {
                let name = owned_name(&backend.metadata.name, uid);
                let service = made(&name, label, &wanted);
                let name = ObjectName::new(backend.metadata.namespace(), name);
                orders.insert(name, Order::Make { service });
            }
            Some(live) if differs(live, &wanted) => {
                let patch = repaired(live, &wanted);
                orders.insert(live.metadata.object_name(), Order::Repair { patch });
            }
            Some(_) => {}
        }
    }
    for backend in snapshot.x_backends.values() {
        if let Some(live) = backend.metadata.uid.as_deref().and_then(|uid| own.get(uid))
            && let Some(uid) = live.metadata.uid.clone()
            && selector_service(backend).is_none()
        {
            orders.insert(live.metadata.object_name(), Order::Remove { uid });
        }
    }
    orders
}

fn known<'s>(snapshot: &'s Snapshot, backend: &ObjectRef) -> Option<&'s Arc<XBackend>> {
    let name = ObjectName::new(Arc::clone(&backend.namespace), Arc::clone(&backend.name));
    let is_one = (&*backend.group, &*backend.kind) == (XBackend::GROUP, XBackend::KIND);
    snapshot.x_backends.get(&name).filter(|_| is_one)
}

/// The Services that are ours, by the UID of the XBackend that owns each.
fn own<'s>(snapshot: &'s Snapshot, label: &str) -> BTreeMap<&'s str, &'s Arc<Service>> {
    let mut own = BTreeMap::new();
    for service in snapshot.services.values() {
        if service.metadata.labels.get(LABEL).is_none_or(|value| **value != *label) {
            continue;
        }
        let owners = service.metadata.owner_references.iter();
        if let Some(owner) = owners.into_iter().find(|owner| &*owner.kind == XBackend::KIND) {
            own.insert(&*owner.uid, service);
        }
    }
    own
}

fn differs(live: &Service, wanted: &Service) -> bool {
    let ports = |service: &Service| {
        let ports = service.spec.ports.iter();
        ports.map(|port| (port.port, port.target_port.clone())).collect::<Vec<_>>()
    };
    live.spec.selector != wanted.spec.selector || ports(live) != ports(wanted)
}

/// A merge patch, in which a label that is to go is null. It is for this very Service only.
fn repaired(live: &Service, wanted: &Service) -> Value {
    let gone = live.spec.selector.keys().filter(|key| !wanted.spec.selector.contains_key(*key));
    let gone = gone.map(|key| (key.to_string(), Value::Null));
    let kept = wanted.spec.selector.iter();
    let kept = kept.map(|(key, value)| (key.to_string(), Value::from(&**value)));
    let selector: serde_json::Map<_, _> = gone.chain(kept).collect();
    json!({
        "metadata": { "uid": live.metadata.uid.as_deref() },
        "spec": { "selector": selector, "ports": wanted.spec.ports },
    })
}

/// The object to create.
fn made(name: &str, label: &str, service: &Service) -> Value {
    let mut value = api::resource::to_value(service);
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("name".to_owned(), name.into());
        metadata.insert("labels".to_owned(), json!({ (LABEL): label }));
    }
    value
}
