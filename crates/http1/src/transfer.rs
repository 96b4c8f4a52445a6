//! The fields that decide where a message ends.

use crate::field::FieldIndex;
use crate::scan::{is_token, trim};
use crate::{Known, Span};

/// The last field of each name that decides about framing, and how many there are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Once {
    pub(crate) count: u32,
    pub(crate) value: Span,
}

impl Once {
    fn add(&mut self, value: Span) {
        self.count = self.count.saturating_add(1);
        self.value = value;
    }
}

/// What one pass over the fields finds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) host: Once,
    pub(crate) content_length: Once,
    pub(crate) transfer_encoding: Once,
    pub(crate) upgrade: Once,
}

impl Facts {
    pub(crate) fn gather(index: &FieldIndex) -> Self {
        let mut facts = Self::default();
        for field in index {
            match field.known {
                Some(Known::Host) => facts.host.add(field.value),
                Some(Known::ContentLength) => facts.content_length.add(field.value),
                Some(Known::TransferEncoding) => facts.transfer_encoding.add(field.value),
                Some(Known::Upgrade) => facts.upgrade.add(field.value),
                Some(_) | None => {}
            }
        }
        facts
    }
}

/// The value of `Content-Length`: decimal digits and nothing else. Leading zeros are accepted,
/// because the number is written anew. `None` when it is not a number of 64 bits.
pub(crate) fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    let mut length = 0u64;
    for b in value {
        if !b.is_ascii_digit() {
            return None;
        }
        length = length.checked_mul(10)?.checked_add(u64::from(b - b'0'))?;
    }
    Some(length)
}

/// What the value of `Transfer-Encoding` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Exactly `chunked`, in any case.
    Chunked,
    /// Not a list of codings, or `chunked` twice, with parameters, or not last.
    Malformed,
    /// A list with a coding other than `chunked`.
    Unknown,
}

pub(crate) fn transfer_coding(value: &[u8]) -> Coding {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Coding::Chunked;
    }
    let mut chunked = false;
    for element in value.split(|b| *b == b',') {
        let (start, end) = trim(element, 0, element.len());
        let element = element.get(start..end).unwrap_or_default();
        let mut parts = element.splitn(2, |b| *b == b';');
        let name = parts.next().unwrap_or_default();
        let (start, end) = trim(name, 0, name.len());
        let name = name.get(start..end).unwrap_or_default();
        let has_parameters = parts.next().is_some();
        if !is_token(name) || chunked {
            return Coding::Malformed;
        }
        chunked = name.eq_ignore_ascii_case(b"chunked");
        if chunked && has_parameters {
            return Coding::Malformed;
        }
    }
    Coding::Unknown
}

#[cfg(test)]
mod tests {
    use super::{Coding, content_length, transfer_coding};

    #[test]
    fn only_one_chunked_coding_is_understood() {
        for (value, coding) in [
            (&b"chunked"[..], Coding::Chunked),
            (b"ChunkeD", Coding::Chunked),
            (b"gzip, chunked", Coding::Unknown),
            (b"gzip;q=1", Coding::Unknown),
            (b"identity", Coding::Unknown),
            (b"xchunked", Coding::Unknown),
            (b"", Coding::Malformed),
            (b",chunked", Coding::Malformed),
            (b"chunked,", Coding::Malformed),
            (b"chunked, chunked", Coding::Malformed),
            (b"chunked, gzip", Coding::Malformed),
            (b"chunked;a=b", Coding::Malformed),
            (b"\"chunked\"", Coding::Malformed),
            (b"chun ked", Coding::Malformed),
        ] {
            assert_eq!(transfer_coding(value), coding, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn a_length_is_digits_that_fit() {
        assert_eq!(content_length(b"0007"), Some(7));
        assert_eq!(content_length(b"18446744073709551615"), Some(u64::MAX));
        for bad in [&b"18446744073709551616"[..], b"", b"+3", b"-3", b"0x3", b"3 3", b"3,3"] {
            assert_eq!(content_length(bad), None, "{}", bad.escape_ascii());
        }
    }
}
