//! The checks themselves.

use http1::{
    Asked, BodyEvent, BodyFraming, ChunkDecoder, Disposition, Limits, Method, Parse, RequestHead,
    write_chunk, write_content_length, write_field, write_head_end, write_last_chunk,
    write_request_line, write_status_line,
};

use super::oracle::{self, Verdict};
use super::run::{Message, Outcome, Pieces, requests, responses};

fn seed_of(data: &[u8]) -> u64 {
    data.iter()
        .fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3))
}

/// Any bytes as a client's side of a connection.
pub fn request(data: &[u8]) {
    let limits = Limits::default();
    let whole = requests(data, Pieces::Whole, &limits);
    assert_eq!(whole, requests(data, Pieces::Bytes, &limits), "byte by byte");
    let seed = seed_of(data);
    assert_eq!(whole, requests(data, Pieces::Seeded(seed), &limits), "split by seed {seed}");
    for outcome in &whole {
        match outcome {
            Outcome::Ok(message) | Outcome::PartialBody(message) => sound_request(message),
            Outcome::Body { status, head, .. } => {
                assert!([400, 431].contains(status));
                sound_request(head);
            }
            Outcome::Head { status, .. } => {
                assert!([400, 405, 413, 414, 417, 431, 501, 505].contains(status), "{status}");
            }
            Outcome::PartialHead => assert!(data.len() < limits.head_bytes + data.len()),
            Outcome::Preface => assert!(data.windows(4).any(|w| w == b"PRI ")),
        }
    }
    agrees_with_oracle(data, whole.first());
}

fn agrees_with_oracle(data: &[u8], first: Option<&Outcome>) {
    let head = match first {
        Some(Outcome::Ok(m) | Outcome::PartialBody(m) | Outcome::Body { head: m, .. }) => Some(m),
        Some(Outcome::Preface) => return,
        Some(Outcome::Head { .. } | Outcome::PartialHead) | None => None,
    };
    match (oracle::request(data), head) {
        (Verdict::Accept(theirs), Some(ours)) => {
            assert_eq!(ours.fact("method"), theirs.method.as_bytes().escape_ascii().to_string());
            assert_eq!(ours.fact("target"), theirs.target.as_bytes().escape_ascii().to_string());
            assert_eq!(ours.fact("version") == "1.1", theirs.http11);
            assert_eq!(ours.all_fields, theirs.fields);
            assert_eq!(ours.fact("framing"), theirs.framing);
            assert_eq!(ours.fact("host"), theirs.host.as_deref().unwrap_or("(none)"));
        }
        (Verdict::Refuse, None) => {}
        (Verdict::NoHead, None) => {}
        (Verdict::Accept(theirs), None) => panic!("only the oracle accepts: {theirs:?}"),
        (Verdict::Refuse | Verdict::NoHead, Some(ours)) => {
            panic!("only the codec accepts: {ours:?}")
        }
    }
}

fn sound_head(message: &Message) {
    let head = &message.head_bytes;
    assert!(head.ends_with(b"\r\n\r\n"));
    for (at, byte) in head.iter().enumerate() {
        match byte {
            b'\n' => assert!(at > 0 && head[at - 1] == b'\r', "bare LF at {at}"),
            b'\r' => assert_eq!(head.get(at + 1), Some(&b'\n'), "bare CR at {at}"),
            b'\t' | b' '..=b'~' | 0x80..=0xff => {}
            0..=0x1f | 0x7f => panic!("control byte at {at}"),
        }
    }
    let count = |name: &str| message.all_fields.iter().filter(|(n, _)| n == name).count();
    assert!(count("content-length") + count("transfer-encoding") <= 1);
    for hop in ["connection", "host", "content-length", "transfer-encoding", "te", "upgrade"] {
        assert!(message.forwarded.iter().all(|(name, _)| name != hop), "{hop} is passed on");
    }
}

/// The head must come out the same after it was written anew.
fn sound_request(message: &Message) {
    sound_head(message);
    assert!(message.fact("host") != "(none)" || message.fact("version") == "1.0");
    assert!(message.forwarded.iter().all(|(name, _)| !name.contains('_')));
    let (out, mut head) = (rewrite_request(message), RequestHead::new());
    // Each line may have grown by a blank behind its colon.
    let limits =
        Limits { head_bytes: 66 * 1024, value_bytes: 33 * 1024, fields: 101, ..Limits::default() };
    let Ok(Parse::Complete { head_len }) = head.parse(&out, &limits) else {
        panic!("our own head is refused: {}", out.escape_ascii());
    };
    assert_eq!(head_len, out.len());
    let again = super::run::request_message(&head, &out);
    for name in ["method", "query", "framing", "forward"] {
        assert_eq!(again.fact(name), message.fact(name), "{name}");
    }
    if message.fact("host") != "(none)" {
        assert_eq!(again.fact("host"), message.fact("host"));
    }
}

