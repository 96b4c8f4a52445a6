//! The digested schema as data: read once per kind, on first use.

use super::rules::{Compiled, Rule};
use regex::Regex;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
};

/// A release channel of the Gateway API's CRDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// What is generally available.
    Standard,
    /// The standard channel and what is still experimental: the one that takes every object that
    /// either channel takes, apart from a few changed limits.
    #[default]
    Experimental,
}

/// One kind with all its versions.
#[derive(Debug)]
pub(super) struct Digest {
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) namespaced: bool,
    pub(super) versions: Vec<Version>,
}

/// One version of a kind, in the channels that have it.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) deprecated: Option<String>,
    pub(super) standard: Option<Schema>,
    pub(super) experimental: Option<Schema>,
}

impl Version {
    pub(super) fn schema(&self, channel: Channel) -> Option<&Schema> {
        match channel {
            Channel::Standard => self.standard.as_ref(),
            Channel::Experimental => self.experimental.as_ref(),
        }
    }
}

/// A version's schema in one channel.
#[derive(Debug)]
pub(super) struct Schema {
    /// Whether an API server offers this version.
    pub(super) served: bool,
    pub(super) root: Arc<Node>,
}

/// The JSON type that a schema asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Type {
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ListType {
    #[default]
    Atomic,
    Set,
    Map,
}

/// What an object schema says about keys that are not properties.
#[derive(Debug)]
pub(super) enum Additional {
    /// Unknown keys are dropped.
    None,
    /// Any value.
    Any,
    /// Values of this schema.
    Schema(Arc<Node>),
}

/// One node of a schema.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) types: Type,
    pub(super) int_or_string: bool,
    pub(super) preserve_unknown: bool,
    pub(super) nullable: bool,
    pub(super) format: Option<String>,
    pub(super) pattern: Option<Arc<Pattern>>,
    pub(super) enumeration: Vec<Value>,
    pub(super) default: Option<Value>,
    pub(super) min_length: Option<u64>,
    pub(super) max_length: Option<u64>,
    pub(super) minimum: Option<i64>,
    pub(super) maximum: Option<i64>,
    pub(super) min_items: Option<u64>,
    pub(super) max_items: Option<u64>,
    pub(super) min_properties: Option<u64>,
    pub(super) max_properties: Option<u64>,
    pub(super) list_type: ListType,
    pub(super) map_keys: Vec<String>,
    pub(super) required: Vec<String>,
    pub(super) rules: Vec<Rule>,
    pub(super) properties: BTreeMap<String, Arc<Node>>,
    pub(super) additional: Additional,
    pub(super) items: Option<Arc<Node>>,
    pub(super) one_of: Vec<Arc<Node>>,
    pub(super) any_of: Vec<Arc<Node>>,
    pub(super) all_of: Vec<Arc<Node>>,
    pub(super) not: Option<Arc<Node>>,
    /// Whether a rule stands here or below.
    pub(super) has_rules: bool,
    /// Whether a default stands here or below.
    pub(super) has_defaults: bool,
}

impl Node {
    /// The schema of an object's entry: a property, else what free keys are.
    pub(super) fn entry(&self, key: &str) -> Option<&Arc<Self>> {
        match (self.properties.get(key), &self.additional) {
            (Some(property), _) => Some(property),
            (None, Additional::Schema(schema)) => Some(schema),
            (None, Additional::Any | Additional::None) => None,
        }
    }

    /// The schemas below this one that hold values of their own.
    pub(super) fn below(&self) -> impl Iterator<Item = &Arc<Self>> {
        let additional = match &self.additional {
            Additional::Schema(schema) => Some(schema),
            Additional::Any | Additional::None => None,
        };
        self.properties.values().chain(additional).chain(&self.items)
    }
}

