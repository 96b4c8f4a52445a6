use super::code::CODES;
use super::*;

fn decoded(input: &[u8]) -> Result<Vec<u8>, HpackError> {
    let mut out = Vec::new();
    let len = decode(input, usize::MAX, &mut out)?;
    assert_eq!(len, out.len());
    Ok(out)
}

fn encoded(input: &[u8]) -> Vec<u8> {
    let mut out = vec![0; encoded_len(input)];
    assert_eq!(encode(input, &mut out), Some(out.len()));
    if let Some(less) = out.len().checked_sub(1) {
        assert_eq!(encode(input, &mut vec![0; less]), None);
        assert_eq!(encode(input, &mut vec![0; less + 9]), Some(out.len()));
    }
    out
}

/// Codes from appendix B, from each of its lengths that begins or ends a run.
#[test]
fn codes_are_those_of_the_specification() {
    for (symbol, code, length) in [
        (b'0', 0x0, 5),
        (b't', 0x9, 5),
        (b' ', 0x14, 6),
        (b'u', 0x2d, 6),
        (b':', 0x5c, 7),
        (b'z', 0x7b, 7),
        (b'&', 0xf8, 8),
        (b'Z', 0xfd, 8),
        (b'!', 0x3f8, 10),
        (b'|', 0x7fc, 11),
        (0, 0x1ff8, 13),
        (b'{', 0x7ffe, 15),
        (b'\\', 0x7fff0, 19),
        (1, 0x7f_ffd8, 23),
        (255, 0x3ff_ffee, 26),
        (2, 0xfff_ffe2, 28),
        (249, 0xfff_fffe, 28),
        (10, 0x3fff_fffc, 30),
        (22, 0x3fff_fffe, 30),
    ] {
        let of = Code::of(&symbol);
        assert_eq!((of.bits, of.len), (code, length), "{symbol}");
    }
    assert_eq!(CODES[usize::from(EOS)], (0x3fff_ffff, 30));
}

#[test]
fn every_octet_comes_back_at_every_place() {
    for octet in 0..=255 {
        for before in 0..20 {
            for behind in 0..12 {
                let mut text = vec![b'a'; before];
                text.push(octet);
                text.resize(before + 1 + behind, b'?');
                assert_eq!(decoded(&encoded(&text)), Ok(text));
            }
        }
    }
    for pair in 0..=u16::MAX {
        let text = pair.to_be_bytes();
        assert_eq!(decoded(&encoded(&text)).unwrap(), text);
    }
    let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    assert_eq!(decoded(&encoded(&all)), Ok(all));
}

#[test]
fn padding_is_less_than_an_octet_of_ones() {
    // One octet with a code of 5 bits, of 6, 7 and 8 bits: each padding that is not all ones.
    for (text, free) in [(b'a', 3), (b' ', 2), (b':', 1)] {
        let good = encoded(&[text])[0];
        assert_eq!(decoded(&[good]), Ok(vec![text]));
        for wrong in 1..1 << free {
            assert_eq!(decoded(&[good ^ wrong]), Err(HpackError::Huffman));
        }
    }
    assert_eq!(decoded(&[]), Ok(vec![]));
    for text in [&b""[..], b"&", b"a", b"aaaaaaaa", b"0123456789abcdefghi", b"\n\0\xff"] {
        let mut octets = encoded(text);
        for _ in 0..12 {
            octets.push(0xff);
            assert_eq!(decoded(&octets), Err(HpackError::Huffman), "{text:?}");
        }
    }
    // Padding of 4 to 7 bits that is not all ones, behind a code of 10 to 13 bits.
    for text in [b'!', b'|', b'#', b'$'] {
        let good = encoded(&[text]);
        let free = 16 - Code::of(&text).len;
        for wrong in (0..free).map(|bit| 1 << bit) {
            let octets = [good[0], good[1] ^ wrong];
            // What is not padding may be a symbol and padding, but it is never the same text.
            assert_ne!(decoded(&octets), Ok(vec![text]));
        }
    }
}

#[test]
fn the_end_of_string_symbol_is_refused_wherever_it_stands() {
    for before in 0..16 {
        let mut bits = "00011".repeat(before);
        bits.push_str(&"1".repeat(30));
        for behind in [0, 1, 20] {
            let mut bits = bits.clone() + &"00011".repeat(behind);
            bits.push_str(&"1".repeat((8 - bits.len() % 8) % 8));
            let octets: Vec<u8> = (0..bits.len() / 8)
                .map(|i| u8::from_str_radix(&bits[8 * i..8 * i + 8], 2).unwrap())
                .collect();
            assert_eq!(decoded(&octets), Err(HpackError::Huffman));
        }
    }
}

#[test]
fn a_long_string_is_measured_without_keeping_it() {
    let text = vec![b'0'; 100_000];
    let octets = encoded(&text);
    for most in [0, 1, 100, 99_999, 100_000, 100_001] {
        let mut out = b"x".to_vec();
        assert_eq!(decode(&octets, most, &mut out), Ok(text.len()));
        assert_eq!(out.len(), 1 + most.min(text.len()));
        assert!(out.capacity() <= 8 + 2 * most);
    }
    let mut wrong = octets;
    wrong.push(0xff);
    assert_eq!(decode(&wrong, 10, &mut Vec::new()), Err(HpackError::Huffman));
}
