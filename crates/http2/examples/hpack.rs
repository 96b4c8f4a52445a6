//! Prints how long HPACK takes for typical heads: `cargo run --release -p http2 --example hpack`.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::hint::black_box;
use std::time::Instant;

use http2::Fields;
use http2::hpack::{Decoder, Encoder, Indexing};

/// Rounds of each measurement, unless the first argument gives another number.
const ROUNDS: u32 = 1_000_000;

type List = &'static [(&'static str, &'static str)];

const SMALL: List = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/echo/1k?x=1"),
    (":authority", "example.com:8080"),
];
const BROWSER: List = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":path", "/assets/app.js?v=12345"),
    (":authority", "www.example.com"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    ),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br"),
    ("referer", "https://www.example.com/index.html"),
    ("cookie", "session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes"),
    ("sec-fetch-dest", "script"),
    ("sec-fetch-mode", "no-cors"),
    ("sec-fetch-site", "same-origin"),
];
const RESPONSE: List = &[
    (":status", "200"),
    ("server", "nginx/1.22.1"),
    ("date", "Sat, 21 Nov 2026 10:00:00 GMT"),
    ("content-type", "application/octet-stream"),
    ("content-length", "1024"),
];

fn nanoseconds(name: &str, mut work: impl FnMut()) {
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(ROUNDS).max(1);
    for _ in 0..rounds / 10 {
        work();
    }
    let start = Instant::now();
    for _ in 0..rounds {
        work();
    }
    let each = start.elapsed().as_nanos() / u128::from(rounds);
    println!("{name:50} {each:>6} ns");
}

fn encode(encoder: &mut Encoder, list: List, indexing: Indexing, out: &mut Vec<u8>) {
    out.clear();
    encoder.begin(out);
    for (name, value) in list {
        encoder.field(name.as_bytes(), value.as_bytes(), indexing, out);
    }
}

fn main() {
    // `indexed` or `literal` as the second argument measures only that.
    let only = std::env::args().nth(2);
    let mut out = Vec::new();
    let mut fields = Fields::default();
    for (head, list) in [("small request", SMALL), ("browser", BROWSER), ("response", RESPONSE)] {
        for (how, indexing) in [("indexed", Indexing::Index), ("literal", Indexing::Literal)] {
            let case = format!("{head}, {how}");
            if only.as_ref().is_some_and(|only| !case.contains(only.as_str())) {
                continue;
            }
            let mut encoder = Encoder::new();
            nanoseconds(&format!("{case}: encode"), || {
                encode(&mut encoder, black_box(list), indexing, &mut out);
            });
            // The first block fills the table for the second.
            let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4_096));
            for _ in 0..2 {
                encode(&mut encoder, list, indexing, &mut out);
                fields.clear();
                assert!(decoder.decode(&out, 1 << 16, &mut fields).is_ok());
            }
            nanoseconds(&format!("{case}: decode {} octets", out.len()), || {
                fields.clear();
                assert!(decoder.decode(black_box(&out), 1 << 16, &mut fields).is_ok());
            });
        }
    }
}
