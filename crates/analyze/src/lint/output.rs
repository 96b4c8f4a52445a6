//! Findings for programs: JSON, and SARIF 2.1.0 for code-scanning pages.

use std::collections::BTreeMap;

use ir::Origin;
use serde_json::{Value, json};
use translate::{Code, Severity};

use super::{Finding, Fix, Level, Replacement};

/// A place in a file. Lines and columns count from 1; the end is exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Relative to the current folder, with `/`.
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub end_line: usize,
    pub end_column: usize,
}

/// One object for each finding, in order.
pub fn findings_json(findings: &[Finding], locate: impl Fn(&Origin) -> Option<Location>) -> Value {
    let place = |origin: &Origin| {
        locate(origin).map(|at| {
            json!({
                "file": at.file,
                "line": at.line,
                "column": at.column,
                "endLine": at.end_line,
                "endColumn": at.end_column,
            })
        })
    };
    let one = |finding: &Finding| {
        json!({
            "code": finding.code.id(),
            "title": finding.code.title(),
            "severity": finding.level.as_str(),
            "object": finding.origin.object.to_string(),
            "field": &*finding.origin.field,
            "message": finding.message,
            "effect": finding.effect,
            "hint": finding.hint,
            "fingerprint": finding.fingerprint(),
            "place": place(&finding.origin),
            "related": finding.related.iter().map(|(origin, why)| json!({
                "object": origin.object.to_string(),
                "field": &*origin.field,
                "message": why,
                "place": place(origin),
            })).collect::<Vec<_>>(),
            "fix": finding.fix.as_ref().map(|fix| json!({
                "title": fix.title,
                "safe": fix.safe,
                "edits": fix.edits.iter().map(|edit| json!({
                    "object": edit.origin.object.to_string(),
                    "field": &*edit.origin.field,
                    "value": edit.value,
                    "place": place(&edit.origin),
                })).collect::<Vec<_>>(),
            })),
        })
    };
    json!({ "findings": findings.iter().map(one).collect::<Vec<_>>() })
}

/// A SARIF log with one run. `version` is that of the tool.
pub fn sarif(
    findings: &[Finding],
    version: &str,
    locate: impl Fn(&Origin) -> Option<Location>,
) -> Value {
    let mut rules: BTreeMap<Code, usize> = findings.iter().map(|one| (one.code, 0)).collect();
    for (index, position) in rules.values_mut().enumerate() {
        *position = index;
    }
    let results: Vec<Value> =
        findings.iter().map(|one| result(one, rules.get(&one.code).copied(), &locate)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "portcullis",
                    "version": version,
                    "rules": rules.keys().map(|code| rule(*code)).collect::<Vec<_>>(),
                },
            },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.id(),
        "name": code.name(),
        "shortDescription": { "text": code.title() },
        "fullDescription": { "text": code.explanation() },
        "defaultConfiguration": { "level": level(default_level(code.severity())) },
    })
}

fn default_level(severity: Severity) -> Level {
    severity.into()
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
        Level::Off => "none",
    }
}

fn result(
    finding: &Finding,
    rule: Option<usize>,
    locate: &impl Fn(&Origin) -> Option<Location>,
) -> Value {
    let mut text = format!("{}: {}", finding.origin, finding.message);
    for more in finding.effect.iter().chain(&finding.hint) {
        text.push_str("; ");
        text.push_str(more);
    }
    let related: Vec<Value> = finding
        .related
        .iter()
        .enumerate()
        .map(|(index, (origin, why))| {
            let mut value = location(origin, locate(origin).as_ref());
            if let Value::Object(map) = &mut value {
                map.insert("id".to_owned(), index.into());
                map.insert("message".to_owned(), json!({ "text": format!("{origin}: {why}") }));
            }
            value
        })
        .collect();
    let mut result = json!({
        "ruleId": finding.code.id(),
        "ruleIndex": rule,
        "level": level(finding.level),
        "message": { "text": text },
        "locations": [location(&finding.origin, locate(&finding.origin).as_ref())],
        "relatedLocations": related,
        "partialFingerprints": { "portcullis/v1": finding.fingerprint() },
    });
    let fix = finding.fix.as_ref().and_then(|fix| sarif_fix(fix, locate));
    if let (Value::Object(map), Some(fix)) = (&mut result, fix) {
        map.insert("fixes".to_owned(), json!([fix]));
    }
    result
}

fn location(origin: &Origin, at: Option<&Location>) -> Value {
    let logical = json!([{ "fullyQualifiedName": origin.to_string(), "kind": "object" }]);
    match at {
        None => json!({ "logicalLocations": logical }),
        Some(at) => json!({
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&at.file) },
                "region": region(at),
            },
            "logicalLocations": logical,
        }),
    }
}

fn region(at: &Location) -> Value {
    json!({
        "startLine": at.line,
        "startColumn": at.column,
        "endLine": at.end_line,
        "endColumn": at.end_column,
    })
}

/// `None` unless every edit has a place, all in one file.
fn sarif_fix(fix: &Fix, locate: &impl Fn(&Origin) -> Option<Location>) -> Option<Value> {
    let places: Option<Vec<(Location, &Replacement)>> =
        fix.edits.iter().map(|edit| Some((locate(&edit.origin)?, edit))).collect();
    let places = places?;
    let file = places.first().map(|(at, _)| at.file.clone())?;
    if places.iter().any(|(at, _)| at.file != file) {
        return None;
    }
    let replacements: Vec<Value> = places
        .iter()
        .map(|(at, edit)| {
            let text = edit.value.as_str().map_or_else(|| edit.value.to_string(), str::to_owned);
            json!({ "deletedRegion": region(at), "insertedContent": { "text": text } })
        })
        .collect();
    Some(json!({
        "description": { "text": fix.title },
        "artifactChanges": [{
            "artifactLocation": { "uri": uri(&file) },
            "replacements": replacements,
        }],
    }))
}

/// A relative reference (RFC 3986 4.2): whatever may not stand in a path is escaped.
fn uri(file: &str) -> String {
    let mut uri = String::with_capacity(file.len());
    for byte in file.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}
