//! Old versions and shapes, rewritten as JSON into the newest shape before anything else reads
//! them: the schema check, the defaults and the types know one shape only.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::kinds;

/// How an object was brought into the newest shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// `apiVersion` as written. Status of a cluster's object is written under this name.
    pub from_api_version: Arc<str>,
    /// `kind` as written.
    pub from_kind: Arc<str>,
    /// `apiVersion` of the newest shape.
    pub to_api_version: Arc<str>,
    /// `kind` of the newest shape.
    pub to_kind: Arc<str>,
    /// Fields that changed their place or meaning.
    pub notes: Vec<ConversionNote>,
}

/// A field that was moved, or dropped because nothing takes its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConversionNote {
    /// The field as written.
    pub path: String,
    /// Its path in the newest shape; `None` when the field was dropped.
    pub moved_to: Option<String>,
}

/// Splits `apiVersion` into group (empty for core) and version.
#[must_use]
pub fn split_api_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// Rewrites an object of an old version or shape. An object of the newest shape, or of a kind or
/// version that we do not know, is borrowed as it is.
#[must_use]
pub fn to_newest(value: &Value) -> (Cow<'_, Value>, Option<Conversion>) {
    let text = |name| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = split_api_version(api_version);
    let Some(target) = target(group, version, kind) else {
        return (Cow::Borrowed(value), None);
    };
    let renamed = target.api_version != api_version || target.kind != kind;
    if !renamed && !has_old_fields(value, target.kind) {
        return (Cow::Borrowed(value), None);
    }
    let mut converted = value.clone();
    let mut notes = Vec::new();
    if let Some(object) = converted.as_object_mut() {
        set(object, "apiVersion", &target.api_version);
        set(object, "kind", target.kind);
        convert_fields(object, target.kind, kind, &mut notes);
    }
    if !renamed && notes.is_empty() {
        return (Cow::Borrowed(value), None);
    }
    let conversion = Conversion {
        from_api_version: api_version.into(),
        from_kind: kind.into(),
        to_api_version: target.api_version.into(),
        to_kind: target.kind.into(),
        notes,
    };
    (Cow::Owned(converted), Some(conversion))
}

struct Target {
    api_version: String,
    kind: &'static str,
}

/// The newest group, version and kind; `None` when the version is not one that ever existed.
fn target(group: &str, version: &str, kind: &str) -> Option<Target> {
    let known = kinds::find(group, kind)?;
    kinds::version(group, kind, version)?;
    let newest =
        known.replaced_by.and_then(|(group, kind)| kinds::find(group, kind)).unwrap_or(known);
    let version = newest.versions.first()?.name;
    Some(Target {
        api_version: crate::resource::api_version(newest.group, version),
        kind: newest.kind,
    })
}

/// A cheap test, so that objects in the newest shape are not copied.
fn has_old_fields(value: &Value, kind: &str) -> bool {
    match kind {
        "HTTPRoute" | "GRPCRoute" => {
            let rules = value.pointer("/spec/rules").and_then(Value::as_array);
            rules.is_some_and(|rules| {
                rules
                    .iter()
                    .any(|rule| rule.get("sessionPersistence").is_some_and(is_old_persistence))
            })
        }
        "XBackend" => {
            value.pointer("/spec/port/name").is_some()
                || value.pointer("/status/parents").is_some()
                || value.pointer("/spec/sessionPersistence").is_some_and(is_old_persistence)
        }
        "XBackendTrafficPolicy" => {
            value.pointer("/spec/sessionPersistence").is_some_and(is_old_persistence)
        }
        "BackendTLSPolicy" => {
            value.pointer("/spec/tls").is_some() || value.pointer("/spec/targetRef").is_some()
        }
        _ => false,
    }
}

fn convert_fields(
    object: &mut Map<String, Value>,
    kind: &str,
    old_kind: &str,
    notes: &mut Vec<ConversionNote>,
) {
    if old_kind == "XListenerSet" {
        convert_listener_set_status(object, notes);
    }
    match kind {
        "BackendTLSPolicy" => {
            if let Some(spec) = child(object, "spec") {
                convert_target_ref(spec, notes);
                convert_backend_tls(spec, notes);
            }
        }
        "HTTPRoute" | "GRPCRoute" => {
            let rules = child(object, "spec").and_then(|spec| spec.get_mut("rules"));
            let rules = rules.and_then(Value::as_array_mut);
            let age = Age::Unknown;
            for (index, rule) in rules.into_iter().flatten().enumerate() {
                let path = format!("spec.rules[{index}].sessionPersistence");
                if let Some(rule) = rule.as_object_mut() {
                    convert_persistence(rule, &path, age, notes);
                }
            }
        }
        "XBackend" => convert_x_backend(object, notes),
        "XBackendTrafficPolicy" => {
            if let Some(spec) = child(object, "spec") {
                convert_target_ref(spec, notes);
                let age = if old_kind == kind { Age::Unknown } else { Age::Old };
                convert_persistence(spec, "spec.sessionPersistence", age, notes);
            }
        }
        _ => {}
    }
}

