//! The code itself, as tables.
//!
//! It is canonical: codes of one length are consecutive numbers in the order of their symbols, and
//! shorter codes come first. So the lengths are all the data there is.

const SYMBOLS: usize = 257;
/// The symbol that ends no string: it stands for padding only.
pub(super) const EOS: u16 = 256;
/// Bits that the table of short codes looks at: most letters and digits come in pairs then.
const SHORT: u32 = 12;
/// Lengths of codes longer than [`SHORT`].
const LONG_LENGTHS: usize = 14;
/// The longest code, in bits.
pub(super) const LONGEST: u32 = 30;

#[rustfmt::skip]
pub(super) const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// The symbols in the order of their codes.
const ORDER: [u16; SYMBOLS] = order();
/// Code and length of each symbol.
pub(super) static CODES: [(u32, u8); SYMBOLS] = codes();
/// By the next [`SHORT`] bits.
static SHORT_CODES: [Short; 1 << SHORT] = short_codes();
static LONG_CODES: [Long; LONG_LENGTHS] = long_codes();
static SORTED: [u16; SYMBOLS] = ORDER;

/// One or two symbols with short codes, or 0 where a code is longer. From the low end: 8 bits for
/// the length of the codes, 8 for the bits that the symbols take as octets, 16 for the symbols. The
/// first two are small enough to be added up within their bits.
#[derive(Clone, Copy, Default)]
pub(super) struct Short(pub(super) u32);

impl Short {
    const fn new(octet: u16, length: u32) -> Self {
        Self(length | 8 << 8 | (octet as u32) << 16)
    }

    const fn and(self, second: Self) -> Self {
        let octets = self.0 >> 16 | second.0 >> 16 << 8;
        Self((self.length() + second.length()) | 16 << 8 | octets << 16)
    }

    const fn length(self) -> u32 {
        self.0 & 0xff
    }

    pub(super) const fn is_long(self) -> bool {
        self.0 == 0
    }
}

/// All codes of one length.
#[derive(Clone, Copy)]
struct Long {
    /// The first and the last code, followed by zeros and by ones up to 32 bits.
    first: u32,
    last: u32,
    length: u32,
    /// Where the symbol of the first code stands in [`SORTED`].
    offset: usize,
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn order() -> [u16; SYMBOLS] {
    let mut sorted = [0; SYMBOLS];
    let mut count = 0;
    let mut length = 0;
    while length <= LONGEST {
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as u32 == length {
                sorted[count] = symbol as u16;
                count += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    assert!(count == SYMBOLS);
    sorted
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn codes() -> [(u32, u8); SYMBOLS] {
    let mut table = [(0, 0); SYMBOLS];
    let mut next = 0u32;
    let mut length = 0;
    let mut i = 0;
    while i < SYMBOLS {
        let symbol = ORDER[i] as usize;
        next <<= LENGTHS[symbol] - length;
        length = LENGTHS[symbol];
        table[symbol] = (next, length);
        next += 1;
        i += 1;
    }
    // No code is left over, so that every input of 30 bits starts with exactly one.
    assert!(next == 1 << LONGEST);
    table
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn short_codes() -> [Short; 1 << SHORT] {
    let codes = codes();
    let mut single = [Short(0); 1 << SHORT];
    let mut symbol = 0;
    while symbol < SYMBOLS {
        let (code, length) = codes[symbol];
        if length as u32 <= SHORT {
            let free = SHORT - length as u32;
            let mut rest = 0;
            while rest < 1 << free {
                single[(code << free | rest) as usize] = Short::new(symbol as u16, length as u32);
                rest += 1;
            }
        }
        symbol += 1;
    }
    let mut table = single;
    let mut bits = 0;
    while bits < table.len() {
        let first = single[bits];
        // What follows the first code, and zeros: the second code must not take any of those.
        let second = single[bits << first.length() & (table.len() - 1)];
        if !first.is_long() && !second.is_long() && first.length() + second.length() <= SHORT {
            table[bits] = first.and(second);
        }
        bits += 1;
    }
    table
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn long_codes() -> [Long; LONG_LENGTHS] {
    let codes = codes();
    let mut table = [Long { first: 0, last: 0, length: 0, offset: 0 }; LONG_LENGTHS];
    let mut used = 0;
    let mut i = 0;
    while i < SYMBOLS {
        let (code, length) = codes[ORDER[i] as usize];
        let length = length as u32;
        if length > SHORT {
            let free = 32 - length;
            if used == 0 || table[used - 1].length != length {
                table[used] = Long { first: code << free, last: 0, length, offset: i };
                used += 1;
            }
            table[used - 1].last = code << free | ((1 << free) - 1);
        }
        i += 1;
    }
    assert!(used == LONG_LENGTHS);
    table
}

/// The symbol at the high end of `window` and the length of its code, which may be any: at least
/// [`LONGEST`] bits must be valid.
#[inline(never)]
pub(super) fn long_code(window: u64) -> (u16, u32) {
    let window = (window >> 32) as u32;
    let found = LONG_CODES.iter().find(|codes| window <= codes.last).and_then(|codes| {
        let nth = window.wrapping_sub(codes.first).checked_shr(32 - codes.length)?;
        let symbol = SORTED.get(codes.offset.wrapping_add(nth as usize))?;
        Some((*symbol, codes.length))
    });
    found.unwrap_or((EOS, LONGEST))
}

#[inline]
pub(super) fn short_code(window: u64) -> Short {
    SHORT_CODES.get((window >> (64 - SHORT)) as usize).copied().unwrap_or_default()
}

/// A code of `len` bits.
#[derive(Clone, Copy)]
pub(super) struct Code {
    pub(super) bits: u64,
    pub(super) len: u32,
}

impl Code {
    #[inline]
    pub(super) fn of(octet: &u8) -> Self {
        let (code, length) = CODES.get(usize::from(*octet)).copied().unwrap_or_default();
        Self { bits: u64::from(code), len: u32::from(length) }
    }

    /// Both, one behind the other. They must fit into 64 bits.
    #[inline]
    pub(super) fn and(self, second: Self) -> Self {
        Self { bits: self.bits << second.len | second.bits, len: self.len + second.len }
    }
}
