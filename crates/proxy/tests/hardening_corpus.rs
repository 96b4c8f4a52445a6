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

use common::{
    Plane,
    corpus::{Way, check, promised},
    plain,
};
use std::{collections::BTreeSet, path::Path};
use testkit::{
    corpus::{Case, cases},
    raw::Client,
    recorder::{Recorded, Recorder},
};

/// What becomes of one message of the input.
enum Expected {
    /// It reaches the backend, with these facts of the codec.
    Served(Vec<(String, String)>),
    /// The data plane itself answers it.
    Answered(u16),
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
                "ok" if !case.reached.is_empty() => {
                    Expected::Answered(case.reached.parse().expect("a status"))
                }
                "ok" => {
                    let facts = words[1..].iter().map(|word| word.split_once('=').expect("a fact"));
                    Expected::Served(facts.map(|(n, v)| (n.to_owned(), v.to_owned())).collect())
                }
                "partial" | "cut" => Expected::Unfinished,
                "preface" => Expected::Http2,
                "body" => Expected::Refused(words[1].parse().expect("a status")),
                status => Expected::Refused(status.parse().expect("a status")),
            }
        })
        .collect()
}

/// Whether the request at the backend is what the codec read.
fn check_facts(facts: &[(String, String)], request: &Recorded) -> Result<(), String> {
    for (name, wanted) in facts {
        let got = match name.as_str() {
            "method" => request.method.clone(),
            "body" => request.body.content.escape_ascii().to_string(),
            "bytes" => request.body.content.len().to_string(),
            "host" if wanted == "(none)" => continue,
            // Written as it was routed: in lower case, without the port of the listener.
            "host" => {
                let host = request.field("host").unwrap_or_default();
                if wanted.to_lowercase().starts_with(&host.to_lowercase()) {
                    continue;
                }
                host.to_owned()
            }
            "trailers" => {
                let all = request.body.trailers.iter().map(|(n, v)| format!("{n}={v}"));
                all.collect::<Vec<_>>().join(";")
            }
            _ => continue,
        };
        let same = name == "trailers" && got.eq_ignore_ascii_case(wanted);
        if got.replace(' ', "\\s") != *wanted && !same {
            return Err(format!("{name}={got} reached the backend, not {wanted}"));
        }
    }
    Ok(())
}

fn send(client: &mut Client, input: &[u8], way: Way) {
    // The answer to the first bytes may come, and the connection end, before the last.
    let _sent = way.pieces(input).into_iter().all(|piece| client.try_send(piece).is_ok());
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
    send(&mut client, &case.input, way);
    let (mut served, mut method) = (0, first_method(case));
    for outcome in expected(case) {
        match outcome {
            Expected::Served(facts) => {
                let answer = client.read_response(&method).map_err(|error| error.to_string())?;
                if answer.status != 200 || answer.field("content-type") != Some("application/json")
                {
                    return Err(format!("{} instead of the backend's answer", answer.status));
                }
                let request = recorder.wait_for(whole + served + 1).remove(whole + served);
                check_facts(&facts, &request)?;
                served += 1;
                if answer.field("connection") == Some("close") && !client.is_closed_by_peer() {
                    return Err("more bytes behind a last answer".to_owned());
                }
            }
            Expected::Answered(status) => {
                let answer = client.read_response(&method).map_err(|error| error.to_string())?;
                if answer.status != status {
                    return Err(format!("{} instead of {status}", answer.status));
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

/// What failed, with its input.
fn failure(case: &Case, way: Way, why: &str) -> String {
    let input: String = case.input.escape_ascii().to_string().chars().take(200).collect();
    format!("{} ({way:?}): {input}\n  {why}; expected {}", case.name, case.expect)
}

fn codec_corpus(prefix: &str) -> Vec<Case> {
    cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../http1/tests/corpus"), prefix)
}

fn own_corpus() -> Vec<Case> {
    cases(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"), "http1-")
}

fn run_all(prefix: &str) {
    let mut failures = Vec::new();
    let mut tried = 0_u64;
    for cases in codec_corpus(prefix).chunks(25) {
        let served = plain();
        let mut begun = 0;
        for case in cases {
            tried += 1;
            for way in Way::all(&case.input, tried) {
                if let Err(why) = run(case, way, &served, &mut begun) {
                    failures.push(failure(case, way, &why));
                    break;
                }
            }
        }
        failures.extend(served.1.problems());
    }
    assert!(tried > 0, "the corpus is there");
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

/// One case of this crate's own corpus: the statuses, and the requests at the backend.
fn run_own(case: &Case, way: Way, (plane, recorder): &(Plane, Recorder)) -> Result<(), String> {
    let before = recorder.requests().len();
    let mut client = plane.client();
    send(&mut client, &case.input, way);
    for wanted in case.expect.split(" & ") {
        if wanted == "close" {
            if !client.is_closed_by_peer() {
                return Err("the connection lives on".to_owned());
            }
            continue;
        }
        let answer = client.read_response("GET").map_err(|error| error.to_string())?;
        if answer.status.to_string() != wanted {
            return Err(format!("{} instead of {wanted}", answer.status));
        }
    }
    client.shutdown_write();
    if !client.is_closed_by_peer() {
        return Err("more answers than requests".to_owned());
    }
    let promises = promised(&case.reached);
    let requests = recorder.wait_for(before + promises.len()).split_off(before);
    if requests.len() != promises.len() {
        return Err(format!("{requests:?} reached the backend"));
    }
    promises.iter().zip(&requests).try_for_each(|(promise, request)| check(promise, request))
}

#[test]
fn paths_and_fields_of_the_connection_are_answered_as_the_corpus_says() {
    let served = plain();
    let (mut failures, mut seed, mut whole) = (Vec::new(), 0, 0);
    for case in own_corpus() {
        for way in Way::all(&case.input, seed) {
            seed += 1;
            whole += promised(&case.reached).len();
            if let Err(why) = run_own(&case, way, &served) {
                failures.push(failure(&case, way, &why));
                break;
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
    let (plane, recorder) = served;
    // Nothing comes late.
    drop(plane);
    recorder.wait_for_open(0);
    assert_eq!(recorder.heads().len(), whole);
}

#[test]
fn the_corpus_is_large_enough_and_has_no_input_twice() {
    let own = own_corpus();
    let all: Vec<Case> = codec_corpus("request").into_iter().chain(own).collect();
    let distinct: BTreeSet<_> = all.iter().map(|case| &case.input).collect();
    assert!(distinct.len() >= 400, "{}", distinct.len());
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
