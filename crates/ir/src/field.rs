//! HTTP field names and values that are safe to write (RFC 9110 section 5).

use std::{fmt, sync::Arc};

/// A field name: a token, in the case it was written, compared without case.
#[derive(Clone, Debug)]
pub struct FieldName(Arc<str>);

impl FieldName {
    /// `None` unless `name` is a non-empty token (RFC 9110 5.6.2).
    pub fn new(name: &str) -> Option<Self> {
        let token = !name.is_empty() && name.bytes().all(is_token_byte);
        token.then(|| Self(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the field belongs to a connection or frames a message (RFC 9110 7.6.1, RFC 9112
    /// section 6). No filter may edit it.
    pub fn is_of_connection(&self) -> bool {
        OF_CONNECTION.iter().any(|name| name.eq_ignore_ascii_case(&self.0))
    }

    pub fn matches(&self, name: &[u8]) -> bool {
        self.0.as_bytes().eq_ignore_ascii_case(name)
    }
}

impl PartialEq for FieldName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for FieldName {}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A field value without CR, LF and NUL, and without blanks at its ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldValue(Arc<str>);

impl FieldValue {
    /// `None` when `value` holds a control character other than a tab (RFC 9110 5.5).
    pub fn new(value: &str) -> Option<Self> {
        let clean = value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
        clean.then(|| Self(value.trim_matches([' ', '\t']).into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const OF_CONNECTION: [&str; 9] = [
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Of a token (RFC 9110 5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
