//! Byte classes and the scans over them.
//!
//! Each scan returns the offset of the first byte that does not belong, or the length of the
//! slice. Values and targets are looked at eight bytes at a time: that is where the bytes are.

use crate::word::{HIGH, ONES, below, equal};

const TOKEN: u8 = 1;
const UNDERSCORE: u8 = 2;
const HOST: u8 = 4;

const CLASS: [u8; 256] = classes();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler; the index is below 256")]
const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut i = 0usize;
    while i < 256 {
        let b = i as u8;
        if b.is_ascii_alphanumeric() {
            table[i] = TOKEN | HOST;
        }
        i += 1;
    }
    let mut rest: &[u8] = b"!#$%&'*+-.^_`|~";
    while let [first, tail @ ..] = rest {
        table[*first as usize] |= TOKEN;
        rest = tail;
    }
    let mut rest: &[u8] = b"-._~";
    while let [first, tail @ ..] = rest {
        table[*first as usize] |= HOST;
        rest = tail;
    }
    table[b'_' as usize] |= UNDERSCORE;
    table
}

#[inline]
fn class(b: u8) -> u8 {
    CLASS.get(usize::from(b)).copied().unwrap_or_default()
}

/// `tchar` of RFC 9110 section 5.6.2.
#[inline]
pub(crate) fn is_token_byte(b: u8) -> bool {
    class(b) & TOKEN != 0
}

/// Whether `bytes` is a `token` (RFC 9110 section 5.6.2).
#[inline]
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|b| is_token_byte(*b))
}

/// Letters, digits, `-`, `.`, `_`, `~`: what we allow in a registered name. RFC 3986 also allows
/// escapes and sub-delimiters, which no host in use needs and which read as lists elsewhere.
#[inline]
pub(crate) fn is_host_byte(b: u8) -> bool {
    class(b) & HOST != 0
}

/// High bit set in each byte of `word` that is neither a letter, a digit nor `-`. Exact for every
/// byte, because the sums stay below 256.
#[inline]
fn unusual(word: u64) -> u64 {
    let low = word & !HIGH;
    let at_least = |bytes: u64, n: u8| bytes.wrapping_add(ONES.wrapping_mul(u64::from(0x80 - n)));
    let folded = low | (ONES << 5);
    let letter = at_least(folded, b'a') & !at_least(folded, b'z' + 1);
    let digit = at_least(low, b'0') & !at_least(low, b'9' + 1);
    let hyphen = !at_least(low ^ ONES.wrapping_mul(u64::from(b'-')), 1);
    (!(letter | digit | hyphen) | word) & HIGH
}

/// End of the run of token bytes from `from`, and whether `_` is among them. Most names are
/// letters and hyphens, which are skipped eight at a time.
#[inline]
pub(crate) fn token_end(buf: &[u8], from: usize) -> (usize, bool) {
    let mut seen = 0u8;
    let mut pos = from;
    loop {
        while let Some(word) = buf.get(pos..).and_then(<[u8]>::first_chunk::<8>) {
            let mask = unusual(u64::from_le_bytes(*word));
            if mask != 0 {
                pos += (mask.trailing_zeros() / 8) as usize;
                break;
            }
            pos += 8;
        }
        let Some(b) = buf.get(pos) else { return (pos, seen & UNDERSCORE != 0) };
        let bits = class(*b);
        if bits & TOKEN == 0 {
            return (pos, seen & UNDERSCORE != 0);
        }
        seen |= bits;
        pos += 1;
    }
}

/// Whether the token `name` is `lower`, which is made of lower-case letters, digits and hyphens,
/// in any case. Setting the bit of the case changes no byte of a token into one of those except
/// the letters.
#[inline]
pub(crate) fn token_is(name: &[u8], lower: &[u8]) -> bool {
    if name.len() != lower.len() {
        return false;
    }
    let differ =
        |a: &[u8; 8], b: &[u8; 8]| (u64::from_le_bytes(*a) | (ONES << 5)) ^ u64::from_le_bytes(*b);
    let (Some(name_tail), Some(lower_tail)) = (name.last_chunk::<8>(), lower.last_chunk::<8>())
    else {
        return name.iter().zip(lower).all(|(a, b)| a | 0x20 == *b);
    };
    let (words, _) = name.as_chunks::<8>();
    let (lower_words, _) = lower.as_chunks::<8>();
    let whole = words.iter().zip(lower_words).fold(0, |all, (a, b)| all | differ(a, b));
    whole | differ(name_tail, lower_tail) == 0
}

