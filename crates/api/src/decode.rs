//! Lenient reading of Kubernetes JSON: one bad field never costs the object.
//!
//! [`Decode::decode`] records a [`DecodeIssue`] for what it cannot use and goes on. List elements
//! that are unusable stay in the list with default contents, so that `spec.rules[3]` names the
//! same rule for everybody. Unknown fields are the schema's matter and are passed over here.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde_json::{Map, Value};

use crate::limits::ISSUES_MAX;
use crate::shape::Shape;

/// One field that could not be used, and where it stands.
///
/// A consumer that finds an issue at or under a field must not serve less than that field asked
/// for: the decoded value is the absent one, which may match or admit more than was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DecodeIssue {
    /// The field as written, such as `spec.rules[0].matches[1].path`.
    pub path: String,
    /// What is wrong, without the value (it may be a secret).
    pub message: String,
}

impl DecodeIssue {
    /// Whether the issue is about `field` itself or something inside it.
    #[must_use]
    pub fn is_under(&self, field: &str) -> bool {
        match self.path.strip_prefix(field) {
            None => false,
            Some(rest) => {
                field.is_empty()
                    || rest.is_empty()
                    || rest.starts_with('.')
                    || rest.starts_with('[')
            }
        }
    }
}

/// Where decoding stands in the object, and what it found so far.
#[derive(Debug, Default)]
pub struct Decoder {
    path: String,
    issues: Vec<DecodeIssue>,
}

impl Decoder {
    /// Records that the field at the current path is not usable.
    pub fn issue(&mut self, message: impl Into<String>) {
        if self.issues.len() < ISSUES_MAX {
            self.issues.push(DecodeIssue { path: self.path.clone(), message: message.into() });
        } else if self.issues.len() == ISSUES_MAX {
            self.issues.push(DecodeIssue {
                path: String::new(),
                message: "more fields are not usable; only the first are listed".to_owned(),
            });
        }
    }

    /// Records that the value has another JSON type than `expected`.
    pub fn wrong_type(&mut self, expected: &str, value: &Value) {
        self.issue(format!("expected {expected}, found {}", type_name(value)));
    }

    /// Reads the property `name` of `map`; absent and null are the same.
    pub fn field<T: Decode>(&mut self, map: &Map<String, Value>, name: &str) -> T {
        let depth = self.enter_field(name);
        let decoded = match map.get(name) {
            None | Some(Value::Null) => T::absent(self),
            Some(value) => T::decode(value, self).unwrap_or_default(),
        };
        self.path.truncate(depth);
        decoded
    }

    /// What was found, in reading order.
    #[must_use]
    pub fn into_issues(self) -> Vec<DecodeIssue> {
        self.issues
    }

    fn enter_field(&mut self, name: &str) -> usize {
        let depth = self.path.len();
        if depth > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        depth
    }

    fn at_index<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        let depth = self.path.len();
        // Writing to a String cannot fail.
        let _infallible = write!(self.path, "[{index}]");
        let result = read(self);
        self.path.truncate(depth);
        result
    }

    fn at_key<T>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let depth = self.path.len();
        self.path.push('[');
        self.path.push_str(key);
        self.path.push(']');
        let result = read(self);
        self.path.truncate(depth);
        result
    }
}

/// A type that can be read from JSON without ever failing as a whole.
pub trait Decode: Sized + Default {
    /// Reads `value`; `None` means that it is unusable, and that an issue was recorded.
    fn decode(value: &Value, decoder: &mut Decoder) -> Option<Self>;

    /// What an absent field becomes; a required one records an issue.
    fn absent(decoder: &mut Decoder) -> Self {
        decoder.issue("required field is missing");
        Self::default()
    }

    /// Whether the value is left out of the JSON that we write.
    fn is_absent(&self) -> bool {
        false
    }

    /// The JSON shape this type reads, for comparison with the CRD schemas.
    fn shape() -> Shape;
}

