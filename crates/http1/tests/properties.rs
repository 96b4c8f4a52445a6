//! Properties over generated and mutated messages.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests stop the test"
)]

mod invariants;

use http1::{
    BodyEvent, ChunkDecoder, Limits, Parse, RequestHead, write_chunk, write_field, write_last_chunk,
};
use invariants::checks::decode_chunks;
use invariants::run::{Outcome, Pieces, requests};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Parts of heads that are valid, nearly valid, or have caused trouble elsewhere.
const START: &[&str] = &[
    "GET / HTTP/1.1",
    "POST /a?b HTTP/1.1",
    "GET http://h:80/x HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "GET / HTTP/1.0",
    "HEAD /%2e%2e HTTP/1.1",
    "GET  / HTTP/1.1",
    "GET / HTTP/1.2",
    "CONNECT a:1 HTTP/1.1",
    "GET http://u@h/ HTTP/1.1",
    "GET https://[::1]:8?q HTTP/1.0",
];

const NAMES: &[&str] = &[
    "Host",
    "host",
    "Content-Length",
    "Transfer-Encoding",
    "Connection",
    "Expect",
    "X-Forwarded-For",
    "Content_Length",
    "X",
    "TE",
    "Upgrade",
    "",
    "Host ",
    " X",
];

const VALUES: &[&str] = &[
    "a",
    "h:80",
    "5",
    "05",
    "+5",
    "5, 5",
    "chunked",
    "Chunked",
    "gzip, chunked",
    "close, x",
    "keep-alive",
    "100-continue",
    "",
    "[::1]:8080",
    "a..b",
    "\u{e9}",
    "x\ty",
    "websocket",
];

const ENDS: &[&str] = &["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n "];

fn field_line() -> impl Strategy<Value = String> {
    (select(NAMES), select(&[":", ": ", ":\t", " : "][..]), select(VALUES), select(ENDS))
        .prop_map(|(name, colon, value, end)| format!("{name}{colon}{value}{end}"))
}

fn valid_line() -> impl Strategy<Value = String> {
    let name = "[A-Za-z][A-Za-z0-9-]{0,12}";
    let value = "[ -~]{0,30}";
    (name, value).prop_map(|(name, value)| format!("X-{name}: {value}\r\n"))
}

prop_compose! {
    fn head()(
        start in select(START),
        host in select(&["Host: a\r\n", "Host: a\r\n", "host:b:81\r\n", ""][..]),
        valid in vec(valid_line(), 0..4),
        odd in vec(field_line(), 0..4),
    ) -> Vec<u8> {
        format!("{start}\r\n{host}{}{}\r\n", valid.concat(), odd.concat()).into_bytes()
    }
}

