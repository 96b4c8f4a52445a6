//! Paths of requests: one canonical form, which is matched and forwarded.

use std::borrow::Cow;

use thiserror::Error;

use crate::{EscapedSlashes, HttpSettings, escape};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    #[error("path climbs above its root")]
    AboveRoot,
    #[error("path holds a byte that must be escaped")]
    BadByte,
    #[error("path holds an escape that is not two hexadecimal digits")]
    BadEscape,
    #[error("path holds an escaped slash or a backslash, which this listener refuses")]
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

/// The canonical path (RFC 3986 6.2.2): unreserved octets decoded once, escapes in upper case, dot
/// segments removed, empty segments merged unless the listener keeps them. Everything else stays
/// an opaque octet. Borrows when nothing changes; idempotent.
pub fn normalize<'a>(
    raw_path: &'a str,
    settings: &HttpSettings,
) -> Result<Cow<'a, str>, PathError> {
    if !raw_path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    if is_canonical(raw_path.as_bytes(), settings)? {
        return Ok(Cow::Borrowed(raw_path));
    }
    remove_dot_segments(&decode_unreserved(raw_path), settings).map(Cow::Owned)
}

/// The form in which a path that a user wrote in a match or a filter can meet a canonical path:
/// escapes as [`normalize`] leaves them, and what a path cannot hold escaped.
pub fn canonical_value(written: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte != b'%' && is_path_byte(byte);
    if written.bytes().all(plain) {
        return Cow::Borrowed(written);
    }
    Cow::Owned(decode_unreserved(written))
}

/// Examines the whole path in one pass. `false`: it is valid, but not in canonical form.
fn is_canonical(path: &[u8], settings: &HttpSettings) -> Result<bool, PathError> {
    let refuses_slashes = settings.escaped_slashes == EscapedSlashes::Reject;
    let mut canonical = true;
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'/' => canonical &= segment_stays(after, settings.keep_empty_segments),
            b'%' => {
                let (octet, tail) = escape::decode(after).ok_or(PathError::BadEscape)?;
                rest = tail;
                match octet {
                    0 => return Err(PathError::Nul),
                    b'/' | b'\\' if refuses_slashes => return Err(PathError::EscapedSlash),
                    _ => {}
                }
                let lower = after.iter().take(2).any(u8::is_ascii_lowercase);
                canonical &= !lower && !escape::is_unreserved(octet);
            }
            b'\\' if refuses_slashes => return Err(PathError::EscapedSlash),
            byte if !is_path_byte(*byte) => return Err(PathError::BadByte),
            _ => {}
        }
    }
    Ok(canonical)
}

/// Whether the segment that starts here is neither a dot segment nor an empty one to merge.
fn segment_stays(text: &[u8], keep_empty: bool) -> bool {
    match text {
        [b'/', ..] => keep_empty,
        [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..] => false,
        _ => true,
    }
}

/// Bytes that may stand in a path unescaped: visible ASCII but `#` and `?`.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'#' && byte != b'?'
}

fn decode_unreserved(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, escape::decode(after)) {
            (b'%', Some((octet, tail))) => {
                rest = tail;
                if escape::is_unreserved(octet) {
                    out.push(char::from(octet));
                } else {
                    escape::encode(octet, &mut out);
                }
            }
            (byte, _) if *byte != b'%' && is_path_byte(*byte) => out.push(char::from(*byte)),
            (byte, _) => escape::encode(*byte, &mut out),
        }
    }
    out
}

/// RFC 3986 5.2.4, except that climbing above the root is an error.
fn remove_dot_segments(path: &str, settings: &HttpSettings) -> Result<String, PathError> {
    let mut out = String::with_capacity(path.len());
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => {
                let parent = out.rfind('/').ok_or(PathError::AboveRoot)?;
                out.truncate(parent);
            }
            "" if last || !settings.keep_empty_segments => {}
            _ => {
                out.push('/');
                out.push_str(segment);
            }
        }
        if last && matches!(segment, "" | "." | "..") {
            out.push('/');
        }
    }
    Ok(out)
}