#[inline]
fn scan(
    buf: &[u8],
    from: usize,
    word_stops: impl Fn(u64) -> u64,
    stops: impl Fn(u8) -> bool,
) -> usize {
    let mut pos = from;
    let (words, rest) = buf.get(from..).unwrap_or_default().as_chunks::<8>();
    for word in words {
        let mask = word_stops(u64::from_le_bytes(*word));
        if mask != 0 {
            return pos + (mask.trailing_zeros() / 8) as usize;
        }
        pos += 8;
    }
    for b in rest {
        if stops(*b) {
            return pos;
        }
        pos += 1;
    }
    pos
}

/// First byte from `from` that may not stand in a field value: a control byte other than HTAB, or
/// DEL. A line end is one.
#[inline]
pub(crate) fn value_end(buf: &[u8], from: usize) -> usize {
    let mut pos = from;
    loop {
        pos = scan(buf, pos, |w| below(w, 0x20) | equal(w, 0x7f), |b| b < 0x20 || b == 0x7f);
        if buf.get(pos) != Some(&b'\t') {
            return pos;
        }
        pos += 1;
    }
}

/// First byte from `from` that may not stand in a request target: a blank, a control byte, a byte
/// above 0x7e, or `#`.
#[inline]
pub(crate) fn target_end(buf: &[u8], from: usize) -> usize {
    scan(
        buf,
        from,
        |w| below(w, 0x21) | equal(w, 0x7f) | equal(w, b'#') | (w & HIGH),
        |b| !(0x21..0x7f).contains(&b) || b == b'#',
    )
}

/// `buf[start..end]` without the blanks (SP and HTAB, nothing else) around it.
#[inline]
pub(crate) fn trim(buf: &[u8], start: usize, end: usize) -> (usize, usize) {
    let blank = |at: usize| matches!(buf.get(at), Some(b' ' | b'\t'));
    let (mut start, mut end) = (start, end);
    while start < end && blank(start) {
        start += 1;
    }
    while start < end && blank(end - 1) {
        end -= 1;
    }
    (start, end)
}

#[cfg(test)]
mod tests {
    use super::{is_token_byte, target_end, token_end, token_is, value_end};

    /// Every byte at every offset of a word, and in the rest behind the last word.
    fn placed() -> impl Iterator<Item = (Vec<u8>, usize, u8)> {
        (0..=255u8).flat_map(|byte| {
            (0..20usize).map(move |at| {
                let mut bytes = vec![b'a'; 20];
                bytes[at] = byte;
                (bytes, at, byte)
            })
        })
    }

    #[test]
    fn scans_stop_at_exactly_the_bytes_of_their_class() {
        for (bytes, at, byte) in placed() {
            let end = |stops: bool| if stops { at } else { bytes.len() };
            let control = (byte < 0x20 && byte != b'\t') || byte == 0x7f;
            assert_eq!(value_end(&bytes, 0), end(control), "value, {byte:#x} at {at}");
            let outside = !(0x21..0x7f).contains(&byte) || byte == b'#';
            assert_eq!(target_end(&bytes, 0), end(outside), "target, {byte:#x} at {at}");
            let stops = !is_token_byte(byte);
            let underscore = byte == b'_';
            let found = token_end(&bytes, 0);
            assert_eq!(found, (end(stops), underscore), "token, {byte:#x} at {at}");
        }
    }

    #[test]
    fn two_bad_bytes_in_one_word_stop_at_the_first() {
        for first in [0u8, 0x0a, 0x0d, 0x1f, 0x7f] {
            for second in [0u8, 0x01, 0x0d, 0x20, 0x21, 0x7f, 0x80, 0xff] {
                let bytes = [b'a', b'b', first, second, b'c', b'd', b'e', b'f', b'g'];
                assert_eq!(value_end(&bytes, 0), 2);
                assert_eq!(target_end(&bytes, 0), 2);
                assert_eq!(token_end(&bytes, 0).0, 2);
            }
        }
    }

    #[test]
    fn tokens_compare_in_any_case_and_no_other_way() {
        for (mut bytes, at, byte) in placed() {
            if !is_token_byte(byte) {
                continue;
            }
            for len in [1, 4, 7, 8, 9, 16, 20] {
                bytes.truncate(20);
                let name = &bytes[..len];
                let lower = vec![b'a'; len];
                let want = name.eq_ignore_ascii_case(&lower);
                assert_eq!(token_is(name, &lower), want, "{byte:#x} at {at} of {len}");
            }
        }
    }
}
