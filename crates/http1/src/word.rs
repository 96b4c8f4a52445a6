//! Eight bytes in one word, looked at at once: for scans that mostly find nothing.

/// One in each byte.
pub(crate) const ONES: u64 = 0x0101_0101_0101_0101;
/// The high bit of each byte.
pub const HIGH: u64 = ONES << 7;

/// High bit set in each byte of `word` that is below `n` (`n` up to 128). Bits above the lowest
/// set one may be false: take the lowest only, or ask whether there is one.
#[must_use]
#[inline]
pub fn below(word: u64, n: u8) -> u64 {
    word.wrapping_sub(ONES.wrapping_mul(u64::from(n))) & !word & HIGH
}

/// High bit set in each byte of `word` that equals `b`, under the same condition as [`below`].
#[must_use]
#[inline]
pub fn equal(word: u64, b: u8) -> u64 {
    below(word ^ ONES.wrapping_mul(u64::from(b)), 1)
}
