//! What lint reports.

use std::fmt;

use api::Conversion;
use ir::{ObjectRef, Origin};
use serde_json::Value;
use translate::{Code, Diagnostic, Severity};

/// How much a finding weighs, after configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warning,
    Note,
    /// Not reported.
    Off,
}

impl Level {
    pub const ALL: [Self; 4] = [Self::Error, Self::Warning, Self::Note, Self::Off];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
            Self::Off => "off",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Error => Self::Error,
            Severity::Warning => Self::Warning,
            Severity::Note => Self::Note,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing to say about one field of one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub code: Code,
    pub level: Level,
    pub origin: Origin,
    /// One sentence in lower case without a full stop.
    pub message: String,
    /// Other places that matter, each with the reason.
    pub related: Vec<(Origin, String)>,
    /// What it does to traffic.
    pub effect: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    pub fix: Option<Fix>,
}

impl Finding {
    /// A finding of the code's own level.
    pub fn new(code: Code, origin: Origin, message: impl Into<String>) -> Self {
        Self {
            code,
            level: code.severity().into(),
            origin,
            message: message.into(),
            related: Vec::new(),
            effect: None,
            hint: None,
            fix: None,
        }
    }

    #[must_use]
    pub fn with_related(mut self, origin: Origin, why: impl Into<String>) -> Self {
        self.related.push((origin, why.into()));
        self
    }

    #[must_use]
    pub fn with_effect(mut self, effect: impl Into<String>) -> Self {
        self.effect = Some(effect.into());
        self
    }

    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn with_fix(mut self, fix: Fix) -> Self {
        self.fix = Some(fix);
        self
    }

    /// What stays the same when messages change: code, object and field.
    pub fn fingerprint(&self) -> String {
        let Origin { object, field } = &self.origin;
        format!("{} {object} {field}", self.code.id()).trim_end().to_owned()
    }
}

impl From<&Diagnostic> for Finding {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            code: diagnostic.code,
            level: diagnostic.severity().into(),
            origin: diagnostic.origin.clone(),
            message: diagnostic.message.clone(),
            related: diagnostic.related.clone(),
            effect: diagnostic.effect.clone(),
            hint: diagnostic.hint.clone(),
            fix: None,
        }
    }
}

/// New values for fields of one object. Whoever has the text applies them.
#[derive(Clone, Debug, PartialEq)]
pub struct Fix {
    /// What it does, in the imperative: `write apiVersion gateway.networking.k8s.io/v1`.
    pub title: String,
    /// Whether the meaning of the object stays the same; only such fixes are applied unasked.
    pub safe: bool,
    pub edits: Vec<Replacement>,
}

/// A new value for a field that exists.
#[derive(Clone, Debug, PartialEq)]
pub struct Replacement {
    pub origin: Origin,
    pub value: Value,
}

/// The fix for an object that was written in an old version: it is safe when nothing but
/// `apiVersion` (and `kind`) differs from the newest shape.
///
/// `object` is how the object is named in the newest shape, as everywhere else.
pub fn version_fix(object: &ObjectRef, conversion: &Conversion) -> Option<Fix> {
    if !conversion.notes.is_empty() {
        return None;
    }
    let object = std::sync::Arc::new(object.clone());
    let edit = |field: &str, value: &str| Replacement {
        origin: Origin::new(std::sync::Arc::clone(&object), field),
        value: value.into(),
    };
    let mut edits = Vec::new();
    let mut title = Vec::new();
    if conversion.from_api_version != conversion.to_api_version {
        edits.push(edit("apiVersion", &conversion.to_api_version));
        title.push(format!("apiVersion {}", conversion.to_api_version));
    }
    if conversion.from_kind != conversion.to_kind {
        edits.push(edit("kind", &conversion.to_kind));
        title.push(format!("kind {}", conversion.to_kind));
    }
    let title = format!("write {}", title.join(" and "));
    (!edits.is_empty()).then_some(Fix { title, safe: true, edits })
}
