//! Our status laid into the live one: only our own entries change.

use serde_json::{Map, Value, json};

use crate::condition::{ConditionStatus, ConditionType};
use crate::limits::{BACKEND_ANCESTORS_MAX, CONDITIONS_MAX, PARENTS_MAX, POLICY_ANCESTORS_MAX};
use crate::status::{
    AddressValue, AncestorStatus, Condition, GatewayAddress, ListenerStatus, ParentStatus, Status,
    StatusBody,
};

/// The `status` to write: `live` with our entries replaced and everything of others as it was.
///
/// `live` is the `status` field as read (`Null` when there is none), `now` an RFC 3339 time for
/// conditions whose status flips; the others keep their `lastTransitionTime`. A status that some
/// newer observation of ours wrote is returned unchanged. Equal input and output mean that there
/// is nothing to write.
pub fn merge(live: &Value, ours: &Status, controller_name: &str, now: &str) -> Value {
    let merge = Merge { generation: ours.observed_generation, controller_name, now };
    let mut status = live.as_object().cloned().unwrap_or_default();
    match &ours.body {
        StatusBody::GatewayClass { conditions, supported_features } => {
            if merge.is_outdated(&status) {
                return live.clone();
            }
            merge.conditions_in(&mut status, conditions);
            let features: Vec<Value> =
                supported_features.iter().map(|name| json!({ "name": name })).collect();
            status.insert("supportedFeatures".to_owned(), features.into());
        }
        StatusBody::Gateway { conditions, addresses, listeners, attached_listener_sets } => {
            if merge.is_outdated(&status) {
                return live.clone();
            }
            let addresses: Vec<Value> = addresses.iter().map(address_entry).collect();
            put_list(&mut status, "addresses", addresses);
            merge.conditions_in(&mut status, conditions);
            merge.listeners_in(&mut status, listeners);
            status.insert("attachedListenerSets".to_owned(), (*attached_listener_sets).into());
        }
        StatusBody::ListenerSet { conditions, listeners } => {
            if merge.is_outdated(&status) {
                return live.clone();
            }
            merge.conditions_in(&mut status, conditions);
            merge.listeners_in(&mut status, listeners);
        }
        StatusBody::Route { parents } => {
            let entries = merge.entries(&status, "parents", "parentRef", PARENTS_MAX, || {
                parents.iter().map(parent_entry)
            });
            match entries {
                Some(entries) => status.insert("parents".to_owned(), entries.into()),
                None => return live.clone(),
            };
        }
        StatusBody::Policy { ancestors } => {
            if !merge.ancestors_in(&mut status, ancestors, POLICY_ANCESTORS_MAX) {
                return live.clone();
            }
        }
        StatusBody::Backend { ancestors } => {
            if !merge.ancestors_in(&mut status, ancestors, BACKEND_ANCESTORS_MAX) {
                return live.clone();
            }
        }
    }
    Value::Object(status)
}

/// The status as it would be written to an object that has none.
pub fn render(ours: &Status, controller_name: &str, now: &str) -> Value {
    merge(&Value::Null, ours, controller_name, now)
}

struct Merge<'a> {
    generation: i64,
    controller_name: &'a str,
    now: &'a str,
}

fn address_entry(address: &GatewayAddress) -> Value {
    let mut entry = match &address.value {
        AddressValue::Ip(ip) => json!({ "type": "IPAddress", "value": ip.to_string() }),
        AddressValue::Hostname(name) => json!({ "type": "Hostname", "value": &**name }),
    };
    if let (Some(entry), Some(routability)) = (entry.as_object_mut(), &address.routability) {
        entry.insert("routability".to_owned(), (&**routability).into());
    }
    entry
}

fn parent_entry(parent: &ParentStatus) -> (Value, &[Condition]) {
    (serde_json::to_value(&parent.parent).unwrap_or_default(), &parent.conditions)
}

fn ancestor_entry(ancestor: &AncestorStatus) -> (Value, &[Condition]) {
    let object = &ancestor.ancestor;
    let reference = json!({
        "group": &*object.group,
        "kind": &*object.kind,
        "namespace": &*object.namespace,
        "name": &*object.name,
    });
    (reference, &ancestor.conditions)
}

fn put_list(status: &mut Map<String, Value>, name: &str, entries: Vec<Value>) {
    if entries.is_empty() {
        status.shift_remove(name);
    } else {
        status.insert(name.to_owned(), entries.into());
    }
}

fn list<'a>(object: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    object.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn is_ours(kind: &str) -> bool {
    ConditionType::ALL.iter().any(|own| own.as_str() == kind)
}

