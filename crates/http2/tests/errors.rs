//! What a decoder refuses, and what it leaves out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests stop the test")]

use http2::Fields;
use http2::hpack::{Decoded, Decoder, Encoder, HpackError, Indexing};

fn error(block: &[u8]) -> HpackError {
    let mut fields = Fields::default();
    Decoder::new(4_096).decode(block, 1 << 20, &mut fields).unwrap_err()
}

fn fields(decoder: &mut Decoder, block: &[u8], most: usize) -> (Decoded, Fields) {
    let mut fields = Fields::default();
    let decoded = decoder.decode(block, most, &mut fields).unwrap();
    (decoded, fields)
}

#[test]
fn indices_outside_of_the_tables() {
    for block in [
        &[0x80][..],
        &[0xbe],
        &[0xff, 0],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0x7e, 0],
        &[0x0f, 0x2f, 0],
        &[0x1f, 0x2f, 0],
    ] {
        let expected =
            if block.len() == 6 { HpackError::Integer } else { HpackError::IndexOutOfRange };
        assert_eq!(error(block), expected, "{block:x?}");
    }
    assert_eq!(error(&[0xff, 0x80, 0xff, 0xff, 0xff, 0x0f]), HpackError::IndexOutOfRange);
    // The last index of the static table is none of the dynamic one.
    let (_, found) = fields(&mut Decoder::new(4_096), &[0xbd], 100);
    assert_eq!(found.get(0), Some((&b"www-authenticate"[..], &b""[..])));
    // One entry: 62 leads to it, 63 to none.
    let mut decoder = Decoder::new(4_096);
    assert_eq!(fields(&mut decoder, &[0x40, 1, b'a', 1, b'b', 0xbe], 100).1.len(), 2);
    assert_eq!(
        decoder.decode(&[0xbf], 100, &mut Fields::default()),
        Err(HpackError::IndexOutOfRange)
    );
}

#[test]
fn integers_that_are_too_long() {
    assert_eq!(error(&[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0]), HpackError::Integer);
    assert_eq!(error(&[0x3f, 0xff, 0xff, 0xff, 0xff, 0xff]), HpackError::Integer);
    assert_eq!(error(&[0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x7f]), HpackError::Integer);
}

#[test]
fn blocks_that_end_within_a_field() {
    let whole = [0x40, 0x81, 0x1f, 0x7f, 0, b'x'];
    let mut whole = whole.to_vec();
    whole.resize(4 + 1 + 127, b'x');
    assert_eq!(fields(&mut Decoder::new(4_096), &whole, 1_000).1.size(), 128);
    for end in 1..whole.len() {
        assert_eq!(error(&whole[..end]), HpackError::Truncated, "{end}");
    }
    assert_eq!(error(&[0x3f]), HpackError::Truncated);
    assert_eq!(error(&[0x00, 0x7f, 0x80, 0x80, 0x80, 0x80, 0x0f]), HpackError::Truncated);
}

#[test]
fn strings_with_wrong_huffman_code() {
    // EOS, padding of a whole octet, padding with a zero; in the name and in the value.
    for (len, octets) in [(4, &[0xff; 4][..]), (2, &[0x1f, 0xff]), (1, &[0x1e]), (1, &[0xff])] {
        let mut name = vec![0x00, 0x80 | len];
        name.extend_from_slice(octets);
        name.push(0);
        assert_eq!(error(&name), HpackError::Huffman);
        let mut value = vec![0x00, 1, b'n', 0x80 | len];
        value.extend_from_slice(octets);
        assert_eq!(error(&value), HpackError::Huffman);
        // Also where the string is not kept.
        let mut fields = Fields::default();
        let decoded = Decoder::new(4_096).decode(&value, 0, &mut fields);
        assert_eq!(decoded, Err(HpackError::Huffman));
    }
}

#[test]
fn size_updates_out_of_place() {
    // 4096 is allowed, 4097 is not; two at the start, not three; none behind a field.
    assert_eq!(fields(&mut Decoder::new(4_096), &[0x3f, 0xe1, 0x1f], 0).0, Decoded::Whole);
    assert_eq!(error(&[0x3f, 0xe2, 0x1f]), HpackError::SizeUpdate);
    assert_eq!(fields(&mut Decoder::new(4_096), &[0x20, 0x3f, 0xe1, 0x1f, 0x82], 99).1.len(), 1);
    assert_eq!(error(&[0x20, 0x20, 0x20]), HpackError::SizeUpdate);
    assert_eq!(error(&[0x82, 0x20]), HpackError::SizeUpdate);
    assert_eq!(error(&[0x20, 0x82, 0x3f, 0xe1, 0x1f]), HpackError::SizeUpdate);
    let mut small = Decoder::new(100);
    let decoded = small.decode(&[0x3f, 0x46], 0, &mut Fields::default());
    assert_eq!(decoded, Err(HpackError::SizeUpdate));
}

