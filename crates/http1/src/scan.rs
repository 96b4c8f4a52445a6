//! Byte classes and the scans over them.
//!
//! Each scan returns the offset of the first byte that does not belong, or the length of the
//! slice. Values and targets are looked at eight bytes at a time: that is where the bytes are.

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

/// End of the run of token bytes from `from`, and whether `_` is among them.
#[inline]
pub(crate) fn token_end(buf: &[u8], from: usize) -> (usize, bool) {
    let mut seen = 0u8;
    let mut pos = from;
    for b in buf.get(from..).unwrap_or_default() {
        let bits = class(*b);
        if bits & TOKEN == 0 {
            break;
        }
        seen |= bits;
        pos += 1;
    }
    (pos, seen & UNDERSCORE != 0)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// High bit set in each byte of `word` that is below `n` (`n` up to 128). Bits above the lowest
/// set one may be false, which is why callers take the lowest only.
#[inline]
fn below(word: u64, n: u8) -> u64 {
    word.wrapping_sub(ONES.wrapping_mul(u64::from(n))) & !word & HIGH
}

/// High bit set in each byte of `word` that equals `b`, under the same condition as [`below`].
#[inline]
fn equal(word: u64, b: u8) -> u64 {
    below(word ^ ONES.wrapping_mul(u64::from(b)), 1)
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

/// `bytes` without the blanks (SP and HTAB, nothing else) around it, as a range in it.
#[inline]
pub(crate) fn trim(buf: &[u8], start: usize, end: usize) -> (usize, usize) {
    let blank = |b: &u8| *b == b' ' || *b == b'\t';
    let value = buf.get(start..end).unwrap_or_default();
    let lead = value.iter().take_while(|b| blank(b)).count();
    let tail = value.get(lead..).unwrap_or_default().iter().rev().take_while(|b| blank(b)).count();
    (start + lead, end - tail)
}
