//! The Huffman code of string literals (RFC 7541 section 5.2 and appendix B): reading and writing.

mod code;
#[cfg(test)]
mod tests;

use std::mem;

use self::code::{Code, EOS, LENGTHS, LONGEST, Short, long_code, short_code};
use super::HpackError;

/// Looks at the short codes between two looks at the input: they take 48 of at least 56 bits, and
/// give at most eight octets.
const AT_ONCE: usize = 4;

/// What of `dst` was written, and how many octets it would have been.
struct Output<'a> {
    dst: &'a mut [u8],
    len: usize,
}

impl Output<'_> {
    /// Writes the octets at the low end of `octets`, which take `bits` bits.
    #[inline]
    fn push(&mut self, octets: u64, bits: u32) {
        let new_len = self.len.saturating_add((bits / 8) as usize);
        let rest = self.dst.get_mut(self.len..).unwrap_or_default();
        if let Some(whole) = rest.first_chunk_mut::<8>() {
            // What is too much is overwritten, or cut off at the end.
            *whole = octets.to_le_bytes();
        } else {
            let count = rest.len().min((bits / 8) as usize);
            rest.iter_mut()
                .zip(octets.to_le_bytes())
                .take(count)
                .for_each(|(to, octet)| *to = octet);
        }
        self.len = new_len;
    }

    #[inline]
    fn push_symbol(&mut self, symbol: u16) -> Result<(), HpackError> {
        if symbol == EOS {
            return Err(HpackError::Huffman);
        }
        self.push(u64::from(symbol), 8);
        Ok(())
    }
}

/// Appends the decoded string to `out`, or its first `most` octets, and returns its whole length.
/// The string is checked to its end in any case.
pub(super) fn decode(input: &[u8], most: usize, out: &mut Vec<u8>) -> Result<usize, HpackError> {
    let start = out.len();
    // The shortest code has 5 bits.
    let room = (input.len().saturating_mul(8) / 5).min(most);
    out.resize(start.saturating_add(room), 0);
    let mut output = Output { dst: out.get_mut(start..).unwrap_or_default(), len: 0 };
    decode_to(input, &mut output)?;
    let len = output.len;
    out.truncate(start.saturating_add(len.min(room)));
    Ok(len)
}

/// Bits of the input at the high end of `bits`, and how many of them are there. Below them may
/// stand some of those that follow.
struct Window {
    bits: u64,
    len: u32,
}

impl Window {
    /// Takes symbols with short codes, up to a long one, off the window. Returns whether there is
    /// one; it may also be in bits that are not there.
    #[inline]
    fn short_codes(&mut self, output: &mut Output<'_>) -> Result<bool, HpackError> {
        let mut octets = 0u64;
        let mut sum = 0u32;
        let mut last = Short(0);
        for _ in 0..AT_ONCE {
            // A long code stays, so that the last look sees it as well.
            last = short_code(self.bits);
            octets |= u64::from(last.0 >> 16).wrapping_shl(sum >> 8);
            sum = sum.wrapping_add(last.0);
            self.bits = self.bits.wrapping_shl(last.0);
        }
        output.push(octets, sum >> 8 & 0xff);
        self.len = self.len.checked_sub(sum & 0xff).ok_or(HpackError::Huffman)?;
        Ok(last.is_long())
    }

    /// Puts ones behind the bits that are there, and returns whether those are padding: fewer than
    /// eight ones. Only an end of the input makes them that few.
    #[inline]
    fn is_padding(&mut self) -> bool {
        self.bits |= low_ones(self.len);
        self.bits == u64::MAX && self.len < 8
    }

    #[inline]
    fn long_code(&mut self, output: &mut Output<'_>) -> Result<(), HpackError> {
        let (symbol, length) = long_code(self.bits);
        self.len = self.len.checked_sub(length).ok_or(HpackError::Huffman)?;
        self.bits <<= length;
        output.push_symbol(symbol)
    }
}

