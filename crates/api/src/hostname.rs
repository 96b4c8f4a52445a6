//! Syntax of the Gateway API's `Hostname` and `PreciseHostname`.

use std::net::IpAddr;

use crate::limits::HOSTNAME_LENGTH_MAX;

/// Why a text is not a hostname.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostnameError {
    /// No text at all.
    #[error("a hostname must not be empty")]
    Empty,
    /// The API allows names only.
    #[error("a hostname must not be an IP address")]
    IpAddress,
    /// RFC 1123: labels of a-z, 0-9 and `-`, which neither start nor end with `-`.
    #[error(
        "a hostname consists of labels of a-z, 0-9 and \"-\", joined by dots; write it in lower case"
    )]
    Label,
    /// Longer than [`HOSTNAME_LENGTH_MAX`].
    #[error("a hostname has at most 253 characters")]
    TooLong,
    /// `*` is only allowed as the whole first label, and only where patterns are.
    #[error("a wildcard is only possible as the whole first label, before at least one other")]
    Wildcard,
}

/// Checks a `Hostname`: a precise one, or `*.` before one.
///
/// # Errors
/// What is wrong with the text.
pub fn check(hostname: &str) -> Result<(), HostnameError> {
    if hostname.len() > HOSTNAME_LENGTH_MAX {
        return Err(HostnameError::TooLong);
    }
    check_precise(hostname.strip_prefix("*.").unwrap_or(hostname)).map_err(|error| match error {
        HostnameError::Empty if !hostname.is_empty() => HostnameError::Wildcard,
        HostnameError::Empty
        | HostnameError::IpAddress
        | HostnameError::Label
        | HostnameError::TooLong
        | HostnameError::Wildcard => error,
    })
}

/// Checks a `PreciseHostname`: labels of RFC 1123 joined by dots, no wildcard, no IP address.
///
/// # Errors
/// What is wrong with the text.
pub fn check_precise(hostname: &str) -> Result<(), HostnameError> {
    if hostname.is_empty() {
        return Err(HostnameError::Empty);
    }
    if hostname.len() > HOSTNAME_LENGTH_MAX {
        return Err(HostnameError::TooLong);
    }
    if hostname.contains('*') {
        return Err(HostnameError::Wildcard);
    }
    if hostname.parse::<IpAddr>().is_ok() {
        return Err(HostnameError::IpAddress);
    }
    if hostname.split('.').all(is_label) { Ok(()) } else { Err(HostnameError::Label) }
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !label.is_empty()
        && label.bytes().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}
