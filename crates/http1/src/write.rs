//! Writers of start lines, fields and chunks.
//!
//! Each checks what it is given, so that no byte from outside can end a line early: a message is
//! split only where we split it. On an error nothing was written.

use std::num::NonZeroUsize;

use crate::scan::{is_token, target_end, value_end};

/// Why a line was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum WriteError {
    /// The method is not a token.
    #[error("the method to write is not a token")]
    Method,
    /// The field name is not a token.
    #[error("the field name to write is not a token")]
    Name,
    /// The reason phrase contains a control byte.
    #[error("the reason phrase to write contains a control byte")]
    Reason,
    /// The status code is not from 100 to 599.
    #[error("the status code to write is not from 100 to 599")]
    Status,
    /// The path does not start with `/` (nor is `*`), or contains `?`, or path or query contain a
    /// byte outside of visible ASCII or `#`.
    #[error("the target to write is not an origin-form target")]
    Target,
    /// The field value contains CR, LF, NUL or another control byte but HTAB.
    #[error("the field value to write contains a control byte")]
    Value,
}

/// Writes `METHOD path?query HTTP/1.1` with its line end. `path` starts with `/` or is `*`.
///
/// # Errors
/// When a part would not be read back as it is.
pub fn write_request_line(
    out: &mut Vec<u8>,
    method: &[u8],
    path: &[u8],
    query: Option<&[u8]>,
) -> Result<(), WriteError> {
    let query_bytes = query.unwrap_or_default();
    if !is_token(method) {
        return Err(WriteError::Method);
    }
    let form = path.first() == Some(&b'/') || (path == b"*" && query.is_none());
    if !form
        || target_end(path, 0) != path.len()
        || memchr::memchr(b'?', path).is_some()
        || target_end(query_bytes, 0) != query_bytes.len()
    {
        return Err(WriteError::Target);
    }
    out.reserve(method.len() + path.len() + query_bytes.len() + 16);
    out.extend_from_slice(method);
    out.push(b' ');
    out.extend_from_slice(path);
    if query.is_some() {
        out.push(b'?');
        out.extend_from_slice(query_bytes);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
    Ok(())
}

/// Writes `HTTP/1.1 NNN reason` with its line end.
///
/// # Errors
/// When the status is not from 100 to 599 or the reason contains a control byte.
pub fn write_status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) -> Result<(), WriteError> {
    if !(100..=599).contains(&status) {
        return Err(WriteError::Status);
    }
    if value_end(reason, 0) != reason.len() {
        return Err(WriteError::Reason);
    }
    out.reserve(reason.len() + 16);
    out.extend_from_slice(b"HTTP/1.1 ");
    write_decimal(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Writes `name: value` with its line end.
///
/// # Errors
/// When the name is not a token or the value contains a control byte other than HTAB.
#[inline]
pub fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), WriteError> {
    if !is_token(name) {
        return Err(WriteError::Name);
    }
    if value_end(value, 0) != value.len() {
        return Err(WriteError::Value);
    }
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Writes `content-length: length` with its line end.
pub fn write_content_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    write_decimal(out, length);
    out.extend_from_slice(b"\r\n");
}

/// Writes the empty line that ends a head.
pub fn write_head_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Writes the size line of a chunk of `len` bytes; the data and [`write_chunk_end`] follow. The
/// type excludes the empty chunk, which would end the body.
pub fn write_chunk_start(out: &mut Vec<u8>, len: NonZeroUsize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let len = len.get();
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4);
    for at in (0..digits).rev() {
        let nibble = (len >> (at * 4)) & 0xf;
        out.push(DIGITS.get(nibble).copied().unwrap_or_default());
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the line end behind the data of a chunk.
pub fn write_chunk_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Writes `data` as one chunk, or nothing when it is empty.
pub fn write_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if let Some(len) = NonZeroUsize::new(data.len()) {
        write_chunk_start(out, len);
        out.extend_from_slice(data);
        write_chunk_end(out);
    }
}

/// Writes the last chunk and the trailer section, which end a chunked body.
///
/// # Errors
/// As [`write_field`]; nothing was written then, and the caller decides whether to end the body
/// without trailers.
pub fn write_last_chunk<'a>(
    out: &mut Vec<u8>,
    trailers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
) -> Result<(), WriteError> {
    let before = out.len();
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers {
        if let Err(error) = write_field(out, name, value) {
            out.truncate(before);
            return Err(error);
        }
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn write_decimal(out: &mut Vec<u8>, number: u64) {
    // The longest number of 64 bits has 20 digits.
    let mut digits = [0u8; 20];
    let mut rest = number;
    let mut used = 0usize;
    for slot in digits.iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}
