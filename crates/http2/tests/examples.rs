//! The examples of RFC 7541 appendix C, in both directions.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests stop the test")]

use http2::Fields;
use http2::hpack::{Decoded, Decoder, Encoder, Indexing};

type List<'a> = &'a [(&'a str, &'a str)];

fn octets(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len() / 2)
        .map(|i| u8::from_str_radix(&digits[2 * i..2 * i + 2], 16).unwrap())
        .collect()
}

fn decodes(decoder: &mut Decoder, hex: &str, list: List<'_>) {
    let mut fields = Fields::default();
    let decoded = decoder.decode(&octets(hex), usize::MAX, &mut fields);
    assert_eq!(decoded, Ok(Decoded::Whole));
    let list = list.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    assert!(fields.iter().eq(list), "{fields:?}");
}

fn encodes(encoder: &mut Encoder, hex: &str, list: List<'_>) {
    let mut out = Vec::new();
    encoder.begin(&mut out);
    for (name, value) in list {
        encoder.field(name.as_bytes(), value.as_bytes(), Indexing::Index, &mut out);
    }
    assert_eq!(out, octets(hex));
}

/// Whether entry `index` of the dynamic table, counted from 62, is this field, and the last one.
fn last_entry(decoder: &mut Decoder, index: u8, name: &str, value: &str) {
    let mut fields = Fields::default();
    let end = decoder.decode(&[0x80 | index], usize::MAX, &mut fields);
    assert_eq!(end, Ok(Decoded::Whole));
    assert_eq!(fields.get(0), Some((name.as_bytes(), value.as_bytes())));
    assert!(decoder.decode(&[0x80 | (index + 1)], usize::MAX, &mut fields).is_err());
}

const REQUESTS: [List<'_>; 3] = [
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")],
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
        ("cache-control", "no-cache"),
    ],
    &[
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ],
];

const RESPONSES: [List<'_>; 3] = [
    &[
        (":status", "302"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ],
    &[
        (":status", "307"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ],
    &[
        (":status", "200"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
        ("location", "https://www.example.com"),
        ("content-encoding", "gzip"),
        ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
    ],
];

#[test]
fn single_fields() {
    let decoder = || Decoder::new(4_096);
    // C.2.1: with indexing.
    let mut first = decoder();
    let hex = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    decodes(&mut first, hex, &[("custom-key", "custom-header")]);
    last_entry(&mut first, 62, "custom-key", "custom-header");
    // C.2.2: without indexing.
    let mut second = decoder();
    let path = [(":path", "/sample/path")];
    decodes(&mut second, "040c 2f73 616d 706c 652f 7061 7468", &path);
    assert!(second.decode(&[0xbe], 100, &mut Fields::default()).is_err());
    // C.2.3: never indexed.
    let mut third = decoder();
    let hex = "1008 7061 7373 776f 7264 0673 6563 7265 74";
    decodes(&mut third, hex, &[("password", "secret")]);
    assert!(third.decode(&[0xbe], 100, &mut Fields::default()).is_err());
    let mut fields = Fields::default();
    assert_eq!(third.decode(&octets(hex), 100, &mut fields), Ok(Decoded::Whole));
    assert!(fields.is_never_indexed(0));
    // C.2.4: indexed.
    decodes(&mut decoder(), "82", &[(":method", "GET")]);
    encodes(&mut Encoder::new(), "82", &[(":method", "GET")]);
}

#[test]
fn requests_without_huffman() {
    let mut decoder = Decoder::new(4_096);
    let hex = "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d";
    decodes(&mut decoder, hex, REQUESTS[0]);
    last_entry(&mut decoder, 62, ":authority", "www.example.com");
    decodes(&mut decoder, "8286 84be 5808 6e6f 2d63 6163 6865", REQUESTS[1]);
    last_entry(&mut decoder, 63, ":authority", "www.example.com");
    let hex = "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65";
    decodes(&mut decoder, hex, REQUESTS[2]);
    last_entry(&mut decoder, 64, ":authority", "www.example.com");
}

#[test]
fn requests_with_huffman() {
    let mut decoder = Decoder::new(4_096);
    let mut encoder = Encoder::new();
    let blocks = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for (block, request) in blocks.into_iter().zip(REQUESTS) {
        decodes(&mut decoder, block, request);
        encodes(&mut encoder, block, request);
    }
    last_entry(&mut decoder, 64, ":authority", "www.example.com");
}

#[test]
fn responses_without_huffman_evict() {
    let mut decoder = Decoder::new(256);
    let hex = "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 \
               2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 \
               6c65 2e63 6f6d";
    decodes(&mut decoder, hex, RESPONSES[0]);
    last_entry(&mut decoder, 65, ":status", "302");
    decodes(&mut decoder, "4803 3330 37c1 c0bf", RESPONSES[1]);
    last_entry(&mut decoder, 65, "cache-control", "private");
    let hex = "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d \
               54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 \
               5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e \
               3d31";
    decodes(&mut decoder, hex, RESPONSES[2]);
    last_entry(&mut decoder, 64, "date", "Mon, 21 Oct 2013 20:13:22 GMT");
}

#[test]
fn responses_with_huffman_evict() {
    let mut decoder = Decoder::new(256);
    let mut encoder = Encoder::new();
    encoder.set_table_size(256);
    let mut update = Vec::new();
    encoder.begin(&mut update);
    assert_eq!(update, octets("3fe1 01"));

    let hex = "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 \
               2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3";
    decodes(&mut decoder, hex, RESPONSES[0]);
    encodes(&mut encoder, hex, RESPONSES[0]);
    last_entry(&mut decoder, 65, ":status", "302");

    decodes(&mut decoder, "4883 640e ffc1 c0bf", RESPONSES[1]);
    // The code of 307 is not shorter than its octets.
    encodes(&mut encoder, "4803 3330 37c1 c0bf", RESPONSES[1]);
    last_entry(&mut decoder, 65, "cache-control", "private");

    let hex = "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab \
               77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f \
               9587 3160 65c0 03ed 4ee5 b106 3d50 07";
    decodes(&mut decoder, hex, RESPONSES[2]);
    encodes(&mut encoder, hex, RESPONSES[2]);
    last_entry(&mut decoder, 64, "date", "Mon, 21 Oct 2013 20:13:22 GMT");
}
