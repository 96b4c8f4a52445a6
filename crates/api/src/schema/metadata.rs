//! The checks of `metadata` that every kind shares.

use super::{
    go_text, names,
    violation::{Violation, ViolationKind},
};
use crate::limits::ANNOTATIONS_SIZE_MAX;
use serde_json::Value;

/// Which names a kind takes.
#[derive(Clone, Copy)]
pub(super) enum NameRule {
    Subdomain,
    Label,
}

impl NameRule {
    fn check(self, name: &str) -> Vec<String> {
        match self {
            Self::Subdomain => names::dns1123_subdomain(name),
            Self::Label => names::dns1123_label(name),
        }
    }
}

/// Checks name, namespace, labels and annotations. `metadata` may be absent, and so may the
/// namespace: a folder's objects are in `default` then.
pub(super) fn check(
    metadata: Option<&Value>,
    rule: NameRule,
    namespaced: bool,
    errors: &mut Vec<Violation>,
) {
    let text =
        |key: &str| metadata.and_then(|map| map.get(key)).and_then(Value::as_str).unwrap_or("");
    let generate = text("generateName");
    if !generate.is_empty() {
        invalid("metadata.generateName", generate, rule.check(&masked(generate)), errors);
    }
    let name = text("name");
    if !name.is_empty() {
        invalid("metadata.name", name, rule.check(name), errors);
    } else if generate.is_empty() {
        errors.push(Violation::new(
            "metadata.name",
            ViolationKind::Required,
            None,
            "name or generateName is required",
        ));
    }
    let namespace = text("namespace");
    if namespaced && !namespace.is_empty() {
        invalid("metadata.namespace", namespace, names::dns1123_label(namespace), errors);
    } else if !namespace.is_empty() {
        errors.push(Violation::new(
            "metadata.namespace",
            ViolationKind::Forbidden,
            None,
            "not allowed on this type",
        ));
    }
    labels(metadata.and_then(|map| map.get("labels")), errors);
    annotations(metadata.and_then(|map| map.get("annotations")), errors);
}

/// A prefix as it is checked: the generated part follows, so a dash at its end is as good as a letter.
fn masked(prefix: &str) -> String {
    let kept = prefix.len().checked_sub(2).and_then(|length| prefix.get(..length));
    match kept {
        Some(kept) if prefix.ends_with('-') => format!("{kept}a"),
        Some(_) | None => prefix.to_owned(),
    }
}

fn labels(labels: Option<&Value>, errors: &mut Vec<Violation>) {
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        invalid("metadata.labels", key, names::qualified_name(key), errors);
        if let Some(value) = value.as_str() {
            invalid("metadata.labels", value, names::label_value(value), errors);
        }
    }
}

fn annotations(annotations: Option<&Value>, errors: &mut Vec<Violation>) {
    let mut size = 0_usize;
    for (key, value) in annotations.and_then(Value::as_object).into_iter().flatten() {
        let key_errors = names::qualified_name(&key.to_ascii_lowercase());
        invalid("metadata.annotations", key, key_errors, errors);
        let value = value.as_str().map_or(0, str::len);
        size = size.saturating_add(key.len()).saturating_add(value);
    }
    if size > ANNOTATIONS_SIZE_MAX {
        errors.push(Violation::new(
            "metadata.annotations",
            ViolationKind::TooLong,
            None,
            format!("may not be more than {ANNOTATIONS_SIZE_MAX} bytes"),
        ));
    }
}

fn invalid(path: &str, value: &str, messages: Vec<String>, errors: &mut Vec<Violation>) {
    for message in messages {
        let value = Some(go_text::quote(value));
        errors.push(Violation::new(path, ViolationKind::Invalid, value, message));
    }
}
