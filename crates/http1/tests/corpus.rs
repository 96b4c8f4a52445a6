//! Runs the cases of `tests/corpus/*.txt`: each whole, byte by byte and in random pieces, with
//! the same outcome each time. The format is described in `tests/corpus/README.md`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests stop the test"
)]

mod invariants;

use std::collections::BTreeSet;
use std::path::Path;

use http1::{Asked, Limits, Method};
use invariants::run::{Outcome, Pieces, requests, responses};
use testkit::corpus::{self, Case};

/// What is wrong with an outcome, if it is not the expected one.
fn mismatch(outcome: &Outcome, expect: &str) -> Option<String> {
    let mut words = expect.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let message = match (outcome, kind) {
        (Outcome::Ok(message), "ok") | (Outcome::PartialBody(message), "cut") => message,
        (Outcome::Head { status, label }, _) => {
            let got = format!("{status} {label}");
            return (got != expect).then_some(got);
        }
        (Outcome::Body { status, label, .. }, _) => {
            let got = format!("body {status} {label}");
            return (got != expect).then_some(got);
        }
        (Outcome::PartialHead, "partial") | (Outcome::Preface, "preface") => return None,
        (other, _) => return Some(format!("{other:?}")),
    };
    for word in words {
        let (key, want) = word.split_once('=').expect("a fact is name=value");
        let got = match key {
            "body" => message.body.escape_ascii().to_string(),
            "bytes" => message.body.len().to_string(),
            "trailers" => {
                let all: Vec<String> = message
                    .trailers
                    .iter()
                    .map(|(n, v)| format!("{n}={}", v.escape_ascii()))
                    .collect();
                all.join(";")
            }
            _ => message.facts.get(key).unwrap_or_else(|| panic!("no fact {key}")).clone(),
        };
        if got.replace(' ', "\\s") != want {
            return Some(format!("{key}={got}"));
        }
    }
    None
}

/// What is wrong with the outcomes of a case, if anything.
fn failure(case: &Case, outcomes: &[Outcome]) -> Option<String> {
    let expected: Vec<&str> = match case.expect.as_str() {
        "nothing" => Vec::new(),
        text => text.split(" & ").collect(),
    };
    let got = if outcomes.len() == expected.len() {
        outcomes.iter().zip(expected).find_map(|(outcome, expect)| mismatch(outcome, expect))?
    } else {
        format!("{outcomes:?}")
    };
    let clip = |text: String| text.chars().take(400).collect::<String>();
    let input = clip(case.input.escape_ascii().to_string());
    Some(format!("{}: {input}\n  expected {}\n  got {}", case.name, case.expect, clip(got)))
}

fn report(failures: &[String]) {
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

fn asked(text: &str) -> (Method, Option<Vec<u8>>) {
    let mut words = text.split_whitespace();
    let method = words.next().map_or(Method::Get, |m| Method::from_bytes(m.as_bytes()));
    (method, words.next().map(|w| w.as_bytes().to_vec()))
}

fn cases(prefix: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    corpus::cases(&folder, prefix)
}

/// Ways to cut a stream; each case must come out the same in all of them.
fn ways(at: usize) -> [Pieces; 5] {
    let seed = 0x9e37_79b9_7f4a_7c15 ^ (at as u64) << 8;
    [
        Pieces::Whole,
        Pieces::Bytes,
        Pieces::Seeded(seed + 2),
        Pieces::Seeded(seed + 4),
        Pieces::Seeded(seed + 6),
    ]
}

#[test]
fn each_request_of_the_corpus_is_answered_as_specified_however_it_is_split() {
    let cases = cases("request");
    let mut failures = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        failures.extend(
            ways(at).into_iter().find_map(|pieces| {
                failure(case, &requests(&case.input, pieces, &Limits::default()))
            }),
        );
    }
    report(&failures);
}

#[test]
fn each_response_of_the_corpus_is_answered_as_specified_however_it_is_split() {
    let cases = cases("response");
    let mut failures = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let (method, upgrade) = asked(&case.asked);
        let asked = Asked { method, upgrade: upgrade.as_deref() };
        failures.extend(ways(at).into_iter().find_map(|pieces| {
            failure(case, &responses(&case.input, pieces, asked, &Limits::default()))
        }));
    }
    report(&failures);
}

#[test]
fn the_corpus_holds_the_invariants_and_agrees_with_the_oracle() {
    for case in cases("request") {
        invariants::request(&case.input);
    }
    for case in cases("response") {
        for choice in 0..8u8 {
            let mut data = vec![choice];
            data.extend_from_slice(&case.input);
            invariants::response(&data);
        }
    }
}

#[test]
fn the_corpus_has_enough_distinct_cases_and_names_every_reason() {
    let requests = cases("request");
    let responses = cases("response");
    let distinct = |cases: &[Case]| cases.iter().map(|c| c.input.clone()).collect::<BTreeSet<_>>();
    let refused = requests.iter().filter(|c| !c.expect.contains("ok")).count();
    println!(
        "{} requests ({refused} without a served one), {} responses",
        distinct(&requests).len(),
        responses.len()
    );
    assert!(distinct(&requests).len() >= 600);
    assert!(responses.len() >= 100);
    // These depend on a limit or policy that is not the default; `limits.rs` covers them.
    let elsewhere = ["underscore_name"];
    let words = |cases: &[Case]| {
        cases.iter().flat_map(|c| c.expect.split(' ').map(str::to_owned)).collect::<BTreeSet<_>>()
    };
    let named = words(&requests);
    for reason in http1::RequestErrorReason::ALL {
        let label = reason.label();
        assert!(named.contains(label) || elsewhere.contains(&label), "no request for {label}");
    }
    for reason in http1::BodyErrorReason::ALL {
        let label = reason.label();
        assert!(named.contains(label) || label == "truncated", "no request for {label}");
    }
    let named = words(&responses);
    for reason in http1::ResponseErrorReason::ALL {
        assert!(named.contains(reason.label()), "no response for {}", reason.label());
    }
}
