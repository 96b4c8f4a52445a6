//! What a scalar means: the rules of kubectl (`sigs.k8s.io/yaml`, that is go-yaml v2), not those of
//! YAML 1.2.
//!
//! `yes`, `on` and `y` are booleans, `0777` is octal, underscores in numbers are dropped, a date is
//! a string, and a float without a fraction becomes an integer on its way through JSON.

use base64::Engine as _;
use serde_json::{Number, Value};

/// The tag of a scalar, as far as it changes the meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarTag {
    /// No tag: quoted scalars are strings, plain ones are resolved.
    None,
    Str,
    Bool,
    Int,
    Float,
    Null,
    Timestamp,
    Binary,
    /// A tag of someone's own: the text as it is.
    Other,
}

impl ScalarTag {
    fn word(self) -> &'static str {
        match self {
            Self::None | Self::Str | Self::Other => "string",
            Self::Bool => "boolean",
            Self::Int => "integer",
            Self::Float => "float",
            Self::Null => "null",
            Self::Timestamp => "timestamp",
            Self::Binary => "binary",
        }
    }
}

/// What the text of a plain scalar resolved to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Resolved {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Timestamp,
    Text,
}

impl Resolved {
    fn word(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Uint(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Timestamp => "a timestamp",
            Self::Text => "a string",
        }
    }
}

/// The JSON value of a scalar. The error is a message for the user.
pub(crate) fn value(text: &str, plain: bool, tag: ScalarTag) -> Result<Value, String> {
    match tag {
        ScalarTag::Str | ScalarTag::Other => return Ok(text.into()),
        ScalarTag::Binary => return binary(text),
        ScalarTag::None if !plain => return Ok(text.into()),
        ScalarTag::None
        | ScalarTag::Bool
        | ScalarTag::Int
        | ScalarTag::Float
        | ScalarTag::Null
        | ScalarTag::Timestamp => {}
    }
    let resolved = resolve(text, matches!(tag, ScalarTag::None | ScalarTag::Timestamp));
    let fits = match tag {
        ScalarTag::Bool => matches!(resolved, Resolved::Bool(_)),
        ScalarTag::Int => matches!(resolved, Resolved::Int(_) | Resolved::Uint(_)),
        ScalarTag::Float => matches!(resolved, Resolved::Int(_) | Resolved::Float(_)),
        ScalarTag::Null => matches!(resolved, Resolved::Null),
        ScalarTag::Timestamp => matches!(resolved, Resolved::Timestamp),
        ScalarTag::None | ScalarTag::Str | ScalarTag::Binary | ScalarTag::Other => true,
    };
    if !fits {
        return Err(format!("`{text}` is {}, but its tag says {}", resolved.word(), tag.word()));
    }
    match resolved {
        Resolved::Null => Ok(Value::Null),
        Resolved::Bool(value) => Ok(value.into()),
        Resolved::Int(value) => Ok(value.into()),
        Resolved::Uint(value) => Ok(value.into()),
        Resolved::Float(value) => float(value, text),
        Resolved::Timestamp | Resolved::Text => Ok(text.into()),
    }
}

/// The string that a map key becomes in JSON, where keys are strings. The error is a message.
pub(crate) fn key(text: &str, plain: bool, tag: ScalarTag) -> Result<String, String> {
    match value(text, plain, tag)? {
        Value::String(text) => Ok(text),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Null => Err("a key is null, which JSON has not".to_owned()),
        Value::Number(number) => {
            // A float key keeps the spelling that go-yaml gives it, even when it is integral.
            match resolve(text, true) {
                Resolved::Float(value) => Ok(short_float(value)),
                Resolved::Uint(_) => Err(format!("the key {text} is too large for an integer")),
                Resolved::Null
                | Resolved::Bool(_)
                | Resolved::Int(_)
                | Resolved::Timestamp
                | Resolved::Text => Ok(number.to_string()),
            }
        }
        Value::Array(_) | Value::Object(_) => Err("a key is a collection".to_owned()),
    }
}

fn binary(text: &str) -> Result<Value, String> {
    let compact: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    match base64::engine::general_purpose::STANDARD.decode(compact) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned().into()),
        Err(_) => Err("the value of `!!binary` is not base64".to_owned()),
    }
}

fn resolve(text: &str, timestamps: bool) -> Resolved {
    match text.as_bytes().first() {
        None => Resolved::Null,
        Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~') => {
            word(text).unwrap_or(Resolved::Text)
        }
        Some(b'.') => {
            word(text).or_else(|| go_float(text).map(Resolved::Float)).unwrap_or(Resolved::Text)
        }
        Some(b'+' | b'-' | b'0'..=b'9') => {
            if let Some(found) = word(text) {
                found
            } else if timestamps && is_timestamp(text) {
                Resolved::Timestamp
            } else {
                number(text)
            }
        }
        Some(_) => Resolved::Text,
    }
}

