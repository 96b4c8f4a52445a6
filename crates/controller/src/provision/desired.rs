//! What should be in the cluster for one Gateway.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{Gateway, NumberOrText};
use serde_json::{Map, Value, json};
use translate::Plan;

use super::name::{base_name, label_value, service_name};
use super::object::{Kind, Object, some_map, without_nulls};
use super::{OWNER_LABEL, Settings, pod, service};

/// The label of what belongs to a Gateway (GEP-1762).
const GATEWAY_LABEL: &str = "gateway.networking.k8s.io/gateway-name";
const CLASS_LABEL: &str = "gateway.networking.k8s.io/gateway-class-name";

/// The share of the requested CPU at which pods are added, in percent.
const TARGET_CPU: u32 = 70;

/// Labels or annotations as the API's objects hold them.
type Texts = BTreeMap<Arc<str>, Arc<str>>;

/// What objects of one Gateway have in common.
pub(super) struct Common<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) plan: &'a Plan,
    pub(super) settings: &'a Settings,
    pub(super) base: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    owner: Value,
}

impl<'a> Common<'a> {
    fn new(gateway: &'a Gateway, plan: &'a Plan, settings: &'a Settings) -> Self {
        let infrastructure = gateway.spec.infrastructure.as_ref();
        let mut labels = infrastructure.map(|i| texts(&i.labels)).unwrap_or_default();
        labels.extend(selector(gateway, plan));
        for (key, value) in [
            ("app.kubernetes.io/name", "portcullis"),
            ("app.kubernetes.io/component", "proxy"),
            ("app.kubernetes.io/managed-by", "portcullis"),
        ] {
            labels.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
        labels.insert(OWNER_LABEL.to_owned(), owner_label(&settings.controller_name));
        let owner = json!([{
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "name": &*gateway.metadata.name,
            "uid": gateway.metadata.uid.as_deref().unwrap_or_default(),
            "controller": true,
        }]);
        Self {
            gateway,
            plan,
            settings,
            base: base_name(&gateway.metadata.name, &plan.class),
            labels,
            annotations: infrastructure.map(|i| texts(&i.annotations)).unwrap_or_default(),
            owner,
        }
    }

    pub(super) fn selector(&self) -> BTreeMap<String, String> {
        selector(self.gateway, self.plan)
    }

    /// An object with the labels and annotations of all, and more of its own.
    pub(super) fn object(
        &self,
        kind: Kind,
        name: &str,
        more: (&Texts, &Texts),
        body: Value,
    ) -> Object {
        let over = |own: &BTreeMap<String, String>, more: &Texts| {
            let mut all = texts(more);
            all.extend(own.clone());
            some_map(all)
        };
        let mut metadata = Map::new();
        metadata.insert("labels".to_owned(), over(&self.labels, more.0));
        metadata.insert("annotations".to_owned(), over(&self.annotations, more.1));
        metadata.insert("ownerReferences".to_owned(), self.owner.clone());
        metadata.retain(|_, value| !value.is_null());
        Object::new(kind, self.gateway.metadata.namespace(), name, &metadata, without_nulls(body))
    }

    pub(super) fn plain(&self, kind: Kind, name: &str, body: Value) -> Object {
        self.object(kind, name, (&BTreeMap::new(), &BTreeMap::new()), body)
    }
}

/// The value of [`OWNER_LABEL`] for a controller name.
pub fn owner_label(controller_name: &str) -> String {
    let cleaned: String = controller_name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' })
        .collect();
    label_value(&cleaned)
}

/// What tells the pods of a Gateway from all others. It never changes for a Deployment.
fn selector(gateway: &Gateway, plan: &Plan) -> BTreeMap<String, String> {
    BTreeMap::from([
        (GATEWAY_LABEL.to_owned(), label_value(&gateway.metadata.name)),
        (CLASS_LABEL.to_owned(), label_value(&plan.class)),
    ])
}

pub(super) fn texts(map: &BTreeMap<Arc<str>, Arc<str>>) -> BTreeMap<String, String> {
    map.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// Everything that a Gateway needs but the Secret with its identity, which is not the same each
/// time: see `identity`.
pub fn desired(gateway: &Gateway, plan: &Plan, settings: &Settings) -> Vec<Object> {
    let common = Common::new(gateway, plan, settings);
    let mut objects = vec![
        common.plain(
            Kind::ServiceAccount,
            &common.base,
            json!({ "automountServiceAccountToken": false }),
        ),
        pod::deployment(&common),
    ];
    for (request, name) in services(plan, &common.base) {
        objects.push(service::service(&common, request, &name));
    }
    objects.push(budget(&common));
    objects.extend(autoscaler(&common));
    objects
}

/// Each request that a Service can answer, with the name of that Service.
pub(super) fn services<'a>(
    plan: &'a Plan,
    base: &str,
) -> Vec<(&'a translate::AddressRequest, String)> {
    let mut seen: Vec<(&translate::AddressRequest, String)> = Vec::new();
    for request in &plan.addresses {
        let same = |other: &&(&translate::AddressRequest, String)| {
            other.0.value == request.value && other.0.reach == request.reach
        };
        let nth = seen.iter().filter(same).count();
        seen.push((request, service_name(base, request, nth)));
    }
    seen.retain(|(request, _)| !matches!(request.reach, translate::Reach::Unknown(_)));
    seen
}

/// The Secret with the identity of a Gateway's pods.
pub(super) fn identity(
    gateway: &Gateway,
    plan: &Plan,
    settings: &Settings,
    data: &BTreeMap<String, Vec<u8>>,
) -> Object {
    use base64::Engine as _;
    let encode = |value: &Vec<u8>| base64::engine::general_purpose::STANDARD.encode(value);
    let data: BTreeMap<&str, String> =
        data.iter().map(|(key, value)| (key.as_str(), encode(value))).collect();
    let common = Common::new(gateway, plan, settings);
    common.plain(Kind::Secret, &common.base, json!({ "type": "Opaque", "data": data }))
}

fn number_or_text(value: &NumberOrText) -> Value {
    match value {
        NumberOrText::Number(number) => json!(number),
        NumberOrText::Text(text) => json!(&**text),
    }
}

fn budget(common: &Common<'_>) -> Object {
    let asked = common.plan.parameters.disruption_budget.clone().unwrap_or_default();
    let min = asked.min_available.as_ref().map(number_or_text);
    let max = asked.max_unavailable.as_ref().map(number_or_text);
    let max = max.or_else(|| min.is_none().then(|| json!(1)));
    let body = json!({ "spec": {
        "minAvailable": min,
        "maxUnavailable": max,
        "selector": { "matchLabels": common.selector() },
    } });
    common.plain(Kind::PodDisruptionBudget, &common.base, body)
}

fn autoscaler(common: &Common<'_>) -> Option<Object> {
    let bounds = common.plan.parameters.autoscaling.as_ref()?;
    let body = json!({ "spec": {
        "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": common.base },
        "minReplicas": bounds.min_replicas,
        "maxReplicas": bounds.max_replicas,
        "metrics": [{
            "type": "Resource",
            "resource": { "name": "cpu", "target": {
                "type": "Utilization",
                "averageUtilization": bounds.target_cpu_utilization.unwrap_or(TARGET_CPU),
            } },
        }],
    } });
    Some(common.plain(Kind::HorizontalPodAutoscaler, &common.base, body))
}

pub(super) fn number_map(map: &BTreeMap<Arc<str>, NumberOrText>) -> Value {
    some_map(map.iter().map(|(key, value)| (key.to_string(), number_or_text(value))))
}