#[test]
fn a_list_over_the_bound_is_cut_and_the_table_goes_on() {
    // Three fields of 34 each, all of which enter the table.
    let block = [0x40, 1, b'a', 1, b'1', 0x40, 1, b'b', 1, b'2', 0x40, 1, b'c', 1, b'3'];
    for (most, count) in [(0, 0), (33, 0), (34, 1), (67, 1), (68, 2), (101, 2), (102, 3)] {
        let mut decoder = Decoder::new(4_096);
        let (decoded, found) = fields(&mut decoder, &block, most);
        assert_eq!(found.len(), count);
        assert_eq!(found.size(), 2 * count);
        assert_eq!(decoded == Decoded::Whole, count == 3);
        let (_, table) = fields(&mut decoder, &[0xc0, 0xbf, 0xbe], 1_000);
        let all: Vec<_> = table.iter().collect();
        assert_eq!(all, [(&b"a"[..], &b"1"[..]), (b"b", b"2"), (b"c", b"3")]);
    }
    // What is small and follows does not come either.
    let (decoded, found) = fields(&mut Decoder::new(4_096), &[0x82, 0x90, 0x82], 42);
    assert_eq!((decoded, found.len()), (Decoded::TooLarge, 1));
    let (decoded, found) = fields(&mut Decoder::new(4_096), &[0x90, 0x82], 44);
    assert_eq!((decoded, found.len()), (Decoded::TooLarge, 0));
}

#[test]
fn what_is_larger_than_the_table_empties_it() {
    for huffman in [false, true] {
        for most in [0, 100, 1 << 20] {
            for len in [3_000usize, 4_063, 4_064, 20_000] {
                let mut decoder = Decoder::new(4_096);
                assert_eq!(fields(&mut decoder, &[0x40, 1, b'a', 1, b'1'], 99).1.len(), 1);
                let mut block = vec![0x40, 1, b'n'];
                // The code of 'a' has 5 bits: 00011.
                let (pattern, octets) = if huffman {
                    let padding = "1".repeat((8 - 5 * len % 8) % 8);
                    let bits = "00011".repeat(len) + &padding;
                    let octet = |i| u8::from_str_radix(&bits[8 * i..8 * i + 8], 2).unwrap();
                    (0x80, (0..bits.len() / 8).map(octet).collect())
                } else {
                    (0, vec![b'a'; len])
                };
                let rest = octets.len() - 127;
                block.extend([pattern | 0x7f, 0x80 | (rest % 128) as u8]);
                block.extend([0x80 | (rest / 128 % 128) as u8, (rest / 16_384) as u8]);
                block.extend(octets);
                let (decoded, found) = fields(&mut decoder, &block, most);
                let fits = len + 33 <= most;
                assert_eq!(decoded == Decoded::Whole, fits);
                assert_eq!(found.size(), if fits { len + 1 } else { 0 });
                // 3000 leaves room for both, 4063 for itself only.
                let entries = [0xbf, 0xbe].iter().filter(|index| {
                    decoder.decode(&[**index], 1 << 20, &mut Fields::default()).is_ok()
                });
                let expected = if len == 3_000 { 2 } else { usize::from(len == 4_063) };
                assert_eq!(entries.count(), expected, "{huffman} {most} {len}");
            }
        }
    }
}

#[test]
fn an_entry_may_take_its_name_from_one_that_it_evicts() {
    let mut decoder = Decoder::new(80);
    let mut block = vec![0x40, 5];
    block.extend(b"named");
    block.extend([0x03, b'o', b'n', b'e', 0x7e, 40]);
    block.extend([b'v'; 40]);
    block.push(0xbe);
    let (_, found) = fields(&mut decoder, &block, 1_000);
    assert_eq!(found.get(2), Some((&b"named"[..], &[b'v'; 40][..])));
    assert!(decoder.decode(&[0xbf], 1_000, &mut Fields::default()).is_err());
}

#[test]
fn size_changes_are_told_once_with_the_smallest() {
    let mut encoder = Encoder::new();
    let mut begin = |sizes: &[u32]| {
        sizes.iter().for_each(|size| encoder.set_table_size(*size));
        let mut out = Vec::new();
        encoder.begin(&mut out);
        encoder.begin(&mut out);
        out
    };
    assert_eq!(begin(&[]), []);
    assert_eq!(begin(&[65_536]), []);
    assert_eq!(begin(&[4_096, 10, 4_096]), [0x2a, 0x3f, 0xe1, 0x1f]);
    assert_eq!(begin(&[100, 0, 20]), [0x20, 0x34]);
    assert_eq!(begin(&[20]), []);
    assert_eq!(begin(&[30, 40]), [0x3e, 0x3f, 0x09]);
    assert_eq!(begin(&[0]), [0x20]);
    assert_eq!(begin(&[4_096]), [0x3f, 0xe1, 0x1f]);
}

#[test]
fn secrets_are_never_indexed() {
    let mut encoder = Encoder::new();
    let mut out = Vec::new();
    encoder.field(b"authorization", b"\x01", Indexing::Never, &mut out);
    encoder.field(b":path", b"/", Indexing::Never, &mut out);
    encoder.field(b"x", b"\x01", Indexing::Literal, &mut out);
    assert_eq!(out, [0x1f, 0x08, 1, 1, 0x14, 1, b'/', 0x00, 1, b'x', 1, 1]);
    let (_, found) = fields(&mut Decoder::new(4_096), &out, 1_000);
    let never: Vec<bool> = (0..4).map(|index| found.is_never_indexed(index)).collect();
    assert_eq!(never, [true, true, false, false]);
    assert_eq!(found.get(1), Some((&b":path"[..], &b"/"[..])));
}
