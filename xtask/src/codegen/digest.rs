//! Turns the OpenAPI schemas of one kind's CRD into its digest.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Subtrees shorter than this are repeated rather than named: a reference would not be shorter.
const SMALLEST_SHARED: usize = 40;

/// Schema keywords that are copied as they are, in the order in which a digest writes them.
const COPIED: [(&str, &str); 20] = [
    ("type", "type"),
    ("x-kubernetes-int-or-string", "intOrString"),
    ("x-kubernetes-preserve-unknown-fields", "preserveUnknown"),
    ("x-kubernetes-embedded-resource", "embeddedResource"),
    ("nullable", "nullable"),
    ("format", "format"),
    ("pattern", "pattern"),
    ("enum", "enum"),
    ("default", "default"),
    ("minLength", "minLength"),
    ("maxLength", "maxLength"),
    ("minimum", "minimum"),
    ("maximum", "maximum"),
    ("minItems", "minItems"),
    ("maxItems", "maxItems"),
    ("minProperties", "minProperties"),
    ("maxProperties", "maxProperties"),
    ("x-kubernetes-list-type", "listType"),
    ("x-kubernetes-list-map-keys", "mapKeys"),
    ("x-kubernetes-map-type", "mapType"),
];

/// Keywords with a nested schema, or a list of them.
const NESTED: [(&str, &str); 6] = [
    ("items", "items"),
    ("additionalProperties", "additional"),
    ("oneOf", "oneOf"),
    ("anyOf", "anyOf"),
    ("allOf", "allOf"),
    ("not", "not"),
];

/// Keywords that decide nothing.
const DROPPED: [&str; 4] = ["description", "title", "example", "externalDocs"];

/// One kind, gathered from both channels.
#[derive(Default)]
pub(crate) struct Kind {
    header: Map<String, Value>,
    versions: BTreeMap<String, Map<String, Value>>,
}

impl Kind {
    pub(crate) fn add_channel(&mut self, channel: &str, crd: &Value) -> anyhow::Result<()> {
        for (key, pointer) in [
            ("group", "/spec/group"),
            ("kind", "/spec/names/kind"),
            ("plural", "/spec/names/plural"),
            ("scope", "/spec/scope"),
        ] {
            let value = crd.pointer(pointer).with_context(|| format!("a CRD without {pointer}"))?;
            if self
                .header
                .insert(key.to_owned(), value.clone())
                .is_some_and(|before| before != *value)
            {
                bail!("the channels disagree about {key}");
            }
        }
        let versions = crd
            .pointer("/spec/versions")
            .and_then(Value::as_array)
            .context("a CRD without versions")?;
        for version in versions {
            let name =
                version.get("name").and_then(Value::as_str).context("a version without a name")?;
            let schema = version
                .pointer("/schema/openAPIV3Schema")
                .with_context(|| format!("version {name} has no schema"))?;
            let entry = self.versions.entry(name.to_owned()).or_default();
            if let Some(warning) = version.get("deprecationWarning") {
                entry.insert("deprecated".to_owned(), warning.clone());
            }
            let served = version.get("served").cloned().unwrap_or(Value::Bool(false));
            entry.insert(channel.to_owned(), json!({"served": served, "schema": node(schema)?}));
        }
        Ok(())
    }

    /// The digest as text: one line per version and per shared subtree, so that a diff is readable.
    pub(crate) fn render(&self, source: &str) -> anyhow::Result<String> {
        let versions: Vec<Value> = self
            .versions
            .iter()
            .map(|(name, version)| {
                let mut map = Map::new();
                map.insert("name".to_owned(), Value::String(name.clone()));
                map.extend(version.clone());
                Value::Object(map)
            })
            .collect();
        let mut sharing = Sharing::default();
        for version in &versions {
            each_root(version, |root| sharing.count(root));
        }
        let mut lines = Vec::new();
        for version in versions {
            let mut version = version;
            if let Some(map) = version.as_object_mut() {
                for channel in super::CHANNELS {
                    if let Some(schema) =
                        map.get_mut(channel).and_then(|channel| channel.get_mut("schema"))
                    {
                        *schema = sharing.replace(schema, true);
                    }
                }
            }
            lines.push(version.to_string());
        }
        let mut header = Map::new();
        header.insert("source".to_owned(), json!(source));
        header.insert("license".to_owned(), json!("Apache-2.0"));
        header.extend(self.header.clone());
        let header = Value::Object(header).to_string();
        let header = header.strip_suffix('}').context("a header is an object")?;
        let shared: Vec<String> =
            sharing.written.iter().map(|(name, text)| format!("\"{name}\":{text}")).collect();
        Ok(format!(
            "{header},\"versions\":[\n{}\n],\"shared\":{{\n{}\n}}}}\n",
            lines.join(",\n"),
            shared.join(",\n")
        ))
    }
}

fn each_root<'a>(version: &'a Value, mut visit: impl FnMut(&'a Value)) {
    for channel in super::CHANNELS {
        if let Some(schema) = version.get(channel).and_then(|channel| channel.get("schema")) {
            visit(schema);
        }
    }
}

