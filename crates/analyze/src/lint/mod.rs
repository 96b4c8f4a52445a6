//! What is wrong, surprising or better said otherwise in a configuration.
//!
//! [`lint`] takes the findings of the translation and adds those that need the whole, the text or
//! a clock. [`LintConfig`] sets levels and suppresses, [`Baseline`] accepts what is there today,
//! [`findings_json`] and [`sarif`] write for programs.

mod attachments;
mod authorities;
mod baseline;
mod certificates;
mod config;
mod connections;
mod features;
mod finding;
mod grants;
mod output;
mod pattern;
mod rules;
pub mod shadow;
mod subsume;
mod values;
mod visit;

use std::collections::BTreeSet;

use ir::EndpointMap;
use translate::{Settings, Snapshot, Translation};

pub use baseline::{Accepted, Baseline};
pub use config::{ConfigError, LINT_IGNORE, LintConfig, Suppression};
pub use finding::{Finding, Fix, Level, Replacement, version_fix};
pub use output::{Location, findings_json, sarif};

/// What lint may take for granted.
#[derive(Clone, Copy, Debug, Default)]
pub struct LintOptions<'a> {
    /// The snapshot is the whole configuration: what nothing refers to is unused.
    pub complete: bool,
    /// Seconds since the epoch; without it no date is judged.
    pub now: Option<i64>,
    /// With endpoints and a complete snapshot, backends without any are reported.
    pub endpoints: Option<&'a EndpointMap>,
}

/// Every finding at its own level, sorted by object, field and code. The snapshot's texts are not
/// seen here: add the findings of the source before [`LintConfig::apply`].
pub fn lint(
    snapshot: &Snapshot,
    _settings: &Settings,
    translation: &Translation,
    options: &LintOptions<'_>,
) -> Vec<Finding> {
    let mut findings: Vec<Finding> = translation.diagnostics.iter().map(Finding::from).collect();
    rules::findings(snapshot, translation, &mut findings);
    values::findings(snapshot, &mut findings);
    features::findings(snapshot, &mut findings);
    certificates::findings(&translation.ir, options.now, &mut findings);
    attachments::hostnames(&translation.ir, snapshot, &mut findings);
    connections::lost_names(&translation.ir, snapshot, &mut findings);
    connections::without_backends(translation, &mut findings);
    if options.complete {
        grants::findings(snapshot, &mut findings);
        attachments::idle_listeners(&translation.ir, &mut findings);
        if let Some(endpoints) = options.endpoints {
            attachments::endpoints(&translation.ir, endpoints, &mut findings);
        }
    }
    sort(&mut findings);
    // The same thing is often found once for each parent.
    let mut seen = BTreeSet::new();
    findings.retain(|one| seen.insert((one.origin.clone(), one.code, one.message.clone())));
    findings
}

/// By object, field (numbers as numbers), code and message.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by_cached_key(|one| {
        let object = one.origin.object.clone();
        let key = (object.namespace.clone(), object.kind.clone(), object.name.clone());
        (key, natural(&one.origin.field), one.code, one.message.clone())
    });
}

/// Texts and numbers in turn, so that `rules[10]` follows `rules[9]`.
fn natural(field: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut number: Option<u64> = None;
    for letter in field.chars() {
        match letter.to_digit(10) {
            Some(digit) => {
                let known = number.unwrap_or_default();
                number = Some(known.saturating_mul(10).saturating_add(u64::from(digit)));
            }
            None => {
                if let Some(number) = number.take() {
                    parts.push((std::mem::take(&mut text), number));
                }
                text.push(letter);
            }
        }
    }
    parts.push((text, number.unwrap_or_default()));
    parts
}
