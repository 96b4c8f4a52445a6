//! The static table (RFC 7541 appendix A).

/// Number of entries; the dynamic table begins behind them.
pub(super) const ENTRIES: u32 = 61;

#[rustfmt::skip]
const TABLE: [(&[u8], &[u8]); ENTRIES as usize] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

static ENTRY: [(&[u8], &[u8]); ENTRIES as usize] = TABLE;

/// Bits of a slot's number.
const SLOT_BITS: u32 = 7;
/// Gives each name a slot of its own; found by trying, and checked where it is used.
const MULTIPLIER: u32 = 0x64ad_062f;

/// By [`slot`]: the index of the first entry with that name, or 0.
static SLOTS: [u8; 1 << SLOT_BITS] = slots();

/// No two names have the length, the first and the last byte in common, in whatever case.
#[inline]
const fn slot(length: usize, first: u8, last: u8) -> usize {
    let (first, last) = (first.to_ascii_lowercase(), last.to_ascii_lowercase());
    let key = (length as u32) ^ (first as u32) << 8 ^ (last as u32) << 16;
    (key.wrapping_mul(MULTIPLIER) >> (u32::BITS - SLOT_BITS)) as usize
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn slots() -> [u8; 1 << SLOT_BITS] {
    let mut table = [0; 1 << SLOT_BITS];
    // Backwards, so that the first entry of a name stays.
    let mut i = TABLE.len();
    while i > 0 {
        let name = TABLE[i - 1].0;
        let slot = slot(name.len(), name[0], name[name.len() - 1]);
        let taken = table[slot] as usize;
        // Entries of one name follow each other.
        assert!(taken == 0 || taken == i + 1 && TABLE[i].0.len() == name.len());
        table[slot] = i as u8;
        i -= 1;
    }
    table
}

/// The entry with an index from 1 to [`ENTRIES`].
#[inline]
pub(super) fn get(index: u32) -> Option<(&'static [u8], &'static [u8])> {
    ENTRY.get((index as usize).wrapping_sub(1)).copied()
}

/// The first index with this name, which may be in any case.
#[inline]
pub(super) fn find(name: &[u8]) -> Option<u32> {
    let (first, last) = (name.first()?, name.last()?);
    let index = u32::from(*SLOTS.get(slot(name.len(), *first, *last))?);
    // An empty slot leads to no entry.
    is(get(index)?.0, name).then_some(index)
}

/// The bit that capitals lack, in each octet of a word.
const LOWER: u64 = 0x2020_2020_2020_2020;

/// Whether a name of the table, which has letters, `-` and `:`, is `name` but for the case of its
/// letters. Of what may be in a name, nothing else becomes one of these by setting a bit.
#[inline]
fn is(lower: &[u8], name: &[u8]) -> bool {
    if lower.len() != name.len() {
        return false;
    }
    let differs = |lower: &[u8; 8], name: &[u8; 8]| {
        u64::from_ne_bytes(*lower) ^ (u64::from_ne_bytes(*name) | LOWER)
    };
    // The last word may have octets in common with the one before.
    if let (Some(last), Some(name_last)) = (lower.last_chunk(), name.last_chunk()) {
        let words = lower.as_chunks::<8>().0.iter().zip(name.as_chunks::<8>().0);
        return words.fold(differs(last, name_last), |any, (a, b)| any | differs(a, b)) == 0;
    }
    lower.iter().zip(name).fold(0, |any, (a, b)| any | (a ^ (b | 0x20))) == 0
}

/// The index with this value among those of the name that [`find`] gave as `index`.
#[inline]
pub(super) fn find_value(index: u32, value: &[u8]) -> Option<u32> {
    match index {
        2 => match value {
            b"GET" => Some(2),
            b"POST" => Some(3),
            _ => None,
        },
        4 => match value {
            b"/" => Some(4),
            b"/index.html" => Some(5),
            _ => None,
        },
        6 => match value {
            b"http" => Some(6),
            b"https" => Some(7),
            _ => None,
        },
        8 => match value {
            b"200" => Some(8),
            b"204" => Some(9),
            b"206" => Some(10),
            b"304" => Some(11),
            b"400" => Some(12),
            b"404" => Some(13),
            b"500" => Some(14),
            _ => None,
        },
        16 => (value == b"gzip, deflate").then_some(16),
        _ => value.is_empty().then_some(index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found() {
        for (index, (name, value)) in (1..).zip(TABLE) {
            let first = find(name).unwrap();
            assert_eq!(get(first).unwrap().0, name);
            assert!(first == 1 || get(first - 1).unwrap().0 != name);
            assert_eq!(find(&name.to_ascii_uppercase()), Some(first));
            assert_eq!(find_value(first, value), Some(index));
            assert_eq!(get(index), Some((name, value)));
            assert_eq!(find_value(first, b"another"), None);
        }
        assert_eq!((get(0), get(ENTRIES + 1)), (None, None));
    }

    #[test]
    fn nothing_else_is_found() {
        for name in [&b""[..], b"a", b"x-any", b"acceps", b"date\0"] {
            assert_eq!(find(name), None);
        }
        // Names without an empty value.
        for index in [2, 4, 6, 8, 16] {
            assert_eq!(find_value(index, b""), None);
        }
    }
}
