//! Levels and suppressions, from a file and from annotations.

use std::{collections::BTreeMap, sync::Arc};

use api::DecodeIssue;
use ir::{ObjectRef, Origin};
use thiserror::Error;
use translate::{Code, Snapshot};

use super::{Finding, Level, sort, visit};

/// Annotation that suppresses findings about its object: `PC0806: reason; PC0801: reason`.
pub const LINT_IGNORE: &str = "portcullis.dev/lint-ignore";

/// What the file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LintConfig {
    severity: BTreeMap<Code, Level>,
    suppress: Vec<Suppression>,
}

/// Findings of one code about one object that are not reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    pub code: String,
    /// As findings name it: `HTTPRoute shop/cart`.
    pub object: String,
    /// Only findings at this field or below it; `None` is every field.
    pub field: Option<String>,
    pub reason: String,
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ConfigError {
    #[error("\"{code}\" is not a code{}", nearest.as_ref().map(|code| format!("; did you mean {code}?")).unwrap_or_default())]
    UnknownCode { code: String, nearest: Option<String> },
    #[error("{code} has level \"{level}\"; use error, warning, note or off")]
    UnknownLevel { code: String, level: String },
    #[error("suppression of {code} for {object} gives no reason; say why in reason")]
    NoReason { code: String, object: String },
    #[error("suppression of {code} names object \"{object}\"; write \"Kind namespace/name\"")]
    BadObject { code: String, object: String },
}

impl LintConfig {
    /// Checks what a file says: codes with levels, and suppressions.
    ///
    /// # Errors
    /// Everything that is wrong, in order.
    pub fn new(
        severity: impl IntoIterator<Item = (String, String)>,
        suppress: Vec<Suppression>,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut levels = BTreeMap::new();
        for (code, level) in severity {
            match (known_code(&code), Level::from_name(&level)) {
                (Ok(code), Some(level)) => {
                    levels.insert(code, level);
                }
                (Err(error), _) => errors.push(error),
                (Ok(_), None) => errors.push(ConfigError::UnknownLevel { code, level }),
            }
        }
        for one in &suppress {
            errors.extend(known_code(&one.code).err());
            let (code, object) = (one.code.clone(), one.object.clone());
            if object_of(&one.object).is_none() {
                errors.push(ConfigError::BadObject { code, object });
            } else if one.reason.trim().is_empty() {
                errors.push(ConfigError::NoReason { code, object });
            }
        }
        if errors.is_empty() { Ok(Self { severity: levels, suppress }) } else { Err(errors) }
    }

    /// Sets levels, takes out what is suppressed here or by annotation, and reports suppressions
    /// that give no reason or fit nothing. Findings that are off are gone.
    pub fn apply(&self, findings: Vec<Finding>, snapshot: &Snapshot) -> Vec<Finding> {
        let (mut rules, mut own) = annotations(snapshot);
        rules.extend(self.suppress.iter().filter_map(|one| {
            let object = Arc::new(object_of(&one.object)?);
            Some(Active {
                code: Code::from_id(&one.code)?,
                name: object.to_string(),
                field: one.field.clone().unwrap_or_default(),
                place: Origin::new(object, ""),
                used: false,
            })
        }));
        let mut kept: Vec<Finding> = Vec::new();
        for finding in findings {
            let mut suppressed = false;
            for rule in rules.iter_mut().filter(|rule| rule.fits(&finding)) {
                rule.used = true;
                suppressed = true;
            }
            if !suppressed {
                kept.push(finding);
            }
        }
        kept.append(&mut own);
        kept.extend(rules.iter().filter(|rule| !rule.used).map(|rule| {
            let message = format!(
                "the suppression of {} for {} suppresses nothing; remove it",
                rule.code, rule.name
            );
            Finding::new(Code::SuppressionUnused, rule.place.clone(), message)
        }));
        for finding in &mut kept {
            if let Some(level) = self.severity.get(&finding.code) {
                finding.level = *level;
            }
        }
        kept.retain(|finding| finding.level != Level::Off);
        sort(&mut kept);
        kept
    }
}