/// An object with named properties; the crate's `object!` macro implements it.
pub trait Record: Sized + Default {
    /// Reads the properties that this type knows from `map`.
    fn decode_fields(map: &Map<String, Value>, decoder: &mut Decoder) -> Self;

    /// Writes the properties that are not absent.
    ///
    /// # Errors
    /// Those of the serialiser.
    fn serialize_fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;

    /// Appends name and shape of every property.
    fn shape_fields(fields: &mut Vec<(&'static str, Shape)>);
}

/// Reads a whole value: the result and everything in it that could not be used.
#[must_use]
pub fn decode<T: Decode>(value: &Value) -> (T, Vec<DecodeIssue>) {
    let mut decoder = Decoder::default();
    let decoded = T::decode(value, &mut decoder).unwrap_or_default();
    (decoded, decoder.into_issues())
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

/// Reads a record from a JSON object.
pub(crate) fn record<T: Record>(value: &Value, decoder: &mut Decoder) -> Option<T> {
    let Some(map) = value.as_object() else {
        decoder.wrong_type("object", value);
        return None;
    };
    Some(T::decode_fields(map, decoder))
}

impl Decode for Arc<str> {
    fn decode(value: &Value, decoder: &mut Decoder) -> Option<Self> {
        let Some(text) = value.as_str() else {
            decoder.wrong_type("string", value);
            return None;
        };
        Some(text.into())
    }

    fn shape() -> Shape {
        Shape::String
    }
}

impl Decode for bool {
    fn decode(value: &Value, decoder: &mut Decoder) -> Option<Self> {
        let flag = value.as_bool();
        if flag.is_none() {
            decoder.wrong_type("boolean", value);
        }
        flag
    }

    fn shape() -> Shape {
        Shape::Boolean
    }
}

macro_rules! decode_integers {
    ($($integer:ty),*) => {$(
        impl Decode for $integer {
            fn decode(value: &Value, decoder: &mut Decoder) -> Option<Self> {
                let Some(number) = value.as_number() else {
                    decoder.wrong_type("integer", value);
                    return None;
                };
                let Some(wide) = number.as_i128() else {
                    decoder.issue("expected integer, found a fraction");
                    return None;
                };
                let narrow = <$integer>::try_from(wide).ok();
                if narrow.is_none() {
                    let (min, max) = (<$integer>::MIN, <$integer>::MAX);
                    decoder.issue(format!("{wide} is not between {min} and {max}"));
                }
                narrow
            }

            fn shape() -> Shape {
                Shape::Integer
            }
        }
    )*};
}

decode_integers!(u16, u32, i32, i64);

impl<T: Decode> Decode for Option<T> {
    fn decode(value: &Value, decoder: &mut Decoder) -> Option<Self> {
        Some(T::decode(value, decoder))
    }

    fn absent(_: &mut Decoder) -> Self {
        None
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn shape() -> Shape {
        T::shape()
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(value: &Value, decoder: &mut Decoder) -> Option<Self> {
        let Some(elements) = value.as_array() else {
            decoder.wrong_type("list", value);
            return None;
        };
        let read = |(index, element)| {
            decoder.at_index(index, |decoder| T::decode(element, decoder).unwrap_or_default())
        };
        Some(elements.iter().enumerate().map(read).collect())
    }

    fn absent(_: &mut Decoder) -> Self {
        Self::new()
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }
}

impl<T: Decode> Decode for BTreeMap<Arc<str>, T> {
    fn decode(value: &Value, decoder: &mut Decoder) -> Option<Self> {
        let Some(map) = value.as_object() else {
            decoder.wrong_type("object", value);
            return None;
        };
        let mut entries = Self::new();
        for (key, value) in map {
            if let Some(entry) = decoder.at_key(key, |decoder| T::decode(value, decoder)) {
                entries.insert(key.as_str().into(), entry);
            }
        }
        Some(entries)
    }

    fn absent(_: &mut Decoder) -> Self {
        Self::new()
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn shape() -> Shape {
        Shape::Map(Box::new(T::shape()))
    }
}