/// Digests one schema node. A keyword that is neither kept nor known to be prose is an error: nothing that decides a verdict may be lost.
fn node(schema: &Value) -> anyhow::Result<Value> {
    let schema = schema.as_object().context("a schema that is no object")?;
    let mut out = Map::new();
    for (keyword, short) in COPIED {
        if let Some(value) = schema.get(keyword) {
            out.insert(short.to_owned(), value.clone());
        }
    }
    if let Some(required) = schema.get("required") {
        out.insert("required".to_owned(), required.clone());
    }
    if let Some(rules) = schema.get("x-kubernetes-validations").and_then(Value::as_array) {
        out.insert("rules".to_owned(), Value::Array(rules.clone()));
    }
    for (keyword, short) in NESTED {
        if let Some(value) = schema.get(keyword) {
            out.insert(short.to_owned(), nested(value)?);
        }
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let digested: anyhow::Result<Map<String, Value>> = properties
            .iter()
            .map(|(name, property)| {
                Ok((name.clone(), node(property).with_context(|| name.clone())?))
            })
            .collect();
        out.insert("properties".to_owned(), Value::Object(digested?));
    }
    for keyword in schema.keys() {
        let known = COPIED.iter().chain(&NESTED).any(|(name, _)| name == keyword)
            || DROPPED.contains(&keyword.as_str())
            || ["required", "properties", "x-kubernetes-validations"].contains(&keyword.as_str());
        if !known {
            bail!("the schema keyword {keyword} is new: teach the digest and its reader about it");
        }
    }
    Ok(Value::Object(out))
}

fn nested(value: &Value) -> anyhow::Result<Value> {
    match value {
        Value::Array(schemas) => schemas.iter().map(node).collect(),
        Value::Bool(_) => Ok(value.clone()),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Object(_) => node(value),
    }
}

/// Finds subtrees that occur more than once and gives them names.
#[derive(Default)]
struct Sharing {
    seen: BTreeSet<String>,
    repeated: BTreeSet<String>,
    names: BTreeMap<String, String>,
    written: Vec<(String, String)>,
}

impl Sharing {
    fn count(&mut self, node: &Value) {
        let text = node.to_string();
        if text.len() >= SMALLEST_SHARED && !self.seen.insert(text.clone()) {
            // Its children were counted when it was first met, and occur no more often because of it.
            self.repeated.insert(text);
            return;
        }
        children(node, |child| self.count(child));
    }

    fn replace(&mut self, node: &Value, root: bool) -> Value {
        let text = node.to_string();
        if !self.repeated.contains(&text) {
            return self.inline(node);
        }
        if let Some(name) = self.names.get(&text) {
            return Value::String(name.clone());
        }
        let body = self.inline(node).to_string();
        let name = format!("{}{}", if root { "root" } else { "" }, self.written.len());
        self.written.push((name.clone(), body));
        self.names.insert(text, name.clone());
        Value::String(name)
    }

    fn inline(&mut self, node: &Value) -> Value {
        let Some(map) = node.as_object() else { return node.clone() };
        let mut out = Map::new();
        for (key, value) in map {
            let replaced = match (key.as_str(), value) {
                ("properties", Value::Object(properties)) => properties
                    .iter()
                    .map(|(name, property)| (name.clone(), self.replace(property, false)))
                    .collect::<Map<_, _>>()
                    .into(),
                ("oneOf" | "anyOf" | "allOf", Value::Array(list)) => {
                    list.iter().map(|item| self.replace(item, false)).collect()
                }
                ("items" | "additional" | "not", Value::Object(_)) => self.replace(value, false),
                _ => value.clone(),
            };
            out.insert(key.clone(), replaced);
        }
        Value::Object(out)
    }
}

fn children<'a>(node: &'a Value, mut visit: impl FnMut(&'a Value)) {
    let Some(map) = node.as_object() else { return };
    for (key, value) in map {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values().for_each(&mut visit),
            ("oneOf" | "anyOf" | "allOf", Value::Array(list)) => list.iter().for_each(&mut visit),
            ("items" | "additional" | "not", Value::Object(_)) => visit(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crd(maximum: i64) -> Value {
        let port = json!({"type": "integer", "format": "int32", "minimum": 1, "maximum": maximum, "description": "prose"});
        json!({"spec": {
            "group": "example.dev", "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
            "versions": [{"name": "v1", "served": true, "schema": {"openAPIV3Schema": {
                "type": "object", "description": "prose",
                "properties": {"port": port, "other": port, "description": {"type": "string"}}}}}]}})
    }

    #[test]
    fn a_digest_drops_prose_keeps_properties_of_that_name_and_writes_repeated_subtrees_once() {
        let mut kind = Kind::default();
        kind.add_channel("standard", &crd(65535)).unwrap();
        kind.add_channel("experimental", &crd(65535)).unwrap();
        let text = kind.render("test").unwrap();
        assert!(!text.contains("prose"), "{text}");
        assert_eq!(text.matches("65535").count(), 1, "{text}");
        let digest: Value = serde_json::from_str(&text).unwrap();
        let version = digest.pointer("/versions/0").unwrap();
        assert_eq!(version.pointer("/standard"), version.pointer("/experimental"));
        assert!(text.contains(r#""description":{"type":"string"}"#), "{text}");
    }

    #[test]
    fn channels_that_differ_keep_their_own_schema() {
        let mut kind = Kind::default();
        kind.add_channel("standard", &crd(65535)).unwrap();
        kind.add_channel("experimental", &crd(1024)).unwrap();
        let text = kind.render("test").unwrap();
        assert!(text.contains("65535") && text.contains("1024"), "{text}");
    }

    #[test]
    fn an_unknown_keyword_is_refused() {
        let error = node(&json!({"type": "integer", "multipleOf": 2})).unwrap_err();
        assert!(error.to_string().contains("multipleOf"), "{error}");
    }
}
