//! Properties of HPACK over generated fields and blocks.
#![allow(clippy::unwrap_used, reason = "helpers of tests stop the test")]

mod invariants;

use http2::Fields;
use http2::hpack::{Decoded, Decoder, Encoder, Indexing};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const NAMES: &[&str] = &[
    ":authority",
    ":method",
    ":path",
    ":scheme",
    ":status",
    "accept",
    "accept-encoding",
    "cookie",
    "content-length",
    "user-agent",
    "x-request-id",
    "x-forwarded-for",
    "a",
    "",
];

const VALUES: &[&str] = &[
    "",
    "/",
    "GET",
    "POST",
    "200",
    "503",
    "https",
    "0",
    "gzip, deflate",
    "a",
    "text/html; q=1",
    "0123456789abcdef0123456789abcdef",
    "\u{0}\u{7f}\n",
    "ÿÿÿÿÿÿÿÿ",
];

const INDEXING: &[Indexing] =
    &[Indexing::Index, Indexing::Index, Indexing::Index, Indexing::Literal, Indexing::Never];

type Field = (Vec<u8>, Vec<u8>, Indexing);

fn field() -> impl Strategy<Value = Field> {
    let name = prop_oneof![
        6 => select(NAMES).prop_map(|name| name.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..40),
    ];
    let value = prop_oneof![
        6 => select(VALUES).prop_map(|value| value.as_bytes().to_vec()),
        3 => "[ -~]{0,60}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..60),
        1 => (any::<u8>(), 0..6_000usize).prop_map(|(octet, len)| vec![octet; len]),
    ];
    let indexing = select(INDEXING);
    (name, value, indexing)
}

/// Sizes that SETTINGS give before a block, and the fields of the block.
fn blocks() -> impl Strategy<Value = Vec<(Vec<u32>, Vec<Field>)>> {
    let size = prop_oneof![0..5_000u32, 0..200u32, Just(4_096), Just(0)];
    let sizes = prop_oneof![4 => Just(Vec::new()), 1 => vec(size, 1..4)];
    vec((sizes, vec(field(), 0..20)), 1..40)
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(blocks in blocks()) {
        let mut encoder = Encoder::new();
        let mut decoder = Decoder::new(4_096);
        let mut fields = Fields::default();
        for (sizes, list) in blocks {
            sizes.iter().for_each(|size| encoder.set_table_size(*size));
            let mut block = Vec::new();
            encoder.begin(&mut block);
            for (name, value, indexing) in &list {
                encoder.field(name, value, *indexing, &mut block);
            }
            fields.clear();
            let decoded = decoder.decode(&block, usize::MAX, &mut fields);
            prop_assert_eq!(decoded, Ok(Decoded::Whole));
            prop_assert!(fields.iter().eq(list.iter().map(|(name, value, _)| (&name[..], &value[..]))));
            for (index, (_, _, indexing)) in list.iter().enumerate() {
                prop_assert_eq!(fields.is_never_indexed(index), *indexing == Indexing::Never);
            }
        }
    }

    /// The same blocks read with a bound: a beginning of the list, and the same table behind it.
    #[test]
    fn a_bound_cuts_the_list_and_keeps_the_table(blocks in blocks(), most in 0..3_000usize) {
        let mut encoder = Encoder::new();
        let (mut free, mut bounded) = (Decoder::new(4_096), Decoder::new(4_096));
        for (_, list) in blocks {
            let mut block = Vec::new();
            for (name, value, indexing) in &list {
                encoder.field(name, value, *indexing, &mut block);
            }
            let (mut all, mut some) = (Fields::default(), Fields::default());
            prop_assert_eq!(free.decode(&block, usize::MAX, &mut all), Ok(Decoded::Whole));
            let decoded = bounded.decode(&block, most, &mut some);
            let mut size = 0;
            let fit = all.iter().take_while(|(name, value)| {
                size += name.len() + value.len() + 32;
                size <= most
            });
            prop_assert!(some.iter().eq(fit));
            let whole = if some.len() == all.len() { Decoded::Whole } else { Decoded::TooLarge };
            prop_assert_eq!(decoded, Ok(whole));
        }
    }

    #[test]
    fn any_octets_are_decoded_or_refused(settings: u8, blocks in vec(vec(any::<u8>(), 0..200), 0..8)) {
        let mut data = vec![settings];
        for block in blocks {
            data.extend((block.len() as u16).to_be_bytes());
            data.extend(block);
        }
        invariants::hpack(&data);
    }

    /// A block that was right but for one octet, which leads deeper than chance does.
    #[test]
    fn a_changed_octet_is_decoded_or_refused(
        settings: u8,
        list in vec(field(), 1..12),
        at: prop::sample::Index,
        octet: u8,
    ) {
        let mut encoder = Encoder::new();
        let mut data = vec![settings];
        for list in list.chunks(4) {
            let mut block = Vec::new();
            for (name, value, indexing) in list {
                encoder.field(name, value, *indexing, &mut block);
            }
            data.extend((block.len() as u16).to_be_bytes());
            data.extend(block);
        }
        let at = at.index(data.len());
        if let Some(changed) = data.get_mut(at) {
            *changed = octet;
        }
        invariants::hpack(&data);
    }
}
