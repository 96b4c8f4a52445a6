//! Prints how long the codec takes for typical heads: `cargo run --release -p http1 --example parse`.
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::hint::black_box;
use std::time::Instant;

use http1::{Asked, Limits, RequestHead, ResponseHead, write_field, write_request_line};

/// Rounds of each measurement, unless the first argument gives another number.
const ROUNDS: u32 = 1_000_000;

const SMALL: &[u8] = b"GET /echo/1k?x=1 HTTP/1.1\r\nHost: example.com:8080\r\n\r\n";
const BROWSER: &[u8] = b"GET /assets/app.js?v=12345 HTTP/1.1\r\nHost: www.example.com\r\n\
Connection: keep-alive\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: https://www.example.com/index.html\r\n\
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=yes\r\nSec-Fetch-Dest: script\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: same-origin\r\n\r\n";
const RESPONSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n\
Content-Type: application/octet-stream\r\nContent-Length: 1024\r\nConnection: keep-alive\r\n\r\n";

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
    println!("{name:40} {each:>6} ns");
}

fn main() {
    let limits = Limits::default();
    let mut head = RequestHead::new();
    for (name, input) in [("request of a load generator", SMALL), ("request of a browser", BROWSER)]
    {
        nanoseconds(&format!("{name}, {} bytes", input.len()), || {
            assert!(black_box(head.parse(black_box(input), &limits)).is_ok());
        });
        nanoseconds("  the same with httparse, split only", || {
            let mut fields = [const { std::mem::MaybeUninit::uninit() }; 100];
            let mut request = httparse::Request::new(&mut []);
            let parsed = request.parse_with_uninit_headers(black_box(input), &mut fields);
            assert!(black_box(parsed).is_ok());
        });
    }
    let mut response = ResponseHead::new();
    nanoseconds(&format!("response, {} bytes", RESPONSE.len()), || {
        let parsed = response.parse(black_box(RESPONSE), Asked::default(), &limits);
        assert!(black_box(parsed).is_ok());
    });
    let mut out = Vec::with_capacity(1024);
    nanoseconds("write the small request", || {
        out.clear();
        let line = write_request_line(&mut out, black_box(b"GET"), b"/echo/1k", Some(b"x=1"));
        let field = write_field(&mut out, b"host", black_box(b"example.com:8080"));
        assert!(line.is_ok() && field.is_ok());
        black_box(&out);
    });
}