impl Merge<'_> {
    /// Whether a condition of ours in the list was written for a newer generation.
    fn is_outdated(&self, holder: &Map<String, Value>) -> bool {
        list(holder, "conditions").iter().any(|condition| {
            let observed = condition.get("observedGeneration").and_then(Value::as_i64);
            is_ours(text(condition, "type")) && observed.is_some_and(|o| o > self.generation)
        })
    }

    fn conditions_in(&self, holder: &mut Map<String, Value>, ours: &[Condition]) {
        let merged = self.conditions(list(holder, "conditions"), ours);
        holder.insert("conditions".to_owned(), merged.into());
    }

    /// Foreign conditions stay where they are, ours are replaced in place or appended, and those
    /// of ours that no longer hold are dropped.
    fn conditions(&self, live: &[Value], ours: &[Condition]) -> Vec<Value> {
        let mut merged: Vec<Value> = Vec::new();
        for condition in live {
            let kind = text(condition, "type");
            match ours.iter().find(|own| own.kind.as_str() == kind) {
                Some(own) => merged.push(self.condition(own, Some(condition))),
                None if is_ours(kind) => {}
                None => merged.push(condition.clone()),
            }
        }
        for own in ours {
            let present = live.iter().any(|condition| text(condition, "type") == own.kind.as_str());
            if !present && merged.len() < CONDITIONS_MAX {
                merged.push(self.condition(own, None));
            }
        }
        merged
    }

    fn condition(&self, own: &Condition, live: Option<&Value>) -> Value {
        let kept = live
            .filter(|live| text(live, "status") == own.status.as_str())
            .and_then(|live| live.get("lastTransitionTime").cloned());
        let mut condition = Map::new();
        condition.insert("type".to_owned(), own.kind.as_str().into());
        condition.insert("status".to_owned(), own.status.as_str().into());
        if self.generation > 0 {
            condition.insert("observedGeneration".to_owned(), self.generation.into());
        }
        condition.insert("lastTransitionTime".to_owned(), kept.unwrap_or_else(|| self.now.into()));
        condition.insert("reason".to_owned(), own.reason.as_str().into());
        condition.insert("message".to_owned(), own.message.as_str().into());
        let condition = Value::Object(condition);
        // The order of keys is the writer's: an equal condition stays as it was read.
        live.filter(|live| **live == condition).cloned().unwrap_or(condition)
    }

    fn listeners_in(&self, holder: &mut Map<String, Value>, ours: &[ListenerStatus]) {
        let live = list(holder, "listeners");
        let merged: Vec<Value> = ours
            .iter()
            .map(|own| {
                let before = live.iter().find(|listener| text(listener, "name") == &*own.name);
                let mut listener = before.and_then(Value::as_object).cloned().unwrap_or_default();
                let kinds: Vec<Value> = own
                    .supported_kinds
                    .iter()
                    .map(|kind| json!({ "group": api::GATEWAY_GROUP, "kind": kind }))
                    .collect();
                listener.insert("name".to_owned(), (&*own.name).into());
                listener.insert("supportedKinds".to_owned(), kinds.into());
                listener.insert("attachedRoutes".to_owned(), own.attached_routes.into());
                self.conditions_in(&mut listener, &own.conditions);
                Value::Object(listener)
            })
            .collect();
        put_list(holder, "listeners", merged);
    }

    /// Lays ours into the ancestors; false when the live status is newer than ours.
    fn ancestors_in(
        &self,
        status: &mut Map<String, Value>,
        ours: &[AncestorStatus],
        limit: usize,
    ) -> bool {
        let ours = || ours.iter().map(ancestor_entry);
        let entries = self.entries(status, "ancestors", "ancestorRef", limit, ours);
        let Some(entries) = entries else { return false };
        status.insert("ancestors".to_owned(), entries.into());
        true
    }

    /// Entries of other controllers stay as they are and where they are; ours are replaced in
    /// place, appended, or dropped. `None` when the live status is newer than ours.
    fn entries<'c, I>(
        &self,
        status: &Map<String, Value>,
        name: &str,
        key: &str,
        limit: usize,
        ours: impl Fn() -> I,
    ) -> Option<Vec<Value>>
    where
        I: Iterator<Item = (Value, &'c [Condition])>,
    {
        let live = list(status, name);
        let own_entry = |entry: &Value| text(entry, "controllerName") == self.controller_name;
        let newer = |entry: &Value| entry.as_object().is_some_and(|entry| self.is_outdated(entry));
        if live.iter().any(|entry| own_entry(entry) && newer(entry)) {
            return None;
        }
        let mut merged = Vec::new();
        for entry in live {
            if !own_entry(entry) {
                merged.push(entry.clone());
            } else if let Some((_, conditions)) =
                ours().find(|(reference, _)| entry.get(key) == Some(reference))
            {
                let mut entry = entry.as_object().cloned().unwrap_or_default();
                self.conditions_in(&mut entry, conditions);
                merged.push(Value::Object(entry));
            }
        }
        for (reference, conditions) in ours() {
            let present =
                live.iter().any(|entry| own_entry(entry) && entry.get(key) == Some(&reference));
            if !present && merged.len() < limit {
                let mut entry = Map::new();
                entry.insert(key.to_owned(), reference);
                entry.insert("controllerName".to_owned(), self.controller_name.into());
                self.conditions_in(&mut entry, conditions);
                merged.push(Value::Object(entry));
            }
        }
        Some(merged)
    }
}

impl ConditionStatus {
    /// Whether it reads `True`.
    pub fn is_true(self) -> bool {
        self == Self::True
    }
}