/// A suppression at work.
struct Active {
    code: Code,
    /// The object as findings name it; a file knows no API group.
    name: String,
    /// Empty is every field.
    field: String,
    /// Where the suppression stands.
    place: Origin,
    used: bool,
}

impl Active {
    fn fits(&self, finding: &Finding) -> bool {
        let Origin { object, field } = &finding.origin;
        let at = DecodeIssue { path: field.to_string(), message: String::new() };
        self.code == finding.code && self.name == object.to_string() && at.is_under(&self.field)
    }
}

/// The suppressions of annotations, and what is wrong with them.
fn annotations(snapshot: &Snapshot) -> (Vec<Active>, Vec<Finding>) {
    let mut rules = Vec::new();
    let mut findings = Vec::new();
    for object in snapshot.objects() {
        let Some(text) = object.meta().annotations.get(LINT_IGNORE) else { continue };
        let name = object.name();
        let reference = Arc::new(ObjectRef {
            group: object.group().into(),
            kind: object.kind().into(),
            namespace: name.namespace,
            name: name.name,
        });
        let place = visit::at(&reference, format!("metadata.annotations[{LINT_IGNORE}]"));
        for (id, reason) in entries(text) {
            match known_code(id) {
                Err(error) => {
                    findings.push(Finding::new(
                        Code::SuppressionUnused,
                        place.clone(),
                        error.to_string(),
                    ));
                }
                Ok(code) if reason.is_empty() => {
                    let message = format!(
                        "the suppression of {code} gives no reason, so it does not count; write \"{code}: reason\""
                    );
                    findings.push(Finding::new(
                        Code::SuppressionWithoutReason,
                        place.clone(),
                        message,
                    ));
                }
                Ok(code) => rules.push(Active {
                    code,
                    name: reference.to_string(),
                    field: String::new(),
                    place: place.clone(),
                    used: false,
                }),
            }
        }
    }
    (rules, findings)
}

/// Codes with reasons. A semicolon that no code follows belongs to the reason.
fn entries(text: &str) -> Vec<(&str, &str)> {
    let mut starts = vec![0_usize];
    for (position, _) in text.match_indices(';') {
        let next = position.saturating_add(1);
        if text.get(next..).is_some_and(|rest| looks_like_code(rest.trim_start())) {
            starts.push(next);
        }
    }
    let ends = starts.iter().skip(1).map(|start| start.saturating_sub(1)).chain([text.len()]);
    let parts = starts.iter().zip(ends).filter_map(|(start, end)| text.get(*start..end));
    parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| match part.split_once(':') {
            Some((code, reason)) => (code.trim(), reason.trim()),
            None => (part, ""),
        })
        .collect()
}

fn looks_like_code(text: &str) -> bool {
    let mut letters = text.bytes();
    letters.next() == Some(b'P') && letters.next() == Some(b'C') && {
        let digits = letters.take_while(u8::is_ascii_digit).count();
        digits >= 3
    }
}

fn known_code(id: &str) -> Result<Code, ConfigError> {
    Code::from_id(id).ok_or_else(|| {
        let distance =
            |code: &Code| code.id().bytes().zip(id.bytes()).filter(|(a, b)| a != b).count();
        let nearest = Code::ALL
            .iter()
            .filter(|code| code.id().len() == id.len())
            .min_by_key(|code| distance(code))
            .filter(|code| distance(code) <= 1)
            .map(|code| code.id().to_owned());
        ConfigError::UnknownCode { code: id.to_owned(), nearest }
    })
}

/// `Kind namespace/name` or `Kind name`; the group is not written and left empty.
fn object_of(text: &str) -> Option<ObjectRef> {
    let (kind, name) = text.trim().split_once(' ')?;
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    let valid = !kind.is_empty() && !name.is_empty() && !name.contains([' ', '/']);
    valid.then(|| ObjectRef::new("", kind, namespace, name))
}
