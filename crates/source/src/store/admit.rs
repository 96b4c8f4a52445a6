//! One object of a file: its identity, the API server's verdict, and what is served of it.

use std::{ops::Range, sync::Arc};

use api::{
    Conversion, DecodeIssue, EndpointSlice, GATEWAY_GROUP, GATEWAY_X_GROUP, KindInfo, Object,
    conversion, kinds,
    schema::{Validator, ViolationKind},
};
use serde_json::{Map, Value};
use translate::{Code, ObjectRef, Severity};

use super::reference::{Reference, references};
use crate::{
    backend::{self, DEFAULT_NAMESPACE},
    yaml::{SpanTree, TEMPLATE_HINT},
};

/// What is known of one object of a document. It depends on the document's text alone.
#[derive(Debug)]
pub(super) struct Item {
    /// Where the object stands in its document's fields: empty, or `items[3]` in a list.
    pub(super) prefix: String,
    /// Bytes of its text that stand for it when no field is meant.
    pub(super) span: Range<usize>,
    /// Absent when the document does not even name an object.
    pub(super) identity: Option<ObjectRef>,
    pub(super) admitted: Option<Admitted>,
    pub(super) findings: Vec<Finding>,
    pub(super) conversion: Option<Conversion>,
}

/// An object that an API server would take.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) object: Object,
    pub(super) issues: Arc<[DecodeIssue]>,
    /// Whether the text itself gives `metadata.generation`.
    pub(super) generation_given: bool,
    pub(super) references: Vec<Reference>,
    /// Of a Service or XBackend that names its endpoints by annotation.
    pub(super) slices: Option<Vec<Arc<EndpointSlice>>>,
}

/// Something to say about an object.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) code: Code,
    pub(super) severity: Severity,
    pub(super) span: Range<usize>,
    pub(super) field: String,
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// Nothing says that the document is a Kubernetes object at all.
    pub(super) foreign: bool,
}

impl Finding {
    fn new(code: Code, span: Range<usize>, field: &str, message: String) -> Self {
        Self {
            code,
            severity: code.severity(),
            span,
            field: field.to_owned(),
            message,
            hint: None,
            foreign: false,
        }
    }

    fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

/// The label by which selectors find a namespace by name; the API server sets it.
pub(super) const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// What is said of a value in a Secret that is refused.
const SECRET_VALUE: &str = "the value, which is not shown, does not fit: `data` maps names to base64, `stringData` maps names to text";

/// Judges one object. `prefix` is its place in the document.
pub(super) fn admit(value: Value, prefix: String, spans: &SpanTree, text: &str) -> Item {
    let whole = spans.find(&prefix);
    let first_line = text.get(whole.value.clone()).and_then(|t| t.lines().next());
    let start = whole.value.start;
    let mut item = Item {
        span: start..start.saturating_add(first_line.map_or(0, str::len)),
        prefix,
        identity: None,
        admitted: None,
        findings: Vec::new(),
        conversion: None,
    };
    let Some((value, info)) = item.envelope(value, spans, text) else { return item };
    let (value, conversion) = {
        let (value, conversion) = conversion::to_newest(&value);
        (value.into_owned(), conversion)
    };
    item.conversion = conversion;
    item.judge(value, info, spans, text);
    item
}

impl Item {
    fn find(&self, spans: &SpanTree, text: &str, field: &str) -> Range<usize> {
        let written = written_path(field, self.conversion.as_ref());
        if written.is_empty() {
            return self.span.clone();
        }
        let found = spans.find(&join(&self.prefix, &written));
        if found.path == self.prefix { self.span.clone() } else { found.highlight(text) }
    }

    /// Group, version, kind, namespace and name. Nothing if there is no object to speak of.
    fn envelope(
        &mut self,
        mut value: Value,
        spans: &SpanTree,
        text: &str,
    ) -> Option<(Value, Option<&'static KindInfo>)> {
        let Some(fields) = value.as_object_mut() else {
            let message = "the document is not a Kubernetes object: it is not a map".to_owned();
            self.not_an_object(message, true, text);
            return None;
        };
        let field = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        let (api_version, kind) = (field("apiVersion"), field("kind"));
        let missing = match (api_version.is_empty(), kind.is_empty()) {
            (true, true) => "it has neither `apiVersion` nor `kind`",
            (true, false) => "it has no `apiVersion`",
            (false, true) => "it has no `kind`",
            (false, false) => "",
        };
        if !missing.is_empty() {
            let message = format!("the document is not a Kubernetes object: {missing}");
            self.not_an_object(message, api_version.is_empty() && kind.is_empty(), text);
            return None;
        }
        let (group, version) = conversion::split_api_version(&api_version);
        let info = kinds::find(group, &kind);
        match info {
            Some(info) => self.check_version(info, version, spans, text),
            None => self.check_unknown_kind(group, &kind, spans, text),
        }
        let cluster = info.is_some_and(|info| info.scope == kinds::Scope::Cluster);
        let metadata = fields.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
        if let Some(metadata) = metadata.as_object_mut() {
            if cluster {
                metadata.remove("namespace");
            } else if metadata.get("namespace").is_none_or(|n| n.is_null() || n == "") {
                metadata.insert("namespace".to_owned(), DEFAULT_NAMESPACE.into());
            }
        }
        Some((value, info))
    }

