//! `host [":" port]` of the field `Host` and of request targets.

use std::net::Ipv6Addr;

use crate::Span;
use crate::scan::is_host_byte;

/// Longest host name in bytes (RFC 1035 section 2.3.4, with a final dot).
const HOST_BYTES: usize = 254;

/// A host with an optional port, checked. User information is never allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Host and port as sent.
    pub whole: Span,
    /// Host as sent, in any case, perhaps with a final dot; an IPv6 address with its brackets.
    pub host: Span,
    /// Port, 1 to 65535.
    pub port: Option<u16>,
}

/// Checks `at` in `buf` as `uri-host [":" port]` (RFC 9110 section 7.2). `None` when it is empty
/// or anything else: user information, a list, a path, a blank, an empty or too large port.
///
/// Stricter than RFC 3986: escapes and sub-delimiters in the name, empty labels, zone ids and
/// future address forms are refused.
#[must_use]
pub fn parse_authority(buf: &[u8], at: Span) -> Option<Authority> {
    let bytes = at.of(buf);
    let host_len = if bytes.first() == Some(&b'[') { ipv6_len(bytes)? } else { name_len(bytes)? };
    let port = match bytes.get(host_len..)? {
        [] => None,
        [b':', digits @ ..] => Some(port(digits)?),
        _ => return None,
    };
    let start = at.start as usize;
    Some(Authority { whole: at, host: Span::new(start, start + host_len), port })
}

/// Length of the registered name (or IPv4 address) at the start of `bytes`.
#[inline]
fn name_len(bytes: &[u8]) -> Option<usize> {
    let mut len = 0usize;
    let mut previous = b'.';
    for b in bytes {
        if !is_host_byte(*b) {
            break;
        }
        if *b == b'.' && previous == b'.' {
            return None;
        }
        previous = *b;
        len += 1;
    }
    (len > 0 && len <= HOST_BYTES).then_some(len)
}

/// Length of the bracketed IPv6 address at the start of `bytes`.
fn ipv6_len(bytes: &[u8]) -> Option<usize> {
    let close = bytes.iter().take(64).position(|b| *b == b']')?;
    let text = std::str::from_utf8(bytes.get(1..close)?).ok()?;
    text.parse::<Ipv6Addr>().ok()?;
    Some(close + 1)
}

fn port(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 5 {
        return None;
    }
    let mut value = 0u32;
    for b in digits {
        if !b.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u32::from(b - b'0');
    }
    u16::try_from(value).ok().filter(|port| *port != 0)
}
