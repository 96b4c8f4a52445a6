//! Host names of requests: one canonical form.

use std::{borrow::Cow, net::Ipv6Addr};

use thiserror::Error;

use crate::limits::HOST_BYTES_MAX;

/// The host of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    /// Lower case, without trailing dot; an IPv6 address keeps its brackets.
    pub name: Cow<'a, str>,
    pub port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    #[error("host holds a byte that no host name has")]
    BadByte,
    #[error("host is not a bracketed ipv6 address")]
    BadIpv6,
    #[error("host is empty or has an empty label")]
    Empty,
    #[error("port is not a number up to 65535")]
    Port,
    #[error("host is longer than {HOST_BYTES_MAX} bytes")]
    TooLong,
}

/// Reads `host[:port]` (RFC 9110 7.2): user information is refused, case folded, one trailing dot
/// dropped. An empty port is no port (RFC 3986 3.2.3). Borrows when nothing changes; idempotent.
pub fn normalize(authority: &str) -> Result<Host<'_>, HostError> {
    let (name, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (address, port) = inner.split_once(']').ok_or(HostError::BadIpv6)?;
            address.parse::<Ipv6Addr>().map_err(|_| HostError::BadIpv6)?;
            // With its brackets: two bytes more than what stands between them.
            let bracketed = authority.get(..address.len().saturating_add(2));
            (bracketed.ok_or(HostError::BadIpv6)?, port)
        }
        None => {
            let end = authority.find(':').unwrap_or(authority.len());
            let (name, port) = authority.split_at_checked(end).unwrap_or((authority, ""));
            (checked_name(name)?, port)
        }
    };
    let name = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    };
    Ok(Host { name, port: checked_port(port)? })
}

fn checked_name(name: &str) -> Result<&str, HostError> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.len() > HOST_BYTES_MAX {
        return Err(HostError::TooLong);
    }
    let mut label_is_empty = true;
    for byte in name.bytes() {
        match byte {
            b'.' if label_is_empty => return Err(HostError::Empty),
            b'.' => label_is_empty = true,
            b'-' | b'_' => label_is_empty = false,
            byte if byte.is_ascii_alphanumeric() => label_is_empty = false,
            _ => return Err(HostError::BadByte),
        }
    }
    if label_is_empty { Err(HostError::Empty) } else { Ok(name) }
}

/// `text` is empty or starts with a colon.
fn checked_port(text: &str) -> Result<Option<u16>, HostError> {
    let digits = match text.strip_prefix(':') {
        Some(digits) => digits,
        None if text.is_empty() => return Ok(None),
        None => return Err(HostError::Port),
    };
    if digits.is_empty() {
        return Ok(None);
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    digits.parse().map(Some).map_err(|_| HostError::Port)
}