fn word(text: &str) -> Option<Resolved> {
    Some(match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Resolved::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Resolved::Bool(false)
        }
        "~" | "null" | "Null" | "NULL" => Resolved::Null,
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

fn number(text: &str) -> Resolved {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    if let Some(value) = go_int(&plain) {
        return value;
    }
    if is_yaml_float(&plain)
        && let Some(value) = finite(&plain)
    {
        return Resolved::Float(value);
    }
    // go-yaml lets a sign follow the prefix of a binary number.
    if let Some(digits) = plain.strip_prefix("0b") {
        if let Ok(value) = i64::from_str_radix(digits, 2) {
            return Resolved::Int(value);
        }
    } else if let Some(digits) = plain.strip_prefix("-0b")
        && !digits.starts_with(['+', '-'])
        && let Ok(value) = i64::from_str_radix(&format!("-{digits}"), 2)
    {
        return Resolved::Int(value);
    }
    Resolved::Text
}

/// Go's `ParseInt(text, 0, 64)`, then `ParseUint`.
fn go_int(text: &str) -> Option<Resolved> {
    let (negative, digits, signed) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..)?, true),
        Some(b'+') => (false, text.get(1..)?, true),
        _ => (false, text, false),
    };
    let lower = digits.get(..2).map(str::to_ascii_lowercase);
    let (radix, digits) = match lower.as_deref() {
        Some("0x") => (16, digits.get(2..)?),
        Some("0o") => (8, digits.get(2..)?),
        Some("0b") => (2, digits.get(2..)?),
        Some(_) if digits.starts_with('0') => (8, digits.get(1..)?),
        Some(_) | None => (10, digits),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0_i64.checked_sub_unsigned(magnitude).map(Resolved::Int);
    }
    match i64::try_from(magnitude) {
        Ok(value) => Some(Resolved::Int(value)),
        Err(_) if signed => None,
        Err(_) => Some(Resolved::Uint(magnitude)),
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_yaml_float(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => {
            let (mantissa, exponent) = text.split_at(at);
            (mantissa, exponent.get(1..))
        }
        None => (text, None),
    };
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let exponent_ok = exponent.is_none_or(|e| {
        let digits = e.strip_prefix(['-', '+']).unwrap_or(e);
        !digits.is_empty() && all_digits(digits)
    });
    let mantissa_ok = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && all_digits(fraction),
        Some((whole, fraction)) => all_digits(whole) && all_digits(fraction),
        None => !mantissa.is_empty() && all_digits(mantissa),
    };
    exponent_ok && mantissa_ok
}

/// Go's `ParseFloat` for a text that starts with a dot. Underscores may stand between digits.
fn go_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let stray = bytes.iter().enumerate().any(|(at, byte)| {
        let digit = |i: Option<usize>| i.and_then(|i| bytes.get(i)).is_some_and(u8::is_ascii_digit);
        *byte == b'_' && !(digit(at.checked_sub(1)) && digit(at.checked_add(1)))
    });
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    if stray || !is_yaml_float(&plain) {
        return None;
    }
    finite(&plain)
}

fn finite(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// A float as the JSON encoder of Go writes it: without a fraction if it has none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "the casts saturate, and the comparison back proves that nothing was lost"
)]
fn float(value: f64, text: &str) -> Result<Value, String> {
    if value.trunc() == value && value.abs() < 1e21 {
        let int = value as i64;
        if int as f64 == value && int != i64::MAX {
            return Ok(int.into());
        }
        let uint = value as u64;
        if uint as f64 == value && uint != u64::MAX {
            return Ok(uint.into());
        }
    }
    match Number::from_f64(value) {
        Some(number) => Ok(Value::Number(number)),
        None => Err(format!("`{text}` is a number that JSON cannot hold")),
    }
}

/// Go's `FormatFloat(value, 'g', -1, 32)`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "go-yaml formats float keys with the precision of 32 bits"
)]
fn short_float(value: f64) -> String {
    let value = value as f32;
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// The shapes that go-yaml takes for a time: `2006-1-2`, with `T15:4:5Z` or ` 15:4:5` behind it.
/// Whether the day exists does not matter: either way the value is a string.
fn is_timestamp(text: &str) -> bool {
    let Some((year, rest)) = text.split_at_checked(4) else {
        return false;
    };
    year.bytes().all(|b| b.is_ascii_digit()) && rest.starts_with('-')
}
