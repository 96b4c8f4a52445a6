//! What is there, what should be, and the difference.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use api::ServiceType;
use base64::Engine as _;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use serde_json::{Map, Value};

use super::run::{Identities, ProvisionError, resource};
use super::service::service_type;
use super::{
    FIELD_MANAGER, KINDS, Kind, Object, Order, Orders, Report, Reports, Settings, address,
    base_name, desired, desired::identity,
};

/// Addresses of nodes that a status has room for (Gateway API: 16 addresses).
const NODE_ADDRESSES_MAX: usize = 16;

/// An object by kind and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    fn of(object: &Object) -> Self {
        Self { kind: object.kind, namespace: object.namespace.clone(), name: object.name.clone() }
    }

    fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

/// What was applied, and how the fields of it that we decide looked right after.
struct Applied {
    wanted: Value,
    seen: Value,
}

pub(super) struct State {
    client: Client,
    settings: Settings,
    identities: Arc<dyn Identities>,
    live: BTreeMap<Key, Value>,
    /// Objects of kinds whose list is being read anew.
    arriving: BTreeMap<Kind, BTreeSet<Key>>,
    complete: BTreeSet<Kind>,
    applied: BTreeMap<Key, Applied>,
    obstacles: BTreeMap<Arc<ir::ObjectRef>, String>,
}

impl State {
    pub(super) fn new(client: Client, settings: Settings, identities: Arc<dyn Identities>) -> Self {
        Self {
            client,
            settings,
            identities,
            live: BTreeMap::new(),
            arriving: BTreeMap::new(),
            complete: BTreeSet::new(),
            applied: BTreeMap::new(),
            obstacles: BTreeMap::new(),
        }
    }

    pub(super) fn controller_name(&self) -> &str {
        &self.settings.controller_name
    }

    pub(super) fn begin(&mut self, kind: Kind) {
        self.arriving.insert(kind, BTreeSet::new());
    }

    pub(super) fn put(&mut self, key: Key, value: Value) {
        if let Some(arriving) = self.arriving.get_mut(&key.kind) {
            arriving.insert(key.clone());
        }
        self.live.insert(key, value);
    }

    /// The list of a kind is complete: what was not in it is gone.
    pub(super) fn end(&mut self, kind: Kind) {
        if let Some(arrived) = self.arriving.remove(&kind) {
            self.live.retain(|key, _| key.kind != kind || arrived.contains(key));
        }
        self.complete.insert(kind);
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.live.remove(key);
        self.applied.remove(key);
    }

    /// Whether everything that was made before is known.
    pub(super) fn is_complete(&self) -> bool {
        self.complete.len() == KINDS.len()
    }

    /// Makes what is missing, repairs what differs, removes what nobody needs. `false` when
    /// something remains to be done.
    pub(super) async fn reconcile(&mut self, orders: &Orders) -> bool {
        self.obstacles.clear();
        let mut needed: BTreeSet<Key> = BTreeSet::new();
        // Owners whose objects stay as they are.
        let mut kept: BTreeSet<&str> = BTreeSet::new();
        for (gateway, order) in orders {
            let uid = order.gateway.metadata.uid.as_deref().unwrap_or_default();
            match self.make(order, uid, &mut needed).await {
                Ok(true) => {}
                Ok(false) => {
                    kept.insert(uid);
                }
                Err(error) => {
                    tracing::warn!(%gateway, %error, "a Gateway cannot be provisioned");
                    self.obstacles.insert(Arc::clone(gateway), error.to_string());
                }
            }
        }
        let surplus: Vec<Key> = self
            .live
            .iter()
            .filter(|(key, _)| !needed.contains(key))
            .filter(|(_, value)| owner(value).is_some_and(|owner| !kept.contains(owner)))
            .map(|(key, _)| key.clone())
            .collect();
        let mut done = self.obstacles.is_empty();
        for key in surplus {
            done &= self.delete(&key).await;
        }
        done
    }

