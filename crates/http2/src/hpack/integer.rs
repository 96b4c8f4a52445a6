//! Integers with a prefix (RFC 7541 section 5.1).

use super::HpackError;

/// Octets behind the prefix that we read. 32 bits need no more.
const CONTINUATION_MOST: usize = 5;

/// Reads an integer whose first octet `first` is already taken from `rest`; its lowest `bits` bits
/// (1 to 8) are the prefix.
#[inline]
pub(super) fn read(first: u8, bits: u32, rest: &mut &[u8]) -> Result<u32, HpackError> {
    let most = prefix_most(bits);
    let prefix = first & most;
    if prefix < most { Ok(u32::from(prefix)) } else { read_long(u64::from(most), rest) }
}

fn read_long(prefix: u64, rest: &mut &[u8]) -> Result<u32, HpackError> {
    let mut value = prefix;
    for at in 0..CONTINUATION_MOST {
        let (octet, tail) = rest.split_first().ok_or(HpackError::Truncated)?;
        *rest = tail;
        // At most 35 bits and the prefix: 64 bits hold the sum.
        value += u64::from(octet & 0x7f) << (7 * at);
        if octet & 0x80 == 0 {
            return u32::try_from(value).map_err(|_| HpackError::Integer);
        }
    }
    Err(HpackError::Integer)
}

/// Appends `value`; before it stand the bits of the first octet above the prefix, and the number
/// of bits of that.
#[inline]
pub(super) fn write((pattern, bits): (u8, u32), value: u32, out: &mut Vec<u8>) {
    let most = prefix_most(bits);
    match u8::try_from(value) {
        Ok(small) if small < most => out.push(pattern | small),
        _ => write_long(pattern | most, value.saturating_sub(u32::from(most)), out),
    }
}

fn write_long(first: u8, mut value: u32, out: &mut Vec<u8>) {
    out.push(first);
    while value >= 0x80 {
        out.push(0x80 | (value & 0x7f) as u8);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The largest number of `bits` bits: it says that more octets follow.
#[inline]
fn prefix_most(bits: u32) -> u8 {
    u8::MAX >> 8u32.saturating_sub(bits).min(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bits: u32, octets: &[u8]) -> Result<u32, HpackError> {
        let (first, mut rest) = octets.split_first().unwrap();
        let value = read(*first, bits, &mut rest)?;
        assert!(rest.is_empty());
        Ok(value)
    }

    #[test]
    fn examples_of_the_specification() {
        for (pattern, bits, value, octets) in [
            (0xe0, 5, 10, &[0b1110_1010][..]),
            (0, 5, 1337, &[0b0001_1111, 0b1001_1010, 0b0000_1010]),
            (0, 8, 42, &[0b0010_1010]),
        ] {
            let mut out = Vec::new();
            write((pattern, bits), value, &mut out);
            assert_eq!(out, octets);
            assert_eq!(read_all(bits, octets), Ok(value));
        }
    }

    #[test]
    fn every_length_comes_back() {
        for bits in 1..=8 {
            for value in (0..32).flat_map(|shift| [(1u32 << shift) - 1, 1 << shift]) {
                for value in [value, value.wrapping_add(126), u32::MAX - value] {
                    let mut out = Vec::new();
                    write((0, bits), value, &mut out);
                    assert_eq!(read_all(bits, &out), Ok(value), "{bits} {value}");
                }
            }
        }
    }

    #[test]
    fn what_is_cut_or_too_large_is_refused() {
        assert_eq!(read_all(7, &[0x7f]), Err(HpackError::Truncated));
        assert_eq!(read_all(7, &[0x7f, 0x80]), Err(HpackError::Truncated));
        assert_eq!(read_all(7, &[0x7f, 0x80, 0x80, 0x80, 0x80, 0]), Ok(127));
        assert_eq!(read_all(7, &[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80, 0]), Err(HpackError::Integer));
        assert_eq!(read_all(8, &[0xff, 0x80, 0xfe, 0xff, 0xff, 0x0f]), Ok(u32::MAX));
        assert_eq!(read_all(8, &[0xff, 0x81, 0xfe, 0xff, 0xff, 0x0f]), Err(HpackError::Integer));
        assert_eq!(read_all(8, &[0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), Err(HpackError::Integer));
    }
}