fn rewrite_request(message: &Message) -> Vec<u8> {
    let mut head = RequestHead::new();
    let buf = &message.head_bytes;
    head.parse(buf, &Limits::default()).unwrap();
    let mut path = head.path().of(buf);
    if path.is_empty() {
        path = if head.method() == Method::Options { b"*" } else { b"/" };
    }
    // `*` has no query; a request for one is a request for the root.
    if path == b"*" && head.query().is_some() {
        path = b"/";
    }
    let mut out = Vec::new();
    let query = head.query().map(|q| q.of(buf));
    write_request_line(&mut out, head.method_span().of(buf), path, query).unwrap();
    let host: &[u8] = head.host().map_or(b"nohost", |host| host.whole.of(buf));
    write_field(&mut out, b"host", host).unwrap();
    match head.framing() {
        BodyFraming::None => {}
        BodyFraming::Length(n) => write_content_length(&mut out, n),
        BodyFraming::Chunked => write_field(&mut out, b"transfer-encoding", b"chunked").unwrap(),
        BodyFraming::UntilClose => panic!("a request body always has an end"),
    }
    for field in head.fields() {
        if field.disposition == Disposition::Forward {
            write_field(&mut out, field.name.of(buf), field.value.of(buf)).unwrap();
        }
    }
    write_head_end(&mut out);
    out
}

/// Any bytes as an upstream's side; the first byte says what was asked.
pub fn response(data: &[u8]) {
    let (choice, data) = data.split_first().unwrap_or((&0, &[]));
    let method =
        [Method::Get, Method::Head, Method::Connect, Method::Post][usize::from(choice % 4)];
    let upgrade: Option<&[u8]> = (choice & 4 != 0).then_some(b"websocket, foo");
    let asked = Asked { method, upgrade };
    let limits = Limits::default();
    let whole = responses(data, Pieces::Whole, asked, &limits);
    assert_eq!(whole, responses(data, Pieces::Bytes, asked, &limits), "byte by byte");
    let seed = seed_of(data);
    let split = responses(data, Pieces::Seeded(seed), asked, &limits);
    assert_eq!(whole, split, "split by seed {seed}");
    for outcome in &whole {
        match outcome {
            Outcome::Ok(m) | Outcome::PartialBody(m) | Outcome::Body { head: m, .. } => {
                sound_response(m, asked);
            }
            Outcome::Head { status, .. } => assert_eq!(*status, 502),
            Outcome::PartialHead => {}
            Outcome::Preface => panic!("a response cannot be a preface"),
        }
    }
}

fn sound_response(message: &Message, asked: Asked<'_>) {
    sound_head(message);
    let status: u16 = message.fact("status").parse().unwrap();
    assert!((100..=599).contains(&status));
    let bodyless = status < 200 || [204, 304].contains(&status) || asked.method == Method::Head;
    assert!(!bodyless || message.fact("framing") == "none");
    assert!(status != 101 || asked.upgrade.is_some());
    assert!(message.fact("keep") == "false" || message.fact("framing") != "until-close");
    let mut out = Vec::new();
    write_status_line(&mut out, status, b"OK").unwrap();
    for (name, value) in &message.forwarded {
        write_field(&mut out, name.as_bytes(), value).unwrap();
    }
    write_head_end(&mut out);
    assert!(!out.windows(4).rev().skip(1).any(|w| w == b"\r\n\r\n"), "the response is split");
}

/// What a decoder makes of a body in pieces: data, trailers, bytes consumed, or the error.
type Decoded = (Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>, Result<Option<usize>, http1::BodyError>);

pub fn decode_chunks(data: &[u8], pieces: Pieces) -> Decoded {
    let limits = Limits::default();
    let mut decoder = ChunkDecoder::new();
    let mut out = Vec::new();
    let (mut start, mut end) = (0, 0);
    for piece in pieces.lengths(data.len()) {
        end += piece;
        loop {
            match decoder.decode(&data[start..end], &limits) {
                Ok(BodyEvent::Data { start: from, end: to }) => {
                    assert!(from < to && start + to <= end);
                    out.extend_from_slice(&data[start + from..start + to]);
                    start += to;
                }
                Ok(BodyEvent::NeedMore) => {
                    start = end;
                    break;
                }
                Ok(BodyEvent::End { consumed }) => {
                    assert_eq!(decoder.data_bytes(), out.len() as u64);
                    let trailers =
                        decoder.trailers().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
                    return (out, trailers, Ok(Some(start + consumed)));
                }
                Err(error) => return (out, Vec::new(), Err(error)),
            }
        }
    }
    (out, Vec::new(), Ok(None))
}

/// Any bytes as a chunked body.
pub fn chunked(data: &[u8]) {
    let whole = decode_chunks(data, Pieces::Whole);
    let bytes = decode_chunks(data, Pieces::Bytes);
    assert_eq!(whole, bytes, "byte by byte");
    assert_eq!(whole, decode_chunks(data, Pieces::Seeded(seed_of(data))), "split by seed");
    if let Some((theirs, consumed)) = oracle::plain_chunks(data) {
        assert_eq!((&whole.0, &whole.2), (&theirs, &Ok(Some(consumed))));
    }
    let (body, trailers, Ok(Some(_))) = whole else { return };
    let mut out = Vec::new();
    write_chunk(&mut out, &body);
    let pairs = trailers.iter().map(|(n, v)| (n.as_slice(), v.as_slice()));
    write_last_chunk(&mut out, pairs).unwrap();
    let len = out.len();
    assert_eq!(decode_chunks(&out, Pieces::Whole), (body, trailers, Ok(Some(len))));
}