    /// Everything for one Gateway; all that can be made is made, the first refusal is told.
    /// `false` when there is no plan.
    async fn make(
        &mut self,
        order: &Order,
        uid: &str,
        needed: &mut BTreeSet<Key>,
    ) -> Result<bool, ProvisionError> {
        let Some(plan) = &order.plan else { return Ok(false) };
        let mut result = Ok(true);
        let objects = desired(&order.gateway, plan, &self.settings);
        let secret = Key {
            kind: Kind::Secret,
            namespace: order.gateway.metadata.namespace().to_owned(),
            name: base_name(&order.gateway.metadata.name, &plan.class),
        };
        needed.insert(secret.clone());
        needed.extend(objects.iter().map(Key::of));
        let present = self.live.get(&secret).and_then(secret_data);
        match self.identities.renew(uid, present.as_ref()) {
            Ok(None) => {}
            Ok(Some(data)) => {
                let object = identity(&order.gateway, plan, &self.settings, &data);
                if let Err(error) = self.ensure(object, uid).await {
                    result = Err(error);
                }
            }
            Err(reason) => result = Err(ProvisionError::Identity(reason)),
        }
        for object in objects {
            if let Err(error) = self.ensure(object, uid).await
                && result.is_ok()
            {
                result = Err(error);
            }
        }
        result
    }

    /// Applies an object unless it is there and as it should be.
    async fn ensure(&mut self, object: Object, uid: &str) -> Result<(), ProvisionError> {
        let key = Key::of(&object);
        let kind = object.kind.as_str();
        let refused = |error: kube::Error| ProvisionError::Refused {
            kind,
            name: key.full_name(),
            reason: reason(&error),
        };
        let api = self.api(&key);
        if !self.live.contains_key(&key)
            && let Some(found) = api.get_opt(&key.name).await.map_err(refused)?
        {
            let found = serde_json::to_value(&found).unwrap_or_default();
            self.live.insert(key.clone(), found);
        }
        if let Some(live) = self.live.get(&key) {
            if let Some(error) = foreign(&key, live, uid) {
                // Whoever owns it may delete it: look again the next time.
                self.live.remove(&key);
                return Err(error);
            }
            let as_applied = self.applied.get(&key).is_some_and(|applied| {
                applied.wanted == object.value && project(live, &object.value) == applied.seen
            });
            if as_applied {
                return Ok(());
            }
        }
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patched = api.patch(&key.name, &parameters, &Patch::Apply(&object.value)).await;
        let patched = serde_json::to_value(patched.map_err(refused)?).unwrap_or_default();
        let seen = project(&patched, &object.value);
        self.applied.insert(key.clone(), Applied { wanted: object.value, seen });
        self.live.insert(key, patched);
        Ok(())
    }

    async fn delete(&mut self, key: &Key) -> bool {
        let uid = self.live.get(key).and_then(|live| live.pointer("/metadata/uid"));
        let uid = uid.and_then(Value::as_str).map(str::to_owned);
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid, resource_version: None }),
            ..DeleteParams::background()
        };
        match self.api(key).delete(&key.name, &parameters).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {}
            Err(error) => {
                let name = key.full_name();
                tracing::warn!(kind = key.kind.as_str(), name, %error, "cannot be removed");
                return false;
            }
        }
        self.remove(key);
        true
    }

    fn api(&self, key: &Key) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &key.namespace, &resource(key.kind))
    }

    /// What is known of each order now.
    pub(super) async fn reports(&self, orders: &Orders) -> Reports {
        let nodes = self.node_addresses(orders).await;
        let report = |(gateway, order): (&Arc<ir::ObjectRef>, &Order)| {
            let plan = order.plan.as_ref()?;
            let namespace = order.gateway.metadata.namespace();
            let key = |kind, name: &str| Key {
                kind,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            };
            let uid = order.gateway.metadata.uid.as_deref();
            let own = |kind, name: &str| {
                self.live.get(&key(kind, name)).filter(|live| owner(live) == uid)
            };
            let service = |name: &str| own(Kind::Service, name);
            let addresses = address::facts(&order.gateway.metadata.name, plan, service, &nodes);
            let base = base_name(&order.gateway.metadata.name, &plan.class);
            let ready = own(Kind::Deployment, &base)
                .and_then(|live| live.pointer("/status/readyReplicas"))
                .and_then(Value::as_u64)
                .unwrap_or_default();
            let report = Report {
                obstacle: self.obstacles.get(gateway).cloned(),
                addresses,
                ready_pods: u32::try_from(ready).unwrap_or(u32::MAX),
            };
            Some((Arc::clone(gateway), report))
        };
        orders.iter().filter_map(report).collect()
    }

    /// Asked for only while some Gateway is reached by its nodes.
    async fn node_addresses(&self, orders: &Orders) -> Vec<IpAddr> {
        let plans = orders.values().filter_map(|order| order.plan.as_ref());
        let by_node = plans
            .flat_map(|plan| plan.addresses.iter().map(move |request| (plan, request)))
            .any(|(plan, request)| service_type(plan, request) == ServiceType::NodePort);
        if !by_node {
            return Vec::new();
        }
        let resource = kube::api::ApiResource {
            group: String::new(),
            version: "v1".to_owned(),
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            plural: "nodes".to_owned(),
        };
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
        match api.list(&ListParams::default()).await {
            Ok(nodes) => {
                let values: Vec<Value> =
                    nodes.items.iter().filter_map(|node| serde_json::to_value(node).ok()).collect();
                let mut addresses = address::of_nodes(values.iter());
                addresses.truncate(NODE_ADDRESSES_MAX);
                addresses
            }
            Err(error) => {
                tracing::warn!(%error, "the addresses of nodes cannot be read");
                Vec::new()
            }
        }
    }
}

