//! Findings that were accepted on some day.

use std::collections::BTreeSet;

use super::Finding;

const HEADER: &str =
    "# Findings that are accepted: code, object and field. Written by portcullis lint.";

/// One fingerprint on a line, sorted; lines that start with `#` are comments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    fingerprints: BTreeSet<String>,
}

/// What a baseline leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Findings that are new.
    pub findings: Vec<Finding>,
    /// How many were accepted.
    pub accepted: usize,
    /// Fingerprints that no finding has any more.
    pub stale: Vec<String>,
}

impl Baseline {
    pub fn new(findings: &[Finding]) -> Self {
        Self { fingerprints: findings.iter().map(Finding::fingerprint).collect() }
    }

    pub fn from_text(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self { fingerprints: lines.map(str::to_owned).collect() }
    }

    pub fn to_text(&self) -> String {
        let mut text = format!("{HEADER}\n");
        for fingerprint in &self.fingerprints {
            text.push_str(fingerprint);
            text.push('\n');
        }
        text
    }

    pub fn apply(&self, findings: Vec<Finding>) -> Accepted {
        let all = findings.len();
        let present: BTreeSet<String> = findings.iter().map(Finding::fingerprint).collect();
        let findings: Vec<Finding> = findings
            .into_iter()
            .filter(|one| !self.fingerprints.contains(&one.fingerprint()))
            .collect();
        Accepted {
            accepted: all.saturating_sub(findings.len()),
            findings,
            stale: self.fingerprints.difference(&present).cloned().collect(),
        }
    }
}