/// Replaces, inserts or removes a few bytes.
fn mutate(mut bytes: Vec<u8>, edits: &[(u8, prop::sample::Index, u8)]) -> Vec<u8> {
    for (kind, at, byte) in edits {
        let at = at.index(bytes.len() + 1);
        match kind % 3 {
            0 => bytes.insert(at, *byte),
            1 if at < bytes.len() => bytes[at] = *byte,
            _ if at < bytes.len() => {
                bytes.remove(at);
            }
            _ => {}
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Vec<(u8, prop::sample::Index, u8)>> {
    let nasty = select(&b"\r\n \t\0:,;=#?@/\\_\x7f\x0b\x80\xff0aH*"[..]);
    vec((any::<u8>(), any::<prop::sample::Index>(), nasty), 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_means_the_same_to_the_codec_the_oracle_and_itself(
        head in head(), edits in edits(), body in vec(any::<u8>(), 0..40)
    ) {
        let mut input = mutate(head, &edits);
        input.extend_from_slice(&body);
        invariants::request(&input);
    }

    #[test]
    fn whatever_the_codec_accepts_httparse_reads_alike(head in head(), edits in edits()) {
        let input = mutate(head, &edits);
        let mut ours = RequestHead::new();
        if let Ok(Parse::Complete { head_len }) = ours.parse(&input, &Limits::default()) {
            let mut fields = [httparse::EMPTY_HEADER; 128];
            let mut theirs = httparse::Request::new(&mut fields);
            prop_assert_eq!(theirs.parse(&input), Ok(httparse::Status::Complete(head_len)));
            prop_assert_eq!(theirs.method.map(str::as_bytes), Some(ours.method_span().of(&input)));
            prop_assert_eq!(theirs.path.map(str::as_bytes), Some(ours.target_span().of(&input)));
            prop_assert_eq!(theirs.headers.len(), ours.fields().len());
            for (their, our) in theirs.headers.iter().zip(ours.fields()) {
                prop_assert_eq!(their.name.as_bytes(), our.name.of(&input));
                let (blank, value) = ([b' ', b'\t'], their.value);
                let start = value.iter().position(|b| !blank.contains(b)).unwrap_or(value.len());
                prop_assert_eq!(&value[start..], our.value.of(&input));
            }
        }
    }

    #[test]
    fn any_bytes_are_answered_alike_however_they_are_split(input in vec(any::<u8>(), 0..200)) {
        invariants::request(&input);
        invariants::response(&input);
        invariants::chunked(&input);
    }

    #[test]
    fn a_response_means_the_same_however_it_is_split(
        choice in 0..8u8, status in "[0-9]{2,4}", lines in vec(field_line(), 0..5), edits in edits()
    ) {
        let head = format!("HTTP/1.1 {status} OK\r\n{}\r\nbody", lines.concat()).into_bytes();
        let mut input = vec![choice];
        input.extend_from_slice(&mutate(head, &edits));
        invariants::response(&input);
    }

    #[test]
    fn chunks_come_back_as_they_were_written(
        chunks in vec(vec(any::<u8>(), 0..300), 0..8),
        trailers in vec(("x-[a-z]{1,8}", "[!-~]{0,20}"), 0..4),
        seed in any::<u64>(),
        rest in vec(any::<u8>(), 0..10),
    ) {
        let mut out = Vec::new();
        for chunk in &chunks {
            write_chunk(&mut out, chunk);
        }
        let pairs = trailers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
        write_last_chunk(&mut out, pairs).unwrap();
        let written = out.len();
        out.extend_from_slice(&rest);
        for pieces in [Pieces::Whole, Pieces::Bytes, Pieces::Seeded(seed)] {
            let (body, got, end) = decode_chunks(&out, pieces);
            prop_assert_eq!(&body, &chunks.concat());
            let want: Vec<_> =
                trailers.iter().map(|(n, v)| (n.clone().into_bytes(), v.clone().into_bytes())).collect();
            prop_assert_eq!(got, want);
            prop_assert_eq!(end, Ok(Some(written)));
        }
    }

    #[test]
    fn a_mutated_chunked_body_is_read_as_the_oracle_reads_it(
        chunks in vec(vec(any::<u8>(), 1..20), 0..4), edits in edits()
    ) {
        let mut out = Vec::new();
        for chunk in &chunks {
            write_chunk(&mut out, chunk);
        }
        write_last_chunk(&mut out, []).unwrap();
        invariants::chunked(&mutate(out, &edits));
    }

    #[test]
    fn a_written_field_never_ends_a_line_early(
        name in vec(any::<u8>(), 0..12), value in vec(any::<u8>(), 0..40)
    ) {
        let mut out = b"GET / HTTP/1.1\r\nhost: a\r\n".to_vec();
        let before = out.clone();
        if write_field(&mut out, &name, &value).is_err() {
            prop_assert_eq!(&out, &before);
            return Ok(());
        }
        out.extend_from_slice(b"\r\n");
        let mut head = RequestHead::new();
        // A name such as `host` may be refused by meaning, never by form.
        if let Ok(done) = head.parse(&out, &Limits::default()) {
            prop_assert_eq!(done, Parse::Complete { head_len: out.len() });
            prop_assert_eq!(head.fields().len(), 2);
        }
    }
}

#[test]
fn a_warm_head_gives_the_same_answer_as_a_new_one() {
    let inputs: [&[u8]; 4] = [
        b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: close, X\r\nX: 1\r\nContent-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://b/ HTTP/1.0\r\n\r\n",
        b"GET /\x00",
    ];
    let mut warm = RequestHead::new();
    for first in inputs {
        for second in inputs {
            let before = warm.parse(first, &Limits::default());
            assert_eq!(before, RequestHead::new().parse(first, &Limits::default()));
            warm.reset();
            let again = warm.parse(second, &Limits::default());
            let mut fresh = RequestHead::new();
            assert_eq!(again, fresh.parse(second, &Limits::default()));
            assert_eq!(warm.fields().as_slice(), fresh.fields().as_slice());
            assert_eq!(warm.connection_options(), fresh.connection_options());
            assert_eq!(warm.keep_alive(), fresh.keep_alive());
        }
    }
}

#[test]
fn an_error_of_a_chunked_body_is_final() {
    let mut decoder = ChunkDecoder::new();
    let limits = Limits::default();
    let error = decoder.decode(b"x", &limits).unwrap_err();
    assert_eq!(decoder.decode(b"0\r\n\r\n", &limits), Err(error));
    decoder.reset();
    assert_eq!(decoder.decode(b"0\r\n\r\n", &limits), Ok(BodyEvent::End { consumed: 5 }));
    assert_eq!(decoder.decode(b"next", &limits), Ok(BodyEvent::End { consumed: 0 }));
}

#[test]
fn a_slow_sender_costs_no_more_than_a_fast_one() {
    // Byte by byte through heads of the largest size: a scan that started over would need
    // 2 * 10^9 steps for each, which no test run would survive unnoticed.
    for line in ["X: ", "X-"] {
        let mut input = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
        for _ in 0..2 {
            input.extend_from_slice(line.as_bytes());
            input.extend_from_slice(&[b'a'; 32_000]);
            input.extend_from_slice(if line == "X-" { b": b\r\n" } else { b"\r\n" });
        }
        input.extend_from_slice(b"\r\n");
        let outcomes = requests(&input, Pieces::Bytes, &Limits::default());
        assert!(matches!(outcomes[..], [Outcome::Ok(_)]), "{line}");
    }
}