/// The UID of the Gateway that controls an object.
fn owner(live: &Value) -> Option<&str> {
    let owners = live.pointer("/metadata/ownerReferences")?.as_array()?;
    let text = |owner: &'static str| {
        move |entry: &&Value| entry.get("kind").and_then(Value::as_str) == Some(owner)
    };
    owners.iter().find(text("Gateway"))?.get("uid")?.as_str()
}

fn foreign(key: &Key, live: &Value, uid: &str) -> Option<ProvisionError> {
    let (kind, name) = (key.kind.as_str(), key.full_name());
    match owner(live) {
        Some(owner) if owner == uid => None,
        Some(_) => Some(ProvisionError::Leftover { kind, name }),
        None => Some(ProvisionError::Foreign { kind, name }),
    }
}

fn reason(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error { status.message.clone() } else { error.to_string() }
}

fn secret_data(live: &Value) -> Option<BTreeMap<String, Vec<u8>>> {
    let decode =
        |value: &Value| base64::engine::general_purpose::STANDARD.decode(value.as_str()?).ok();
    let data = live.get("data")?.as_object()?;
    data.iter().map(|(key, value)| Some((key.clone(), decode(value)?))).collect()
}

/// The part of `live` that `wanted` speaks about. Lists of another length are taken whole.
fn project(live: &Value, wanted: &Value) -> Value {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            let part = |(key, wanted): (&String, &Value)| {
                Some((key.clone(), project(live.get(key)?, wanted)))
            };
            Value::Object(wanted.iter().filter_map(part).collect::<Map<_, _>>())
        }
        (Value::Array(live), Value::Array(wanted)) if live.len() == wanted.len() => {
            live.iter().zip(wanted).map(|(live, wanted)| project(live, wanted)).collect()
        }
        (live, _) => live.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::project;

    #[test]
    fn what_others_add_is_no_drift_and_what_they_change_is() {
        let wanted = json!({"spec": {"ports": [{"port": 80}], "type": "LoadBalancer"}});
        let live = json!({
            "spec": {"ports": [{"port": 80, "nodePort": 31000}], "type": "LoadBalancer"},
            "status": {},
        });
        assert_eq!(project(&live, &wanted), wanted);
        let changed = json!({"spec": {"ports": [{"port": 81}], "type": "LoadBalancer"}});
        assert_ne!(project(&changed, &wanted), wanted);
        let more = json!({"spec": {"ports": [{"port": 80}, {"port": 81}], "type": "LoadBalancer"}});
        assert_ne!(project(&more, &wanted), wanted);
        let fewer = json!({"spec": {"ports": [{"port": 80}]}});
        assert_ne!(project(&fewer, &wanted), wanted);
    }
}
