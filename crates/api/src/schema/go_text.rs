//! Values as Go prints them, because messages carry them.

use serde_json::{Number, Value};
use std::{collections::BTreeMap, fmt::Write as _};

/// Go's `%q`.
pub(super) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(2));
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            _ if character < ' ' || character == '\u{7f}' => hex(&mut out, "\\x", 2, character),
            _ if character.is_control() => hex(&mut out, "\\u", 4, character),
            _ => out.push(character),
        }
    }
    out.push('"');
    out
}

fn hex(out: &mut String, prefix: &str, digits: usize, character: char) {
    // Writing to a String cannot fail.
    write!(out, "{prefix}{:0digits$x}", u32::from(character)).unwrap_or_default();
}

/// A value as a field error shows it: numbers and booleans plain, text quoted, the rest as JSON.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Number(number) => self::number(number),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => json(value),
    }
}

/// Go's `%v` of a JSON number: an `int64` where it fits, else a `float64`.
pub(super) fn number(number: &Number) -> String {
    match number.as_i64() {
        Some(integer) => integer.to_string(),
        None => float(number.as_f64().unwrap_or_default()),
    }
}

/// Go's `%v` of a `float64`.
pub(super) fn float(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{value:e}");
        return match text.split_once('e') {
            Some((mantissa, exponent)) => {
                let (sign, digits) = match exponent.strip_prefix('-') {
                    Some(digits) => ('-', digits),
                    None => ('+', exponent),
                };
                format!("{mantissa}e{sign}{digits:0>2}")
            }
            None => text,
        };
    }
    value.to_string()
}

/// Go's `json.Marshal`: keys in order, `<`, `>` and `&` escaped.
pub(super) fn json(value: &Value) -> String {
    let text = sorted(value).to_string();
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let entries: BTreeMap<&String, Value> =
                map.iter().map(|(key, value)| (key, sorted(value))).collect();
            entries.into_iter().map(|(key, value)| (key.clone(), value)).collect()
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_numbers_and_objects_look_as_go_prints_them() {
        assert_eq!(quote("a\"b\\\n\u{1}é"), "\"a\\\"b\\\\\\n\\x01é\"");
        assert_eq!(float(1.5), "1.5");
        assert_eq!(float(1e19), "1e+19");
        assert_eq!(float(1_234_567.5), "1.2345675e+06");
        assert_eq!(float(80.0), "80");
        assert_eq!(float(0.00001), "1e-05");
        assert_eq!(value(&json!({"b": "<", "a": [1, true]})), r#"{"a":[1,true],"b":"\u003c"}"#);
    }
}
