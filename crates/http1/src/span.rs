//! Byte ranges into the buffer that a head was parsed from.

use std::ops::Range;

/// A byte range `start..end` in the caller's buffer, in bytes from the start of the slice that
/// was given to `parse`.
///
/// A span owns nothing. It is meaningful only with the bytes it was made from; with other bytes
/// it yields other bytes or nothing, never a panic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset one past the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end`. Offsets beyond `u32::MAX` are clamped; the parsers never look that
    /// far.
    #[must_use]
    #[inline]
    pub fn new(start: usize, end: usize) -> Self {
        Self { start: clamp(start), end: clamp(end) }
    }

    /// The bytes in `buf`, or nothing when the range does not lie inside it.
    #[must_use]
    #[inline]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        buf.get(self.range()).unwrap_or_default()
    }

    /// The range as indices.
    #[must_use]
    #[inline]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Length in bytes.
    #[must_use]
    #[inline]
    pub fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// Whether there are no bytes in it.
    #[must_use]
    #[inline]
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// The same range moved right by `offset` bytes: for a head parsed from the middle of a
    /// larger buffer.
    #[must_use]
    #[inline]
    pub fn shift(self, offset: usize) -> Self {
        let by = clamp(offset);
        Self { start: self.start.saturating_add(by), end: self.end.saturating_add(by) }
    }
}

#[inline]
fn clamp(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}
