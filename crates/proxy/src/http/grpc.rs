//! gRPC calls: what is read of them, and answers of ours in their form.
//!
//! A gRPC client wants status 200 and the outcome in `grpc-status`; other answers it has to guess
//! from ("gRPC over HTTP2", "HTTP2 status code to gRPC status mapping").

use std::time::Duration;

use http1::{FieldIndex, Known};

use crate::observe::reason::Reason;

/// Codes of gRPC (`google.rpc.Code`) that a gateway gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Cancelled = 1,
    Unknown = 2,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Code {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "1",
            Self::Unknown => "2",
            Self::DeadlineExceeded => "4",
            Self::PermissionDenied => "7",
            Self::ResourceExhausted => "8",
            Self::Unimplemented => "12",
            Self::Internal => "13",
            Self::Unavailable => "14",
            Self::Unauthenticated => "16",
        }
    }

    /// The code for an answer of ours.
    pub(crate) fn of(reason: Reason, status: u16) -> Self {
        match (reason, status) {
            (Reason::RequestTimeout | Reason::BackendTimeout, _) => Self::DeadlineExceeded,
            (Reason::InvalidBackend | Reason::NoBackends | Reason::NoEndpoint, _) => {
                Self::Unavailable
            }
            (Reason::ClientGone, _) => Self::Cancelled,
            (_, 400 | 500) => Self::Internal,
            (_, 401) => Self::Unauthenticated,
            (_, 403) => Self::PermissionDenied,
            (_, 404 | 405 | 501) => Self::Unimplemented,
            (_, 413 | 431) => Self::ResourceExhausted,
            (_, 408 | 429 | 502 | 503 | 504) => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

/// Whether the fields are those of a gRPC call: `application/grpc`, alone or with a message format
/// or parameters. gRPC-Web is not: it reads HTTP statuses.
pub(crate) fn is_call(fields: &FieldIndex, bytes: &[u8]) -> bool {
    const TYPE: &[u8] = b"application/grpc";
    fields.value(Known::ContentType, bytes).is_some_and(|value| {
        value.get(..TYPE.len()).is_some_and(|start| start.eq_ignore_ascii_case(TYPE))
            && matches!(value.get(TYPE.len()), None | Some(b'+' | b';' | b' '))
    })
}

/// The deadline that the client set, counted from the request; `None` without a valid one.
pub(crate) fn timeout(fields: &FieldIndex, bytes: &[u8]) -> Option<Duration> {
    parse_timeout(fields.value(Known::GrpcTimeout, bytes)?)
}

/// `1*8DIGIT ("H" / "M" / "S" / "m" / "u" / "n")`
fn parse_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    match unit {
        b'H' => Some(Duration::from_secs(number.checked_mul(3600)?)),
        b'M' => Some(Duration::from_secs(number.checked_mul(60)?)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_up_to_eight_digits_and_a_unit() {
        assert_eq!(parse_timeout(b"100m"), Some(Duration::from_millis(100)));
        assert_eq!(parse_timeout(b"99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for bad in [&b""[..], b"m", b"1", b"100000000S", b"-1S", b"1 S", b"1s", b"1.5S"] {
            assert_eq!(parse_timeout(bad), None, "{}", bad.escape_ascii());
        }
    }
}
