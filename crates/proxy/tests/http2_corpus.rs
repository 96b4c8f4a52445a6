//! The corpus of HTTP/2 (`tests/corpus/http2-*.txt`) over sockets: whole, byte by byte and in
//! random pieces, each time with the same answer, and the same at a backend that reads strictly.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::{
    Plane,
    corpus::{Way, check, promised},
    plain,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use testkit::{
    corpus::{Case, cases},
    h2::{Frame, RawH2, flag, kind, script},
    recorder::Recorder,
};

const PROBE: [u8; 8] = *b"probe me";

/// How one stream ended.
#[derive(Default)]
struct Stream {
    status: Option<u16>,
    end: Option<String>,
}

/// What came back on a connection.
#[derive(Default)]
struct Observed {
    streams: BTreeMap<u32, Stream>,
    goaway: Option<u32>,
    closed: bool,
}

impl Observed {
    fn take(&mut self, frame: &Frame) {
        if frame.kind == kind::GOAWAY {
            self.goaway = Some(frame.code());
        }
        if frame.stream == 0 {
            return;
        }
        let stream = self.streams.entry(frame.stream).or_default();
        if stream.end.is_some() {
            return;
        }
        if frame.kind == kind::HEADERS && stream.status.is_none() {
            stream.status = frame.status().filter(|status| *status >= 200);
        }
        let ends = flag::END_STREAM & frame.flags != 0;
        if matches!(frame.kind, kind::HEADERS | kind::DATA) && ends {
            stream.end = Some(stream.status.map_or("?".to_owned(), |status| status.to_string()));
        } else if frame.kind == kind::RST_STREAM {
            let reset = format!("rst {}", frame.code());
            stream.end = Some(stream.status.map_or(reset, |_| "cut".to_owned()));
        }
    }

    fn ended(&self) -> usize {
        self.streams.values().filter(|stream| stream.end.is_some()).count()
    }

    fn text(&self) -> String {
        let mut terms: Vec<String> = self
            .streams
            .iter()
            .filter_map(|(number, stream)| Some(format!("{number}={}", stream.end.as_ref()?)))
            .collect();
        match self.goaway {
            Some(code) => terms.push(format!("goaway {code}")),
            None if self.closed => terms.push("close".to_owned()),
            None => {}
        }
        terms.join(" & ")
    }
}

/// Sends a case and says what came back, once all that is expected has come and the connection
/// answered a PING behind it, or ended.
fn observe(plane: &Plane, case: &Case, input: &[u8], way: Way) -> String {
    let streams = case.expect.split(" & ").filter(|term| term.contains('=')).count();
    let mut raw = RawH2::silent(plane.address());
    // The connection may end before the last byte.
    let _sent = way.pieces(input).into_iter().all(|piece| raw.write(piece));
    let (mut observed, mut probed) = (Observed::default(), false);
    while let Some(frame) = raw.read() {
        if frame.kind == kind::PING && frame.payload == PROBE {
            return observed.text();
        }
        observed.take(&frame);
        if !probed && observed.goaway.is_none() && observed.ended() >= streams.max(1) {
            probed = true;
            raw.send(&Frame::new(kind::PING, 0, 0, PROBE));
        }
    }
    observed.closed = true;
    observed.text()
}

fn input(case: &Case) -> Vec<u8> {
    let script = script::bytes(&case.text);
    if case.text.starts_with("raw PRI") {
        return script;
    }
    let settings = Frame::new(kind::SETTINGS, 0, 0, b"").bytes();
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings, &script].concat()
}

fn run(case: &Case, way: Way, (plane, recorder): &(Plane, Recorder)) -> Result<(), String> {
    let before = recorder.requests().len();
    let observed = observe(plane, case, &input(case), way);
    if observed != case.expect {
        return Err(format!("{observed:?} instead of {:?}", case.expect));
    }
    let promises = promised(&case.reached);
    let requests = recorder.wait_for(before + promises.len()).split_off(before);
    if requests.len() != promises.len() {
        return Err(format!("{requests:?} reached the backend"));
    }
    promises.iter().zip(&requests).try_for_each(|(promise, request)| check(promise, request))
}

fn run_file(prefix: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let served = plain();
    let (mut failures, mut whole, mut begun, mut seed) = (Vec::new(), 0, 0, 0);
    for case in cases(&folder, prefix) {
        for way in Way::all(&input(&case), seed) {
            seed += 1;
            whole += promised(&case.reached).len();
            begun += usize::from(case.reached == "begun");
            if let Err(why) = run(&case, way, &served) {
                failures.push(format!("{} ({way:?}): {}\n  {why}", case.name, case.text));
                break;
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
    let (plane, recorder) = served;
    assert!(seed > 0, "the corpus is there");
    // Nobody else was disturbed, and nothing comes late.
    assert_eq!(plane.get("a.example", "/last").status, 200);
    drop(plane);
    recorder.wait_for_open(0);
    assert_eq!(recorder.requests().len(), whole + 1);
    assert!(recorder.heads().len() <= whole + begun + 1);
    assert_eq!(recorder.problems(), Vec::<String>::new());
}

#[test]
fn fields_are_answered_as_the_corpus_says() {
    run_file("http2-fields");
}

#[test]
fn pseudo_fields_are_answered_as_the_corpus_says() {
    run_file("http2-pseudo");
}

#[test]
fn bodies_and_trailers_are_answered_as_the_corpus_says() {
    run_file("http2-bodies");
}

#[test]
fn frames_are_answered_as_the_corpus_says() {
    run_file("http2-frames");
}

#[test]
fn the_corpus_is_large_enough() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let cases = cases(&folder, "http2-");
    let distinct: BTreeSet<_> = cases.iter().map(input).collect();
    assert_eq!(distinct.len(), cases.len(), "no input twice");
    assert!(distinct.len() >= 150, "{}", distinct.len());
}