/// BackendTLSPolicy v1alpha2 had `tls{caCertRefs, wellKnownCACerts, hostname}`.
fn convert_backend_tls(spec: &mut Map<String, Value>, notes: &mut Vec<ConversionNote>) {
    if spec.contains_key("validation") {
        return;
    }
    let Some(Value::Object(mut tls)) = spec.remove("tls") else {
        return;
    };
    moved(notes, "spec.tls", "spec.validation");
    for (old, new) in
        [("caCertRefs", "caCertificateRefs"), ("wellKnownCACerts", "wellKnownCACertificates")]
    {
        if let Some(value) = tls.remove(old) {
            tls.insert(new.to_owned(), value);
            moved(notes, &format!("spec.tls.{old}"), &format!("spec.validation.{new}"));
        }
    }
    spec.insert("validation".to_owned(), Value::Object(tls));
}

/// The first policies had one `targetRef`, with a namespace that was never supported.
fn convert_target_ref(spec: &mut Map<String, Value>, notes: &mut Vec<ConversionNote>) {
    if spec.contains_key("targetRefs") {
        return;
    }
    let Some(mut target) = spec.remove("targetRef") else {
        return;
    };
    moved(notes, "spec.targetRef", "spec.targetRefs[0]");
    let namespace = target.as_object_mut().and_then(|target| target.remove("namespace"));
    if namespace.is_some() {
        notes.push(ConversionNote { path: "spec.targetRef.namespace".to_owned(), moved_to: None });
    }
    spec.insert("targetRefs".to_owned(), Value::Array(vec![target]));
}

/// XBackend until 1.6 named its port and reported per parent.
fn convert_x_backend(object: &mut Map<String, Value>, notes: &mut Vec<ConversionNote>) {
    if let Some(spec) = child(object, "spec") {
        convert_persistence(spec, "spec.sessionPersistence", Age::Unknown, notes);
        if let Some(port) = child(spec, "port")
            && let Some(number) = port.remove("port")
        {
            port.entry("number").or_insert(number);
            moved(notes, "spec.port.port", "spec.port.number");
        }
        if child(spec, "port").and_then(|port| port.remove("name")).is_some() {
            notes.push(ConversionNote { path: "spec.port.name".to_owned(), moved_to: None });
        }
    }
    let Some(status) = child(object, "status") else {
        return;
    };
    if let Some(Value::Array(mut parents)) = status.remove("parents") {
        for parent in parents.iter_mut().filter_map(Value::as_object_mut) {
            if let Some(reference) = parent.remove("parentRef") {
                parent.insert("ancestorRef".to_owned(), reference);
            }
        }
        status.entry("ancestors").or_insert(Value::Array(parents));
        moved(notes, "status.parents", "status.ancestors");
    }
}

/// XListenerSet's listener status carried the port.
fn convert_listener_set_status(object: &mut Map<String, Value>, notes: &mut Vec<ConversionNote>) {
    let listeners = child(object, "status").and_then(|status| status.get_mut("listeners"));
    let listeners = listeners.and_then(Value::as_array_mut).into_iter().flatten();
    for (index, listener) in listeners.enumerate() {
        let port = listener.as_object_mut().and_then(|listener| listener.remove("port"));
        if port.is_some() {
            let path = format!("status.listeners[{index}].port");
            notes.push(ConversionNote { path, moved_to: None });
        }
    }
}

/// Whether a block was written before 1.7.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Old,
    /// Only its fields can tell.
    Unknown,
}

/// Session persistence until 1.6 had `sessionName`, `idleTimeout` and `cookieConfig`, and did not
/// need a member for its type: what it left out was the implementation's choice.
fn convert_persistence(
    holder: &mut Map<String, Value>,
    path: &str,
    age: Age,
    notes: &mut Vec<ConversionNote>,
) {
    let Some(persistence) = child(holder, "sessionPersistence") else {
        return;
    };
    let old = age == Age::Old || OLD_PERSISTENCE.iter().any(|name| persistence.contains_key(*name));
    if persistence.remove("idleTimeout").is_some() {
        notes.push(ConversionNote { path: format!("{path}.idleTimeout"), moved_to: None });
    }
    if let Some(config) = persistence.remove("cookieConfig") {
        persistence.entry("cookie").or_insert(config);
        moved(notes, &format!("{path}.cookieConfig"), &format!("{path}.cookie"));
    }
    if let Some(name) = persistence.remove("sessionName") {
        let by_header = persistence.get("type").and_then(Value::as_str) == Some("Header");
        let member = if by_header { "header" } else { "cookie" };
        let config = persistence.entry(member).or_insert_with(|| Value::Object(Map::new()));
        if let Some(config) = config.as_object_mut() {
            config.entry("name").or_insert(name);
        }
        moved(notes, &format!("{path}.sessionName"), &format!("{path}.{member}.name"));
    }
    let by_cookie = persistence.get("type").is_none_or(|kind| kind.as_str() == Some("Cookie"));
    if old && by_cookie {
        persistence.entry("cookie").or_insert_with(|| Value::Object(Map::new()));
    }
}

/// Members that 1.7 has no more.
const OLD_PERSISTENCE: [&str; 3] = ["sessionName", "cookieConfig", "idleTimeout"];

fn is_old_persistence(persistence: &Value) -> bool {
    OLD_PERSISTENCE.iter().any(|name| persistence.get(name).is_some())
}

fn child<'a>(object: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Map<String, Value>> {
    object.get_mut(name)?.as_object_mut()
}

fn set(object: &mut Map<String, Value>, name: &str, text: &str) {
    object.insert(name.to_owned(), Value::String(text.to_owned()));
}

fn moved(notes: &mut Vec<ConversionNote>, from: &str, to: &str) {
    notes.push(ConversionNote { path: from.to_owned(), moved_to: Some(to.to_owned()) });
}
