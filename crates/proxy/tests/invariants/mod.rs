//! What must hold for any bytes, as plain functions: the fuzz targets call them, and so do the
//! tests that replay corpora on a stable toolchain.
#![allow(dead_code, unreachable_pub, reason = "each test and fuzz target uses a part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "checks stop the run, and they run in tests only"
)]

use http1::{Asked, Limits, Method, Parse, RequestHead, ResponseHead};
use proxy::fuzzing::{self, Checked, Message, Outcome};

/// The first flight of a TLS client: what follows a whole ClientHello does not change what it says.
pub fn client_hello(data: &[u8]) {
    let Some(name) = fuzzing::client_hello(data) else { return };
    let more = [data, b"more"].concat();
    assert_eq!(fuzzing::client_hello(&more), Some(name.clone()));
    assert!(name.is_none_or(|name| !name.is_empty() && name.len() <= 253));
}

/// A PROXY protocol header ends where it says, whatever follows, and no part of it is whole.
pub fn proxy_protocol(data: &[u8]) {
    let Some(length) = fuzzing::proxy_header(data) else { return };
    assert!(length <= data.len());
    assert_eq!(fuzzing::proxy_header(&data[..length]), Some(length));
    for end in 0..length {
        assert_eq!(fuzzing::proxy_header(&data[..end]), None);
    }
}

/// The answer of an authorization service: the same with an unknown field behind it, and whatever it
/// makes of a request can be written, and is none of the fields that are ours.
pub fn auth_answer(data: &[u8]) {
    let checked = fuzzing::checked(data, "a=1&b=2");
    if checked != Checked::Nothing {
        // Field 15, a number.
        assert_eq!(fuzzing::checked(&[data, &[0x78, 1]].concat(), "a=1&b=2"), checked);
    }
    let fields = match checked {
        Checked::Nothing => return,
        Checked::Denied { status, fields } => {
            assert!((300..600).contains(&status), "{status}");
            fields
        }
        Checked::Allowed { fields, query } => {
            let graphic = query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
            assert!(graphic, "{query:?}");
            fields
        }
    };
    for (name, value) in fields {
        let ours = ["host", "connection", "content-length", "transfer-encoding"];
        assert!(!ours.iter().any(|ours| name.eq_ignore_ascii_case(ours)), "{name}");
        assert!(!name.is_empty() && !name.bytes().any(|byte| b"\r\n\0 :".contains(&byte)));
        assert!(!value.iter().any(|byte| b"\r\n\0".contains(byte)), "{}", value.escape_ascii());
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// What a client sends behind the preface and its SETTINGS: the same however it is split, every
/// head is one request for the parser of HTTP/1.1 or none, and trailers are lines.
pub fn http2_client(data: &[u8]) {
    let input = [PREFACE, SETTINGS, data].concat();
    let outcome = fuzzing::http2_client(&input, usize::MAX);
    bounded(&outcome, &input);
    for message in &outcome.messages {
        let Some(lines) = &message.head else { continue };
        no_lines_but_ours(lines);
        trailers(message);
        let mut head = RequestHead::new();
        match head.parse(lines, &Limits::default()) {
            Ok(Parse::Complete { head_len }) => assert_eq!(head_len, lines.len()),
            // The parser's word is the last one.
            Err(_) => {}
            Ok(Parse::Partial | Parse::Http2Preface) => {
                panic!("no whole head: {}", lines.escape_ascii())
            }
        }
    }
    let bytewise = fuzzing::http2_client(&input, 1);
    let heads = |outcome: &Outcome| {
        outcome.messages.iter().map(|message| message.head.clone()).collect::<Vec<_>>()
    };
    // What a client takes back, or breaks, before anybody looked at it does not begin.
    let mut begun = heads(&bytewise).into_iter();
    for head in heads(&outcome) {
        assert!(begun.any(|other| other == head), "{head:?} is missing in {bytewise:?}");
    }
}

/// What a backend sends behind its SETTINGS, to one GET.
pub fn http2_backend(data: &[u8]) {
    let input = [SETTINGS, data].concat();
    let outcome = fuzzing::http2_backend(&input, usize::MAX);
    bounded(&outcome, &input);
    let asked = Asked { method: Method::Get, upgrade: None };
    for message in &outcome.messages {
        let lines = message.head.as_deref().unwrap_or_default();
        no_lines_but_ours(lines);
        trailers(message);
        let mut head = ResponseHead::new();
        match head.parse(lines, asked, &Limits::default()) {
            Ok(Parse::Complete { head_len }) => assert_eq!(head_len, lines.len()),
            Err(_) => {}
            Ok(Parse::Partial | Parse::Http2Preface) => {
                panic!("no whole head: {}", lines.escape_ascii())
            }
        }
    }
    fuzzing::http2_backend(&input, 1);
}

/// Nothing is kept or sent that the input did not pay for, but for our settings and windows.
fn bounded(outcome: &Outcome, input: &[u8]) {
    let limits = proxy::Limits::default();
    let kept: usize = outcome.messages.iter().map(|m| m.head.as_ref().map_or(0, Vec::len)).sum();
    let most = outcome.messages.len() * (limits.http2_header_list + 1024);
    assert!(kept <= most, "{kept} bytes of heads");
    assert!(outcome.sent <= 64 * input.len() + 1024, "{} bytes sent", outcome.sent);
}

/// Every LF ends a CRLF, there is no other CR, no NUL, and one empty line, at the end.
fn no_lines_but_ours(lines: &[u8]) {
    assert!(lines.ends_with(b"\r\n\r\n"), "{}", lines.escape_ascii());
    let empty = lines.windows(4).position(|four| four == b"\r\n\r\n");
    assert_eq!(empty, Some(lines.len() - 4), "{}", lines.escape_ascii());
    for (at, byte) in lines.iter().enumerate() {
        match byte {
            b'\n' => assert!(at > 0 && lines[at - 1] == b'\r', "{}", lines.escape_ascii()),
            b'\r' => assert_eq!(lines.get(at + 1), Some(&b'\n'), "{}", lines.escape_ascii()),
            0 => panic!("NUL in {}", lines.escape_ascii()),
            _ => {}
        }
    }
}

fn trailers(message: &Message) {
    for (name, value) in &message.trailers {
        assert!(http1::may_be_trailer(name), "{}", name.escape_ascii());
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
}
