//! What must hold for any input, as plain functions: the fuzz targets call them, and so do the
//! tests that replay corpora on a stable toolchain.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "checks stop the run, and they run in tests only; each test uses a part of it"
)]

use http2::Fields;
use http2::hpack::{Decoded, Decoder, Encoder, Indexing};

/// Header blocks of one connection, each behind its length in two octets. The first octet chooses
/// the size of the table and the bound of the list.
///
/// Whatever decodes comes back from an encoder and a decoder of ours that live as long.
pub fn hpack(data: &[u8]) {
    let Some((settings, mut rest)) = data.split_first() else { return };
    let table_size = [4_096, 0, 256, 1 << 16][usize::from(settings & 3)];
    let most = [1 << 16, 0, 200, 1 << 20][usize::from(settings >> 2 & 3)];
    let mut decoder = Decoder::new(table_size);
    let mut encoder = Encoder::new();
    let mut second = Decoder::new(4_096);
    let mut fields = Fields::default();
    let mut again = Fields::default();
    let mut block = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length)).min(tail.len());
        let input;
        (input, rest) = tail.split_at(length);
        fields.clear();
        let Ok(decoded) = decoder.decode(input, most, &mut fields) else { return };
        let size = fields.size() + 32 * fields.len();
        assert!(size <= most, "{size} octets of {most}");

        if settings & 16 != 0 {
            encoder.set_table_size(u32::from(settings >> 5) * 40 * (size as u32 % 3));
        }
        block.clear();
        encoder.begin(&mut block);
        for (index, (name, value)) in fields.iter().enumerate() {
            let indexing = match index % 3 {
                _ if fields.is_never_indexed(index) => Indexing::Never,
                2 => Indexing::Literal,
                _ => Indexing::Index,
            };
            encoder.field(name, value, indexing, &mut block);
        }
        again.clear();
        assert_eq!(second.decode(&block, most, &mut again), Ok(Decoded::Whole));
        assert_eq!(fields, again);
        if decoded == Decoded::TooLarge {
            assert!(most < 1 << 16 || input.len() > 10);
        }
    }
}