/// A regular expression in Go's syntax, compiled on first use.
pub(super) struct Pattern {
    pub(super) source: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    /// Whether it matches; `None` when the expression itself is not usable.
    pub(super) fn matches(&self, text: &str) -> Option<bool> {
        let regex = self.compiled.get_or_init(|| Regex::new(&self.source).ok());
        regex.as_ref().map(|regex| regex.is_match(text))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

/// A digest as its file has it.
#[derive(Deserialize)]
struct RawDigest {
    group: String,
    kind: String,
    scope: String,
    versions: Vec<RawVersion>,
    #[serde(default)]
    shared: Shared,
}

/// The hand-written file: several kinds that share their parts.
#[derive(Deserialize)]
struct RawGroup {
    kinds: Vec<RawDigest>,
    shared: Shared,
}

/// Named subtrees in the order of the file: each uses only those before it.
#[derive(Default)]
struct Shared(Vec<(String, RawNode)>);

impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> de::Visitor<'de> for Entries {
            type Value = Shared;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("named subtrees")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Shared, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Shared(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[derive(Deserialize)]
struct RawVersion {
    name: String,
    deprecated: Option<String>,
    standard: Option<RawSchema>,
    experimental: Option<RawSchema>,
}

#[derive(Deserialize)]
struct RawSchema {
    served: bool,
    schema: Ref,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawNode {
    #[serde(default, rename = "type")]
    types: Type,
    #[serde(default)]
    int_or_string: bool,
    #[serde(default)]
    preserve_unknown: bool,
    #[serde(default)]
    nullable: bool,
    format: Option<String>,
    pattern: Option<String>,
    #[serde(default, rename = "enum")]
    enumeration: Vec<Value>,
    default: Option<Value>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    minimum: Option<i64>,
    maximum: Option<i64>,
    min_items: Option<u64>,
    max_items: Option<u64>,
    min_properties: Option<u64>,
    max_properties: Option<u64>,
    #[serde(default)]
    list_type: ListType,
    #[serde(default)]
    map_keys: Vec<String>,
    #[serde(default, rename = "mapType")]
    _map_type: Option<String>,
    #[serde(default)]
    required: Vec<String>,
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(default)]
    properties: BTreeMap<String, Ref>,
    additional: Option<Ref>,
    items: Option<Ref>,
    #[serde(default)]
    one_of: Vec<Ref>,
    #[serde(default)]
    any_of: Vec<Ref>,
    #[serde(default)]
    all_of: Vec<Ref>,
    not: Option<Ref>,
}

/// A schema in place, the name of a shared one, or `true` for any value.
enum Ref {
    Any,
    Name(String),
    Inline(Box<RawNode>),
}

impl<'de> Deserialize<'de> for Ref {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> de::Visitor<'de> for Either {
            type Value = Ref;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a schema, the name of one, or true")
            }
            fn visit_bool<E: de::Error>(self, _: bool) -> Result<Ref, E> {
                Ok(Ref::Any)
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Ref, E> {
                Ok(Ref::Name(name.to_owned()))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Ref, A::Error> {
                let node = RawNode::deserialize(de::value::MapAccessDeserializer::new(map))?;
                Ok(Ref::Inline(Box::new(node)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Reads the digest of one kind.
pub(super) fn read(text: &str) -> Result<Digest, serde_json::Error> {
    let mut raw: RawDigest = serde_json::from_str(text)?;
    let mut builder = Builder::default();
    builder.share(std::mem::take(&mut raw.shared))?;
    builder.digest(raw)
}

/// Reads a file with several kinds.
pub(super) fn read_group(text: &str) -> Result<Vec<Digest>, serde_json::Error> {
    let raw: RawGroup = serde_json::from_str(text)?;
    let mut builder = Builder::default();
    builder.share(raw.shared)?;
    raw.kinds.into_iter().map(|kind| builder.digest(kind)).collect()
}

/// Resolves names, so that a shared subtree, pattern or rule exists once in memory too.
#[derive(Default)]
struct Builder {
    shared: BTreeMap<String, Arc<Node>>,
    patterns: BTreeMap<String, Arc<Pattern>>,
    programs: BTreeMap<String, Arc<Compiled>>,
}

impl Builder {
    fn share(&mut self, shared: Shared) -> Result<(), serde_json::Error> {
        for (name, raw) in shared.0 {
            let node = self.node(raw)?;
            self.shared.insert(name, node);
        }
        Ok(())
    }

    fn digest(&mut self, raw: RawDigest) -> Result<Digest, serde_json::Error> {
        let versions = raw.versions.into_iter().map(|version| {
            Ok(Version {
                name: version.name,
                deprecated: version.deprecated,
                standard: version.standard.map(|schema| self.schema(schema)).transpose()?,
                experimental: version.experimental.map(|schema| self.schema(schema)).transpose()?,
            })
        });
        Ok(Digest {
            versions: versions.collect::<Result<_, serde_json::Error>>()?,
            group: raw.group,
            kind: raw.kind,
            namespaced: raw.scope == "Namespaced",
        })
    }

    fn schema(&mut self, raw: RawSchema) -> Result<Schema, serde_json::Error> {
        Ok(Schema { served: raw.served, root: self.resolve(raw.schema)? })
    }

    fn resolve(&mut self, reference: Ref) -> Result<Arc<Node>, serde_json::Error> {
        match reference {
            Ref::Any => self.node(serde_json::from_value(Value::Object(Map::new()))?),
            Ref::Inline(raw) => self.node(*raw),
            Ref::Name(name) => self
                .shared
                .get(&name)
                .cloned()
                .ok_or_else(|| de::Error::custom(format!("no shared schema {name}"))),
        }
    }

    fn list(&mut self, references: Vec<Ref>) -> Result<Vec<Arc<Node>>, serde_json::Error> {
        references.into_iter().map(|reference| self.resolve(reference)).collect()
    }

    fn node(&mut self, raw: RawNode) -> Result<Arc<Node>, serde_json::Error> {
        let mut properties = BTreeMap::new();
        for (name, reference) in raw.properties {
            properties.insert(name, self.resolve(reference)?);
        }
        let additional = match raw.additional {
            None => Additional::None,
            Some(Ref::Any) => Additional::Any,
            Some(reference) => Additional::Schema(self.resolve(reference)?),
        };
        let mut node = Node {
            types: raw.types,
            int_or_string: raw.int_or_string,
            preserve_unknown: raw.preserve_unknown,
            nullable: raw.nullable,
            format: raw.format,
            pattern: raw.pattern.map(|source| self.pattern(source)),
            enumeration: raw.enumeration,
            default: raw.default,
            min_length: raw.min_length,
            max_length: raw.max_length,
            minimum: raw.minimum,
            maximum: raw.maximum,
            min_items: raw.min_items,
            max_items: raw.max_items,
            min_properties: raw.min_properties,
            max_properties: raw.max_properties,
            list_type: raw.list_type,
            map_keys: raw.map_keys,
            required: raw.required,
            rules: self.rules(raw.rules),
            properties,
            additional,
            items: raw.items.map(|items| self.resolve(items)).transpose()?,
            one_of: self.list(raw.one_of)?,
            any_of: self.list(raw.any_of)?,
            all_of: self.list(raw.all_of)?,
            not: raw.not.map(|not| self.resolve(not)).transpose()?,
            has_rules: false,
            has_defaults: false,
        };
        node.has_rules = !node.rules.is_empty() || node.below().any(|below| below.has_rules);
        node.has_defaults = node.default.is_some() || node.below().any(|below| below.has_defaults);
        Ok(Arc::new(node))
    }

    fn rules(&mut self, mut rules: Vec<Rule>) -> Vec<Rule> {
        for rule in &mut rules {
            let program = self.programs.entry(rule.rule.clone()).or_default();
            rule.compiled = Arc::clone(program);
        }
        rules
    }

    fn pattern(&mut self, source: String) -> Arc<Pattern> {
        let pattern = self.patterns.entry(source.clone());
        Arc::clone(
            pattern.or_insert_with(|| Arc::new(Pattern { source, compiled: OnceLock::new() })),
        )
    }
}