    fn not_an_object(&mut self, message: String, foreign: bool, text: &str) {
        let hint = text.contains("{{").then(|| TEMPLATE_HINT.to_owned());
        let finding = Finding::new(Code::NotAnObject, self.span.clone(), "", message).hint(hint);
        self.findings.push(Finding { foreign, ..finding });
    }

    fn check_version(&mut self, info: &KindInfo, version: &str, spans: &SpanTree, text: &str) {
        let newest =
            info.replaced_by.and_then(|(group, kind)| kinds::find(group, kind)).unwrap_or(info);
        let best = newest.versions.first().map_or("", |version| version.name);
        let write = format!(
            "write `apiVersion: {}` and `kind: {}`",
            api::resource::api_version(newest.group, best),
            newest.kind
        );
        let span = self.find(spans, text, "apiVersion");
        let kind = info.kind;
        match info.versions.iter().find(|candidate| candidate.name == version) {
            None => {
                let message = format!("{kind} has no version {version}");
                let finding = Finding::new(Code::UnknownVersion, span, "apiVersion", message);
                self.findings.push(finding.hint(Some(write)));
            }
            Some(found) if found.deprecated => {
                let message = if found.served_by_1_7() {
                    format!("version {version} of {kind} is deprecated")
                } else {
                    format!(
                        "version {version} of {kind} is no longer served; it is read as {} {best}",
                        newest.kind
                    )
                };
                let finding = Finding::new(Code::DeprecatedVersion, span, "apiVersion", message);
                self.findings.push(finding.hint(Some(write)));
            }
            Some(_) => {}
        }
    }

    fn check_unknown_kind(&mut self, group: &str, kind: &str, spans: &SpanTree, text: &str) {
        let ours = is_gateway_group(group);
        let Some(near) = kinds::nearest(kind) else {
            if ours {
                let message = format!("the group {group} has no kind {kind}");
                let span = self.find(spans, text, "kind");
                let finding = Finding::new(Code::UnknownKind, span, "kind", message);
                self.findings.push(Finding { severity: Severity::Error, ..finding });
            }
            return;
        };
        // Other projects have kinds of the same name in groups of their own.
        let near_ours = is_gateway_group(near.group);
        let core = group.is_empty();
        let same_kind = near.kind == kind;
        if !ours && !(near_ours && (!same_kind || core || group.ends_with("networking.k8s.io"))) {
            return;
        }
        let (field, wrong) = if same_kind && core {
            (
                "apiVersion",
                format!("the apiVersion names no group, and the core group has no {kind}"),
            )
        } else if same_kind {
            ("apiVersion", format!("the kind {kind} is not in the group {group}"))
        } else {
            ("kind", format!("the group {group} has no kind {kind}"))
        };
        let version = near.versions.first().map_or("", |version| version.name);
        let hint = format!(
            "did you mean `apiVersion: {}` and `kind: {}`?",
            api::resource::api_version(near.group, version),
            near.kind
        );
        let span = self.find(spans, text, field);
        let finding = Finding::new(Code::UnknownKind, span, field, wrong).hint(Some(hint));
        // kubectl refuses a kind that its group does not have.
        let severity =
            if ours || (core && same_kind) { Severity::Error } else { Severity::Warning };
        self.findings.push(Finding { severity, ..finding });
    }

