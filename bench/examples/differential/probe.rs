//! One input to one proxy: what came back, and what reached the recorder behind it.

use crate::peers::Peer;
use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};
use testkit::{
    corpus::Case,
    h2::{Frame, flag, kind, script},
    recorder::{Recorded, Recorder},
};

/// Silence that ends a case in which something came back.
const QUIET: Duration = Duration::from_millis(200);
/// Silence that ends a case in which nothing did.
const SILENT: Duration = Duration::from_millis(1_500);
/// Longest time for one case.
const CASE_MOST: Duration = Duration::from_secs(6);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// What a proxy did with an input; the strictest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Nothing whole reached the backend.
    Rejected,
    /// A request reached the backend, but not with every field and target as the client wrote them.
    Normalised,
    /// Requests reached the backend as they were written.
    Forwarded,
    /// Something reached the backend that a strict reader refuses.
    Broken,
}

#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) class: Class,
    /// Whole requests at the backend.
    pub(crate) requests: usize,
    /// The answers, as in `400`, `rst 1`, `goaway 1`, `close` or `waits`.
    pub(crate) answer: String,
}

pub(crate) fn all(peer: &Peer, protocol: Protocol, cases: &[Case]) -> Vec<Verdict> {
    cases.iter().map(|case| one(peer, protocol, case)).collect()
}

fn one(peer: &Peer, protocol: Protocol, case: &Case) -> Verdict {
    let recorder = &peer.recorder;
    let (before, faults) = (recorder.requests().len(), recorder.problems().len());
    let address = if protocol == Protocol::Http1 { peer.http1 } else { peer.http2 };
    let input = match protocol {
        Protocol::Http1 => case.input.clone(),
        Protocol::Http2 => http2_input(case),
    };
    let (bytes, closed) = exchange(address, &input);
    let answer = match protocol {
        Protocol::Http1 => http1_answer(&bytes, closed),
        Protocol::Http2 => http2_answer(&bytes, closed),
    };
    let requests = recorder.requests().split_off(before);
    let class = classify(recorder, faults, &requests, &input, protocol);
    Verdict { class, requests: requests.len(), answer }
}

fn classify(
    recorder: &Recorder,
    faults: usize,
    requests: &[Recorded],
    input: &[u8],
    protocol: Protocol,
) -> Class {
    if recorder.problems().len() > faults {
        return Class::Broken;
    }
    if requests.is_empty() {
        return Class::Rejected;
    }
    let unchanged = protocol == Protocol::Http2
        || requests.iter().all(|request| {
            input.windows(request.target.len()).any(|bytes| bytes == request.target.as_bytes())
        }) && fields_survive(requests, input);
    if unchanged { Class::Forwarded } else { Class::Normalised }
}

/// Whether every field of the input that is no matter of one connection is at the backend, under
/// its name and with its value.
fn fields_survive(requests: &[Recorded], input: &[u8]) -> bool {
    const OURS: [&str; 9] = [
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "keep-alive",
        "te",
        "upgrade",
        "expect",
        "http2-settings",
    ];
    let text: String = input.iter().map(|byte| char::from(*byte)).collect();
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let Some(first) = requests.first() else { return false };
    head.split("\r\n").skip(1).filter_map(|line| line.split_once(':')).all(|(name, value)| {
        let name = name.to_ascii_lowercase();
        let value = value.trim_matches([' ', '\t']);
        OURS.contains(&name.as_str())
            || name.starts_with("x-forwarded")
            || first.head.all(&name).any(|known| known == value)
    })
}

/// Sends the input and reads until the peer closes or falls silent.
fn exchange(address: std::net::SocketAddr, input: &[u8]) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    let Ok(mut stream) = TcpStream::connect(address) else { return (bytes, true) };
    drop(stream.set_nodelay(true));
    drop(stream.set_write_timeout(Some(CASE_MOST)));
    // The peer may have closed before the last byte.
    drop(stream.write_all(input));
    let started = Instant::now();
    let mut piece = [0; 16 * 1024];
    while started.elapsed() < CASE_MOST {
        let patience = if bytes.is_empty() { SILENT } else { QUIET };
        drop(stream.set_read_timeout(Some(patience)));
        match stream.read(&mut piece) {
            Ok(0) => return (bytes, true),
            Ok(count) => bytes.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            Err(_) => return (bytes, true),
        }
    }
    (bytes, false)
}

/// The statuses, in order. Neither the recorder's answers nor the peers' pages hold `HTTP/1.`.
fn http1_answer(bytes: &[u8], closed: bool) -> String {
    let text = String::from_utf8_lossy(bytes);
    let statuses: Vec<&str> = text
        .split("HTTP/1.")
        .skip(1)
        .filter_map(|rest| rest.get(2..5))
        .filter(|status| !status.starts_with('1'))
        .collect();
    match (statuses.as_slice(), closed) {
        ([], true) => "close".to_owned(),
        ([], false) => "waits".to_owned(),
        (statuses, _) => statuses.join(" "),
    }
}

fn http2_input(case: &Case) -> Vec<u8> {
    let script = script::bytes(&case.text);
    if case.text.starts_with("raw PRI") {
        return script;
    }
    let settings = Frame::new(kind::SETTINGS, 0, 0, b"").bytes();
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings, &script].concat()
}

/// How the streams and the connection ended.
fn http2_answer(bytes: &[u8], closed: bool) -> String {
    let mut ends: BTreeMap<u32, String> = BTreeMap::new();
    let mut statuses: BTreeMap<u32, u16> = BTreeMap::new();
    let mut goaway = None;
    for frame in Frame::all(bytes) {
        let ended = frame.flags & flag::END_STREAM != 0;
        match frame.kind {
            kind::GOAWAY if frame.payload.len() >= 8 => goaway = Some(frame.code()),
            kind::HEADERS => {
                let status = frame.status().unwrap_or_default();
                statuses.entry(frame.stream).or_insert(status);
                if ended {
                    ends.entry(frame.stream).or_insert_with(|| status.to_string());
                }
            }
            kind::DATA if ended => {
                let status = statuses.get(&frame.stream).copied().unwrap_or_default();
                ends.entry(frame.stream).or_insert_with(|| status.to_string());
            }
            kind::RST_STREAM if frame.payload.len() >= 4 => {
                ends.entry(frame.stream).or_insert_with(|| format!("rst {}", frame.code()));
            }
            _ => {}
        }
    }
    let mut terms: Vec<String> = ends.into_values().collect();
    match goaway {
        Some(code) if code != 0 => terms.push(format!("goaway {code}")),
        Some(_) | None if terms.is_empty() && closed => terms.push("close".to_owned()),
        Some(_) | None if terms.is_empty() => terms.push("waits".to_owned()),
        Some(_) | None => {}
    }
    terms.join(" ")
}
