//! The order of the checks, and what becomes of their findings.

use super::{
    defaults,
    digest::{Channel, Digest, Version},
    go_text, list_type,
    metadata::{self, NameRule},
    prune::{self, Unknown},
    registry::{self, Coverage, Found, Lookup},
    rules, structure,
    violation::{Violation, ViolationKind},
};
use crate::limits::VIOLATIONS_MAX;
use serde_json::Value;

/// What an unknown field is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownFields {
    /// A warning, and the field is dropped: the API server's own behaviour.
    #[default]
    Warn,
    /// An error: kubectl's default (`--validate=strict`).
    Refuse,
}

/// Judges objects as an API server with the CRDs of Gateway API 1.7 would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validator {
    /// The release channel whose CRDs judge.
    pub channel: Channel,
    /// What an unknown field is.
    pub unknown_fields: UnknownFields,
}

/// What was found about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why an API server would refuse the object. Empty when it would admit it.
    pub errors: Vec<Violation>,
    /// What it would warn of.
    pub warnings: Vec<Violation>,
    /// What the object was judged by.
    pub coverage: Coverage,
    /// Whether more than [`VIOLATIONS_MAX`] errors or warnings were found.
    pub truncated: bool,
}

impl Verdict {
    /// Whether an API server would admit the object.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.errors.is_empty()
    }
}

impl Validator {
    /// A validator for the experimental channel that warns of unknown fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Judges a new object, and leaves in `object` what the API server would store: without
    /// unknown fields and nulls, with defaults.
    pub fn validate(&self, object: &mut Value) -> Verdict {
        self.judge(object, None)
    }

    /// Judges a change: as [`Self::validate`], and the transition rules are evaluated against
    /// `old`, the stored object before.
    pub fn validate_update(&self, object: &mut Value, old: &Value) -> Verdict {
        self.judge(object, Some(old))
    }

    /// The fields of a validated object that only the experimental channel knows, by their paths.
    #[must_use]
    pub fn experimental_fields(object: &Value) -> Vec<String> {
        let Lookup::Found(found) = lookup(object) else { return Vec::new() };
        let (Some(standard), Some(_)) = (&found.version.standard, &found.version.experimental)
        else {
            return Vec::new();
        };
        let mut unknown = Vec::new();
        prune::root(&mut object.clone(), &standard.root, &mut unknown);
        unknown.into_iter().map(|unknown| unknown.path).collect()
    }

    fn judge(&self, object: &mut Value, old: Option<&Value>) -> Verdict {
        let mut judge = Judge { errors: Vec::new(), warnings: Vec::new() };
        let coverage = match lookup(object) {
            Lookup::Unknown => Coverage::Unknown,
            Lookup::Envelope => {
                self.judge_metadata(object, NameRule::Subdomain, true, &mut judge);
                Coverage::Envelope
            }
            Lookup::Found(found) => self.judge_found(object, old, &found, &mut judge),
        };
        judge.verdict(coverage)
    }

    fn judge_found(
        &self,
        object: &mut Value,
        old: Option<&Value>,
        found: &Found,
        judge: &mut Judge,
    ) -> Coverage {
        // A kind of the experimental channel alone is judged by that channel.
        let schema = found
            .version
            .schema(self.channel)
            .or(found.version.experimental.as_ref())
            .or(found.version.standard.as_ref());
        let Some(schema) = schema else { return Coverage::Envelope };
        let served = found.version.schema(self.channel).is_some_and(|schema| schema.served);
        let coverage = coverage(found.version, found.exact, served);
        if let Coverage::Exact { deprecated: Some(text), .. } = &coverage {
            let note = Violation::note("apiVersion", ViolationKind::Deprecated, text.clone());
            judge.warnings.push(note);
        }
        let node = &*schema.root;
        let mut unknown = Vec::new();
        prune::root(object, node, &mut unknown);
        self.report(unknown, judge);
        defaults::drop_nulls(object, node);
        defaults::fill(object, node);
        self.judge_metadata(object, name_rule(found.digest), found.digest.namespaced, judge);
        judge.errors.extend(structure::check(object, node, "").errors);
        list_type::check(object, node, "", &mut judge.errors);
        if !node.has_rules {
            return coverage;
        }
        if judge.errors.iter().any(|error| error.kind.blocks_rules()) {
            judge.errors.push(rules_skipped());
        } else {
            rules::check(object, old, node, &mut judge.errors);
        }
        coverage
    }

    fn judge_metadata(
        &self,
        object: &mut Value,
        rule: NameRule,
        namespaced: bool,
        judge: &mut Judge,
    ) {
        if let (Some(metadata), Some(node)) = (object.get_mut("metadata"), registry::metadata()) {
            let mut unknown = Vec::new();
            prune::below(metadata, node, "metadata", &mut unknown);
            self.report(unknown, judge);
            defaults::drop_nulls(metadata, node);
            // That it is an object at all is the object's own schema's check.
            if metadata.is_object() {
                judge.errors.extend(structure::check(metadata, node, "metadata").errors);
            }
        }
        metadata::check(object.get("metadata"), rule, namespaced, &mut judge.errors);
    }

    fn report(&self, unknown: Vec<Unknown>, judge: &mut Judge) {
        for Unknown { path, hint } in unknown {
            let text = format!("unknown field {}", go_text::quote(&path));
            let note = Violation::note(&path, ViolationKind::UnknownField, text);
            let note = Violation { hint, ..note };
            match self.unknown_fields {
                UnknownFields::Warn => judge.warnings.push(note),
                UnknownFields::Refuse => judge.errors.push(note),
            }
        }
    }
}

/// What was found so far.
struct Judge {
    errors: Vec<Violation>,
    warnings: Vec<Violation>,
}

impl Judge {
    fn verdict(mut self, coverage: Coverage) -> Verdict {
        let truncated = self.errors.len() > VIOLATIONS_MAX || self.warnings.len() > VIOLATIONS_MAX;
        self.errors.truncate(VIOLATIONS_MAX);
        self.warnings.truncate(VIOLATIONS_MAX);
        Verdict { errors: self.errors, warnings: self.warnings, coverage, truncated }
    }
}

fn lookup(object: &Value) -> Lookup {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    registry::lookup(text("apiVersion"), text("kind"))
}

fn coverage(version: &Version, exact: bool, served: bool) -> Coverage {
    if exact {
        Coverage::Exact { served, deprecated: version.deprecated.clone() }
    } else {
        Coverage::Substitute { version: version.name.clone() }
    }
}

fn name_rule(digest: &Digest) -> NameRule {
    match digest.kind.as_str() {
        "Namespace" | "Service" if digest.group.is_empty() => NameRule::Label,
        _ => NameRule::Subdomain,
    }
}

/// What the API server adds when errors kept it from evaluating rules.
fn rules_skipped() -> Violation {
    Violation::new(
        "",
        ViolationKind::RulesSkipped,
        Some("null".to_owned()),
        "some validation rules were not checked because the object was invalid; correct the existing \
         errors to complete validation",
    )
}
