//! The structural schema: types, bounds, enums, formats, required fields and junctors.
//!
//! Follows kube-openapi's validator, which the API server uses for custom resources, down to the
//! order of its checks, its wording, and the count of passed checks by which it chooses among the
//! failures of a `oneOf`.

use super::{
    digest::{Node, Type},
    go_text,
    violation::{Violation, ViolationKind},
};
use serde_json::{Number, Value};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The outcome of one schema on one value.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) errors: Vec<Violation>,
    /// How many checks passed.
    passed: u64,
}

impl Outcome {
    fn pass(&mut self) {
        self.passed = self.passed.saturating_add(1);
    }

    fn push(&mut self, violation: Violation) {
        self.errors.push(violation);
    }

    fn merge(&mut self, other: Self) {
        self.errors.extend(other.errors);
        self.passed = self.passed.saturating_add(other.passed);
    }

    /// Merges what judged the same value: an error is reported once.
    fn merge_alternative(&mut self, other: Self) {
        for error in other.errors {
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
        self.passed = self.passed.saturating_add(other.passed);
    }
}

/// Checks a value against a schema.
pub(super) fn check(value: &Value, node: &Node, path: &str) -> Outcome {
    let mut outcome = Outcome::default();
    if value.is_null() {
        type_check(value, node, path, &mut outcome);
        enum_check(value, node, path, &mut outcome);
        return outcome;
    }
    if node.types != Type::Any || node.int_or_string || node.format.is_some() {
        type_check(value, node, path, &mut outcome);
        outcome.pass();
    }
    junctors(value, node, path, &mut outcome);
    outcome.pass();
    match value {
        Value::String(text) => {
            string(text, node, path, &mut outcome);
            outcome.pass();
            if format_check(text, node, path, &mut outcome) {
                outcome.pass();
            }
        }
        Value::Number(number) => {
            bounds(number, node, path, &mut outcome);
            outcome.pass();
        }
        Value::Array(items) => {
            list(items, node, path, &mut outcome);
            outcome.pass();
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => {}
    }
    enum_check(value, node, path, &mut outcome);
    outcome.pass();
    if let Value::Object(map) = value {
        object(map, node, path, &mut outcome);
        outcome.pass();
    }
    outcome.pass();
    outcome
}

fn type_check(value: &Value, node: &Node, path: &str, outcome: &mut Outcome) {
    let wanted = wanted(node);
    let (actual, actual_format) = match value {
        Value::Null => ("null", ""),
        Value::Bool(_) => ("boolean", ""),
        Value::String(_) => ("string", ""),
        Value::Array(_) => ("array", ""),
        Value::Object(_) => ("object", ""),
        Value::Number(number) if number.as_i64().is_some() => ("integer", "int64"),
        Value::Number(_) => ("number", "float64"),
    };
    let mut fail = |wanted: &str, actual: &str| {
        let quoted = go_text::quote(actual);
        let detail = format!("{path} in body must be of type {wanted}: {quoted}");
        outcome.push(Violation::new(path, ViolationKind::TypeInvalid, Some(quoted), detail));
    };
    if value.is_null() {
        if wanted.is_empty() || node.nullable {
            outcome.pass();
        } else {
            fail(&wanted.join(","), "null");
        }
        return;
    }
    let numeric = wanted.contains(&"integer") || wanted.contains(&"number");
    let right = wanted.contains(&actual)
        || (actual == "integer" && wanted.contains(&"number"))
        || (wanted.contains(&"integer") && whole(value));
    let countable = matches!(value, Value::String(_) | Value::Array(_));
    match &node.format {
        Some(format) if !countable && !right && format != actual_format => {
            fail(format, actual_format)
        }
        Some(_) if !numeric && countable => outcome.pass(),
        Some(_) | None if right => outcome.pass(),
        Some(_) | None => fail(&wanted.join(","), actual),
    }
}

fn wanted(node: &Node) -> &'static [&'static str] {
    if node.int_or_string {
        return &["integer", "string"];
    }
    match node.types {
        Type::Any => &[],
        Type::Object => &["object"],
        Type::Array => &["array"],
        Type::String => &["string"],
        Type::Integer => &["integer"],
        Type::Number => &["number"],
        Type::Boolean => &["boolean"],
    }
}

/// Whether a number that is no `int64` has a whole value that JSON can carry exactly.
fn whole(value: &Value) -> bool {
    const SAFE: f64 = 9_007_199_254_740_991.0;
    match value.as_f64() {
        Some(number) if !value.is_i64() => number.abs() <= SAFE && number.trunc() == number,
        Some(_) | None => false,
    }
}

fn junctors(value: &Value, node: &Node, path: &str, outcome: &mut Outcome) {
    any_of(value, node, path, outcome);
    one_of(value, node, path, outcome);
    let mut valid = 0_usize;
    for schema in &node.all_of {
        let result = check(value, schema, path);
        valid = valid.saturating_add(usize::from(result.errors.is_empty()));
        outcome.merge_alternative(result);
    }
    if valid != node.all_of.len() {
        let which = if valid == 0 { ". None validated" } else { "" };
        outcome.push(whole_object(path, &format!("must validate all the schemas (allOf){which}")));
    }
    if let Some(schema) = &node.not
        && check(value, schema, path).errors.is_empty()
    {
        outcome.push(whole_object(path, "must not validate the schema (not)"));
    }
    outcome.pass();
}

fn any_of(value: &Value, node: &Node, path: &str, outcome: &mut Outcome) {
    let mut best: Option<Outcome> = None;
    for schema in &node.any_of {
        let result = check(value, schema, path);
        if result.errors.is_empty() {
            outcome.merge(result);
            return;
        }
        if best.as_ref().is_none_or(|best| result.passed > best.passed) {
            best = Some(result);
        }
    }
    if let Some(best) = best {
        outcome.push(whole_object(path, "must validate at least one schema (anyOf)"));
        outcome.merge_alternative(best);
    }
}

fn one_of(value: &Value, node: &Node, path: &str, outcome: &mut Outcome) {
    let mut valid = 0_u64;
    let mut first: Option<Outcome> = None;
    let mut best: Option<Outcome> = None;
    for schema in &node.one_of {
        let result = check(value, schema, path);
        if result.errors.is_empty() {
            valid = valid.saturating_add(1);
            first = first.or(Some(result));
        } else if best.as_ref().is_none_or(|best| result.passed > best.passed) {
            best = Some(result);
        }
    }
    match (valid, first, best) {
        (0, _, Some(best)) => {
            let text = "must validate one and only one schema (oneOf). Found none valid";
            outcome.push(whole_object(path, text));
            outcome.merge_alternative(best);
        }
        (1, Some(first), _) => outcome.merge(first),
        (0, _, None) => {}
        _ => {
            let text = format!(
                "must validate one and only one schema (oneOf). Found {valid} valid alternatives"
            );
            outcome.push(whole_object(path, &text));
        }
    }
}

/// An error that the API server reports without a field, though its text names one.
fn whole_object(path: &str, text: &str) -> Violation {
    let detail = format!("{} {text}", go_text::quote(path));
    Violation::new("", ViolationKind::Invalid, Some("\"\"".to_owned()), detail)
}

fn string(text: &str, node: &Node, path: &str, outcome: &mut Outcome) {
    let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    if let Some(most) = node.max_length.filter(|most| length > *most) {
        let bytes = if most == 1 { "byte" } else { "bytes" };
        let detail = format!("may not be more than {most} {bytes}");
        outcome.push(Violation::new(path, ViolationKind::TooLong, None, detail));
        return;
    }
    let mut invalid = |detail: String| {
        let value = Some(go_text::quote(text));
        outcome.push(Violation::new(path, ViolationKind::Invalid, value, detail));
    };
    if let Some(least) = node.min_length.filter(|least| length < *least) {
        invalid(format!("{path} in body should be at least {least} chars long"));
        return;
    }
    if let Some(pattern) = &node.pattern
        && pattern.matches(text) == Some(false)
    {
        invalid(format!("{path} in body should match '{}'", pattern.source));
    }
}

/// Whether the schema has a format that applies to text.
fn format_check(text: &str, node: &Node, path: &str, outcome: &mut Outcome) -> bool {
    let Some(format) = node.format.as_deref() else { return false };
    let valid = match format {
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "date-time" => is_date_time(text),
        "byte" => is_base64(text),
        _ => return false,
    };
    if !valid {
        let quoted = go_text::quote(text);
        let detail = format!("{path} in body must be of type {format}: {quoted}");
        outcome.push(Violation::new(path, ViolationKind::TypeInvalid, Some(quoted), detail));
    }
    true
}

/// RFC 3339, section 5.6.
fn is_date_time(text: &str) -> bool {
    let Some((date, time)) = text.split_once(['T', 't']) else { return false };
    let number = |text: Option<&str>, digits: usize, range: std::ops::RangeInclusive<u32>| {
        text.filter(|text| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse().ok())
            .is_some_and(|value| range.contains(&value))
    };
    let mut day = date.splitn(3, '-');
    let date = number(day.next(), 4, 0..=9999)
        && number(day.next(), 2, 1..=12)
        && number(day.next(), 2, 1..=31);
    let zone = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let Some((clock, zone)) = time.split_at_checked(zone) else { return false };
    let (clock, fraction) =
        clock.split_once('.').map_or((clock, "0"), |(clock, rest)| (clock, rest));
    let mut parts = clock.splitn(3, ':');
    let clock = number(parts.next(), 2, 0..=23)
        && number(parts.next(), 2, 0..=59)
        && number(parts.next(), 2, 0..=60);
    let fraction = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let zone = match zone {
        "Z" | "z" => true,
        _ => {
            let mut parts = zone.get(1..).unwrap_or_default().splitn(2, ':');
            number(parts.next(), 2, 0..=23) && number(parts.next(), 2, 0..=59)
        }
    };
    date && clock && fraction && zone
}

/// RFC 4648, section 4, with padding.
fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len().saturating_sub(body.len()) <= 2
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

fn bounds(number: &Number, node: &Node, path: &str, outcome: &mut Outcome) {
    outcome.pass();
    if node.types == Type::Integer && !node.int_or_string && !fits(number, node) {
        let with = match node.format.as_deref() {
            Some(format @ ("int32" | "int64")) => format!("with format {format}"),
            Some(_) | None => "(default format)".to_owned(),
        };
        let detail = format!("Checked value must be of type integer {with} in {path}");
        outcome.push(Violation::new("", ViolationKind::Invalid, Some("\"\"".to_owned()), detail));
    }
    let mut invalid = |detail: String| {
        let value = Some(go_text::number(number));
        outcome.push(Violation::new(path, ViolationKind::Invalid, value, detail));
    };
    if let Some(least) = node.minimum.filter(|least| below(number, *least)) {
        invalid(format!("{path} in body should be greater than or equal to {least}"));
    }
    if let Some(most) = node.maximum.filter(|most| above(number, *most)) {
        invalid(format!("{path} in body should be less than or equal to {most}"));
    }
}

fn fits(number: &Number, node: &Node) -> bool {
    let integer = match number.as_i64() {
        Some(integer) => Some(integer),
        // A float passes when its decimal text is an integer, such as 80.0.
        None => number.as_f64().and_then(|float| float.to_string().parse().ok()),
    };
    match (integer, node.format.as_deref()) {
        (Some(integer), Some("int32")) => i32::try_from(integer).is_ok(),
        (Some(_), _) => true,
        (None, _) => false,
    }
}

fn below(number: &Number, least: i64) -> bool {
    match number.as_i64() {
        Some(integer) => integer < least,
        None => number.as_f64().is_some_and(|float| float < as_float(least)),
    }
}

fn above(number: &Number, most: i64) -> bool {
    match number.as_i64() {
        Some(integer) => integer > most,
        None => number.as_f64().is_some_and(|float| float > as_float(most)),
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "the bounds of the schemas are far below 2^53"
)]
fn as_float(bound: i64) -> f64 {
    bound as f64
}

fn list(items: &[Value], node: &Node, path: &str, outcome: &mut Outcome) {
    if let Some(schema) = &node.items {
        for (index, item) in items.iter().enumerate() {
            outcome.merge(check(item, schema, &format!("{path}[{index}]")));
        }
    }
    let length = u64::try_from(items.len()).unwrap_or(u64::MAX);
    if let Some(least) = node.min_items.filter(|least| length < *least) {
        let detail = format!("{path} in body should have at least {least} items");
        outcome.push(Violation::new(
            path,
            ViolationKind::Invalid,
            Some(length.to_string()),
            detail,
        ));
    }
    too_many(length, node.max_items, path, outcome);
    outcome.pass();
}

fn object(map: &serde_json::Map<String, Value>, node: &Node, path: &str, outcome: &mut Outcome) {
    let length = u64::try_from(map.len()).unwrap_or(u64::MAX);
    if let Some(least) = node.min_properties.filter(|least| length < *least) {
        let detail = format!("{path} in body should have at least {least} properties");
        outcome.push(Violation::new(
            path,
            ViolationKind::Invalid,
            Some(length.to_string()),
            detail,
        ));
    }
    too_many(length, node.max_properties, path, outcome);
    for (key, value) in map {
        if let Some(schema) = node.entry(key) {
            outcome.merge(check(value, schema, &child(path, key)));
        }
    }
    for key in &node.required {
        if !map.contains_key(key) {
            outcome.push(Violation::new(&child(path, key), ViolationKind::Required, None, ""));
        }
    }
}

fn too_many(length: u64, most: Option<u64>, path: &str, outcome: &mut Outcome) {
    if let Some(most) = most.filter(|most| length > *most) {
        let value = Some(length.to_string());
        let items = if most == 1 { "item" } else { "items" };
        let detail = format!("must have at most {most} {items}");
        outcome.push(Violation::new(path, ViolationKind::TooMany, value, detail));
    }
}

fn enum_check(value: &Value, node: &Node, path: &str, outcome: &mut Outcome) {
    if node.enumeration.is_empty() || node.enumeration.contains(value) {
        return;
    }
    let allowed: Vec<String> = node
        .enumeration
        .iter()
        .map(|allowed| match allowed {
            Value::String(text) => go_text::quote(text),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => go_text::quote(&go_text::json(allowed)),
        })
        .collect();
    let detail = format!("supported values: {}", allowed.join(", "));
    outcome.push(Violation::new(
        path,
        ViolationKind::NotSupported,
        Some(go_text::value(value)),
        detail,
    ));
}

fn child(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
