//! What is served: feature names for GatewayClass status, and the verdict on every field.

pub(crate) mod features;

use crate::code::Code;

pub use features::supported_features;

/// The table; one line for each field that is not merely a holder of others.
const TABLE: &str = include_str!("fields.txt");

/// The verdict on one field of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSupport {
    pub group: &'static str,
    pub kind: &'static str,
    pub version: &'static str,
    /// Such as `spec.rules[].matches[].path.type`.
    pub path: String,
    /// `None` when the table forgot the field, which a test does not let pass.
    pub support: Option<Support>,
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    Served,
    /// Served, but for the values that are described, which are refused with this code.
    Partly(Code, &'static str),
    /// A value there is refused with this code, never passed over.
    Refused(Code),
    /// It has no effect on traffic, for the reason given.
    Informational(&'static str),
}

/// Every field of every schema with its verdict.
pub fn field_support() -> Vec<FieldSupport> {
    let mut all = Vec::new();
    for (group, kind, version) in api::schema::kinds() {
        let rules = rules(kind);
        for (path, info) in api::schema::fields(group, kind, version) {
            let verdict = rules.iter().find(|(pattern, _)| covers(pattern, &path));
            // A holder is served through what it holds.
            let holder = info.is_parent.then_some(Support::Served);
            let support = verdict.map(|(_, support)| *support).or(holder);
            all.push(FieldSupport { group, kind, version, path, support });
        }
    }
    all
}

/// The lines of a kind.
fn rules(kind: &str) -> Vec<(&'static str, Support)> {
    let mut here = false;
    let mut rules = Vec::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            here = name == kind;
        } else if here {
            rules.extend(rule(line));
        }
    }
    rules
}

fn rule(line: &'static str) -> Option<(&'static str, Support)> {
    let (pattern, verdict) = line.split_once(' ')?;
    let support = match verdict.split_once(' ') {
        Some(("info", reason)) => Support::Informational(reason),
        Some(("partly", rest)) => {
            let (code, values) = rest.split_once(' ')?;
            Support::Partly(Code::from_id(code)?, values)
        }
        Some(_) => return None,
        None if verdict == "served" => Support::Served,
        None => Support::Refused(Code::from_id(verdict)?),
    };
    Some((pattern, support))
}

fn covers(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix(".**") {
        None => pattern == path,
        Some(holder) => path
            .strip_prefix(holder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || rest.starts_with('[')),
    }
}

#[cfg(test)]
mod tests {
    use super::{TABLE, covers, field_support, rule, rules};

    #[test]
    fn every_field_of_every_schema_is_served_or_refused() {
        let fields = field_support();
        assert!(fields.len() > 1000, "the schemas must be there");
        let forgotten: Vec<String> = fields
            .iter()
            .filter(|field| field.support.is_none())
            .map(|field| format!("{} {} {}", field.kind, field.version, field.path))
            .collect();
        assert!(forgotten.is_empty(), "neither served nor refused: {forgotten:#?}");
    }

    #[test]
    fn every_line_of_the_table_is_understood_and_about_a_field_that_exists() {
        let fields = field_support();
        let mut kind = "";
        for line in TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            if line.starts_with('[') {
                kind = line.trim_matches(['[', ']']);
                assert!(!rules(kind).is_empty(), "{line}");
                continue;
            }
            let (pattern, _) = rule(line).unwrap_or_else(|| panic!("not understood: {line}"));
            let about = fields.iter().any(|f| f.kind == kind && covers(pattern, &f.path));
            assert!(about, "{kind}: no field {pattern}");
        }
    }
}