    /// Identity and verdict of an object in the newest shape.
    fn judge(
        &mut self,
        mut value: Value,
        info: Option<&'static KindInfo>,
        spans: &SpanTree,
        text: &str,
    ) {
        let identity = identity(&value);
        if identity.name.is_empty() {
            let span = self.find(spans, text, "metadata.name");
            let message = format!("this {} has no `metadata.name`", identity.kind);
            self.findings.push(Finding::new(Code::SchemaViolation, span, "metadata.name", message));
            return;
        }
        let generation_given = value.pointer("/metadata/generation").is_some_and(Value::is_i64);
        set_metadata(&mut value, &identity, !generation_given);
        let refused = self.findings.iter().any(|finding| finding.severity == Severity::Error);
        let valid = info.is_none() || self.validate(&mut value, &identity, spans, text);
        let references = references(&value, &identity);
        let decoded = Object::decode(&value);
        let mut slices = None;
        match backend::annotated(&decoded.object) {
            None => {}
            Some(Ok(found)) => slices = Some(found),
            Some(Err(why)) => {
                let field = format!("metadata.annotations[{}]", backend::ENDPOINTS_ANNOTATION);
                let span = self.find(spans, text, &field);
                let message = format!("the endpoints of {identity} cannot be used: {why}");
                let code = Code::ServiceSettingInvalid;
                self.findings.push(Finding::new(code, span, &field, message));
            }
        }
        self.identity = Some(identity);
        if valid && !refused {
            self.admitted = Some(Admitted {
                object: decoded.object,
                issues: decoded.issues.into(),
                generation_given,
                references,
                slices,
            });
        }
    }

    /// Asks the schema. True if the object is admitted; `value` is then what would be stored.
    fn validate(
        &mut self,
        value: &mut Value,
        identity: &ObjectRef,
        spans: &SpanTree,
        text: &str,
    ) -> bool {
        let verdict = Validator::new().validate(value);
        let admitted = verdict.is_admitted();
        for violation in verdict.errors.iter().chain(&verdict.warnings) {
            let code = match violation.kind {
                ViolationKind::Rule => Code::RuleViolation,
                ViolationKind::UnknownField => Code::UnknownField,
                ViolationKind::Required
                | ViolationKind::TypeInvalid
                | ViolationKind::Invalid
                | ViolationKind::TooLong
                | ViolationKind::TooMany
                | ViolationKind::NotSupported
                | ViolationKind::Duplicate
                | ViolationKind::Forbidden => Code::SchemaViolation,
                // The version was judged above, as written; skipped rules are no fault.
                ViolationKind::RulesSkipped | ViolationKind::Deprecated => continue,
            };
            let written = written_path(&violation.path, self.conversion.as_ref());
            let mut span = self.find(spans, text, &violation.path);
            let secret = identity.group.is_empty() && &*identity.kind == "Secret";
            // The API server's words show the value.
            let why = if secret { SECRET_VALUE } else { &*violation.message };
            let message = if code == Code::UnknownField {
                span = spans.find(&join(&self.prefix, &written)).key.unwrap_or(span);
                format!("{} has no field {written}; it is ignored", identity.kind)
            } else if written.is_empty() {
                format!("{identity} is not valid: {why}")
            } else {
                format!("{identity} is not valid: {written}: {why}")
            };
            let hint = violation.hint.as_ref().map(|name| format!("did you mean `{name}`?"));
            self.findings.push(Finding::new(code, span, &written, message).hint(hint));
        }
        admitted
    }
}

fn identity(value: &Value) -> ObjectRef {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or("");
    let (group, _) = conversion::split_api_version(text("/apiVersion"));
    ObjectRef::new(group, text("/kind"), text("/metadata/namespace"), text("/metadata/name"))
}

/// Whether a group is one of the Gateway API's.
fn is_gateway_group(group: &str) -> bool {
    group == GATEWAY_GROUP || group == GATEWAY_X_GROUP
}

/// What an API server adds to the metadata on its own.
fn set_metadata(value: &mut Value, identity: &ObjectRef, count_generation: bool) {
    let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if count_generation && is_gateway_group(&identity.group) {
        metadata.insert("generation".to_owned(), 1.into());
    }
    if identity.group.is_empty() && &*identity.kind == "Namespace" {
        let labels = metadata.entry("labels").or_insert_with(|| Value::Object(Map::new()));
        if let Some(labels) = labels.as_object_mut() {
            labels.insert(NAMESPACE_NAME_LABEL.to_owned(), (&*identity.name).into());
        }
    }
}

/// A path below another.
pub(super) fn join(prefix: &str, field: &str) -> String {
    if prefix.is_empty() {
        field.to_owned()
    } else if field.is_empty() || field.starts_with('[') {
        format!("{prefix}{field}")
    } else {
        format!("{prefix}.{field}")
    }
}

/// The path that a field of the newest shape has in the text.
pub(super) fn written_path(field: &str, conversion: Option<&Conversion>) -> String {
    let notes = conversion.map_or(&[][..], |conversion| &conversion.notes);
    let moved = notes.iter().filter_map(|note| {
        let rest = field.strip_prefix(note.moved_to.as_deref()?)?;
        let whole = rest.is_empty() || rest.starts_with(['.', '[']);
        whole.then(|| (rest.len(), format!("{}{rest}", note.path)))
    });
    // The note about the innermost field says most.
    moved.min_by_key(|(rest, _)| *rest).map_or_else(|| field.to_owned(), |(_, path)| path)
}