fn decode_to(mut input: &[u8], output: &mut Output<'_>) -> Result<(), HpackError> {
    let mut window = Window { bits: 0, len: 0 };
    while let Some(next) = input.first_chunk::<8>() {
        window.bits |= u64::from_be_bytes(*next) >> window.len;
        input = input.get(((63 - window.len) / 8) as usize..).unwrap_or_default();
        window.len |= 56;
        // Without enough bits for a long code, it comes again with more.
        if window.short_codes(output)? && window.len >= LONGEST {
            window.long_code(output)?;
        }
    }
    decode_end(input, window, output)
}

/// The last octets, fewer than eight, and what the window still holds.
///
/// Behind the end we see ones, as padding is. No code is all ones but that of EOS, so that short
/// codes stop where padding begins; and a code that takes some of those ones has begun before the
/// padding, which is wrong.
#[inline]
fn decode_end(input: &[u8], mut window: Window, output: &mut Output<'_>) -> Result<(), HpackError> {
    // Those that have no room in the window yet, at the high end.
    let mut later = input.iter().rev().fold(0, |word, octet| word >> 8 | u64::from(*octet) << 56);
    let mut later_len = 8 * input.len() as u32;
    loop {
        let more = later_len.min(64 - window.len);
        let known = window.bits & !low_ones(window.len);
        window.bits = known | later.checked_shr(window.len).unwrap_or(0);
        later = later.checked_shl(more).unwrap_or(0);
        later_len -= more;
        window.len += more;
        if window.is_padding() {
            return Ok(());
        }
        if window.short_codes(output)? && (window.len >= LONGEST || later_len == 0) {
            if window.is_padding() {
                return Ok(());
            }
            window.long_code(output)?;
        }
    }
}

/// Ones in all but the `bits` highest bits.
#[inline]
fn low_ones(bits: u32) -> u64 {
    u64::MAX.checked_shr(bits).unwrap_or(0)
}

/// Octets that [`encode`] makes of `input`.
#[inline]
pub(super) fn encoded_len(input: &[u8]) -> usize {
    let bits = input.iter().fold(0usize, |sum, octet| {
        sum + usize::from(LENGTHS.get(usize::from(*octet)).copied().unwrap_or_default())
    });
    bits.div_ceil(8)
}

/// Writes `input` in the code, padded with ones, and returns its length; `None` when it does not
/// fit.
pub(super) fn encode(input: &[u8], dst: &mut [u8]) -> Option<usize> {
    let most = dst.len();
    let mut bits = BitWriter { waiting: Code { bits: 0, len: 0 }, rest: dst };
    let (groups, rest) = input.as_chunks::<4>();
    for group in groups {
        let [a, b, c, d] = group.each_ref().map(Code::of);
        let (first, second) = (a.and(b), c.and(d));
        if first.len + second.len <= 32 {
            bits.push(first.and(second))?;
        } else {
            for code in [a, b, c, d] {
                bits.push(code)?;
            }
        }
    }
    for octet in rest {
        bits.push(Code::of(octet))?;
    }
    let left = bits.end()?;
    Some(most - left)
}

struct BitWriter<'a> {
    /// Fewer than 32 bits between calls.
    waiting: Code,
    rest: &'a mut [u8],
}

impl BitWriter<'_> {
    /// Writes a code of at most 32 bits.
    #[inline]
    fn push(&mut self, code: Code) -> Option<()> {
        // Bits above those that wait are written already.
        self.waiting = self.waiting.and(code);
        if self.waiting.len >= 32 {
            self.waiting.len -= 32;
            let (to, rest) = mem::take(&mut self.rest).split_first_chunk_mut::<4>()?;
            *to = ((self.waiting.bits >> self.waiting.len) as u32).to_be_bytes();
            self.rest = rest;
        }
        Some(())
    }

    /// Writes what waits, and returns how much of the buffer is left.
    #[inline]
    fn end(self) -> Option<usize> {
        let Code { bits, len } = self.waiting;
        let last = (bits.checked_shl(64 - len).unwrap_or(0) | low_ones(len)).to_be_bytes();
        let last = last.get(..len.div_ceil(8) as usize)?;
        self.rest.get_mut(..last.len())?.copy_from_slice(last);
        Some(self.rest.len() - last.len())
    }
}
