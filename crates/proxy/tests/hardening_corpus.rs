//! The request corpus of the codec, over sockets: whole, byte by byte and in random pieces.
//!
//! What the codec refuses gets its status, closes the connection and never reaches the backend;
//! what it serves reaches a backend that reads strictly, once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;
#[path = "../../http1/tests/corpus_cases/mod.rs"]
#[allow(dead_code, reason = "what was asked belongs to the cases of responses")]
mod corpus_cases;

use common::{Plane, plain};
use corpus_cases::Case;
use std::path::Path;
use testkit::{raw::Client, recorder::Recorder};

/// Longer inputs are not sent byte by byte: a system call for each is slow, and the codec's own
/// tests do it.
const BYTEWISE_MAX: usize = 2_048;

#[derive(Clone, Copy, Debug)]
enum Way {
    Whole,
    Bytes,
    Split(u64),
}

/// What becomes of one message of the input.
enum Expected {
    /// Served, if the data plane has nothing against it; with this content.
    Served(Option<Vec<u8>>),
    Refused(u16),
    /// The input ends in the head, or in the body.
    Unfinished,
    /// The connection goes on in HTTP/2, or ends for what follows the preface.
    Http2,
}

fn expected(case: &Case) -> Vec<Expected> {
    if case.expect == "nothing" {
        return Vec::new();
    }
    case.expect
        .split(" & ")
        .map(|text| {
            let words: Vec<&str> = text.split(' ').collect();
            match words[0] {
                "ok" => {
                    let body = words.iter().find_map(|word| word.strip_prefix("body="));
                    let plain = body.filter(|body| !body.contains('\\'));
                    Expected::Served(plain.map(|body| body.as_bytes().to_vec()))
                }
                "partial" | "cut" => Expected::Unfinished,
                "preface" => Expected::Http2,
                "body" => Expected::Refused(words[1].parse().expect("a status")),
                status => Expected::Refused(status.parse().expect("a status")),
            }
        })
        .collect()
}

fn send(client: &mut Client, case: &Case, way: Way) {
    match way {
        // The answer to the first bytes may come, and the connection end, before the last.
        Way::Whole => drop(client.try_send(&case.input)),
        Way::Bytes => drop(client.send_bytewise(&case.input)),
        Way::Split(seed) => drop(client.send_split(&case.input, seed)),
    }
}

/// The method of the first request; those behind it are all answered as `GET` is.
fn first_method(case: &Case) -> String {
    let text = String::from_utf8_lossy(&case.input);
    text.trim_start_matches(['\r', '\n']).split(' ').next().unwrap_or_default().to_owned()
}

/// `begun` counts the requests that may have reached the backend in part, over all cases: it may
/// see such a head late.
fn run(
    case: &Case,
    way: Way,
    (plane, recorder): &(Plane, Recorder),
    begun: &mut usize,
) -> Result<(), String> {
    let whole = recorder.requests().len();
    let mut client = plane.client();
    send(&mut client, case, way);
    let (mut served, mut method) = (0, first_method(case));
    for outcome in expected(case) {
        match outcome {
            Expected::Served(body) => {
                let answer = client.read_response(&method).map_err(|error| error.to_string())?;
                // The echo of the backend is JSON; `OPTIONS *` and refusals are answered before it.
                if answer.field("content-type") == Some("application/json") {
                    let request = recorder.wait_for(whole + served + 1).remove(whole + served);
                    if body.is_some_and(|body| body != request.body.content) {
                        return Err(format!("another content reached the backend: {request:?}"));
                    }
                    served += 1;
                } else if !matches!(answer.status, 200 | 400 | 404 | 405) {
                    return Err(format!("{} instead of an answer", answer.status));
                }
                if answer.field("connection") == Some("close") && !client.is_closed_by_peer() {
                    return Err("more bytes behind a last answer".to_owned());
                }
            }
            Expected::Refused(status) => {
                let answer = client.read_response(&method).map_err(|error| error.to_string())?;
                if answer.status != status {
                    return Err(format!("{} instead of {status}", answer.status));
                }
                if answer.field("connection") != Some("close") || !client.is_closed_by_peer() {
                    return Err("the connection lives on".to_owned());
                }
                *begun += usize::from(case.expect.contains("body 4"));
            }
            Expected::Http2 => {
                // Our SETTINGS come first, whatever the client goes on to say.
                client.shutdown_write();
                let bytes = client.read_to_end();
                if bytes.get(3) != Some(&4) {
                    return Err(format!("no SETTINGS but {}", bytes.escape_ascii()));
                }
            }
            Expected::Unfinished => *begun += usize::from(case.expect.contains("cut")),
        }
        "GET".clone_into(&mut method);
    }
    client.shutdown_write();
    client.read_to_end();
    let (heads, all) = (recorder.heads().len(), recorder.requests().len());
    if all != whole + served || heads > all + *begun {
        let new = all - whole;
        return Err(format!(
            "{new} requests reached the backend, not {served}, or {heads} heads instead of {all} and {begun}"
        ));
    }
    Ok(())
}

fn run_all(prefix: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../http1/tests/corpus");
    let cases = corpus_cases::cases(&folder, prefix);
    let mut failures = Vec::new();
    let mut tried = 0_u64;
    for cases in cases.chunks(25) {
        let served = plain();
        let mut begun = 0;
        for case in cases {
            tried += 1;
            for way in [Way::Whole, Way::Bytes, Way::Split(tried), Way::Split(tried << 20)] {
                if matches!(way, Way::Bytes) && case.input.len() > BYTEWISE_MAX {
                    continue;
                }
                if let Err(why) = run(case, way, &served, &mut begun) {
                    let input: String =
                        case.input.escape_ascii().to_string().chars().take(200).collect();
                    failures.push(format!(
                        "{} ({way:?}): {input}\n  {why}; expected {}",
                        case.name, case.expect
                    ));
                    break;
                }
            }
        }
        failures.extend(served.1.problems());
    }
    assert!(tried > 0, "the corpus is there");
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn framing_cases_are_answered_over_sockets_as_the_codec_says() {
    run_all("request-framing");
}

#[test]
fn head_cases_are_answered_over_sockets_as_the_codec_says() {
    run_all("request-head");
}

#[test]
fn chunked_cases_are_answered_over_sockets_as_the_codec_says() {
    run_all("request-chunked");
}
