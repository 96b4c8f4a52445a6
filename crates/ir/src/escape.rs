//! Percent-encoding (RFC 3986 2.1).

use std::fmt::Write;

/// The byte that two hexadecimal digits at the start stand for, and what follows them.
pub(crate) fn decode(text: &[u8]) -> Option<(u8, &[u8])> {
    let ([high, low], rest) = text.split_first_chunk::<2>()?;
    Some(((digit(*high)? << 4) | digit(*low)?, rest))
}

/// Appends `%XX`.
pub(crate) fn encode(byte: u8, out: &mut String) {
    let written = write!(out, "%{byte:02X}");
    debug_assert!(written.is_ok(), "a string takes every write");
}

/// RFC 3986 2.3: the same with and without an escape.
pub(crate) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
