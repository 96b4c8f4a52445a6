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

#[derive(Debug, Default)]
struct Case {
    name: String,
    input: Vec<u8>,
    expect: String,
    asked: String,
}

/// Reads the escapes of the corpus: `\r \n \t \s \\ \xNN \{text*count}`.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = rest[at + 1..].chars().next().expect("a letter after a backslash");
        let mut used = 2;
        match escape {
            'r' => out.push(b'\r'),
            'n' => out.push(b'\n'),
            't' => out.push(b'\t'),
            's' => out.push(b' '),
            '\\' => out.push(b'\\'),
            'x' => {
                out.push(u8::from_str_radix(&rest[at + 2..at + 4], 16).expect("two hex digits"));
                used = 4;
            }
            '{' => {
                let close = rest[at..].find('}').expect("a closing brace");
                let (what, count) = rest[at + 2..at + close].rsplit_once('*').expect("text*count");
                let count: usize = count.parse().expect("a count");
                out.extend_from_slice(&unescape(what).repeat(count));
                used = close + 1;
            }
            other => panic!("unknown escape {other}"),
        }
        rest = &rest[at + used..];
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// The alternatives of a line `each:`, where `\x00..\x08` stands for every byte between.
fn alternatives(line: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for word in line.split_whitespace() {
        match word.split_once("..").map(|(a, b)| (unescape(a), unescape(b))) {
            Some((a, b)) if a.len() == 1 && b.len() == 1 => {
                all.extend((a[0]..=b[0]).map(|byte| vec![byte]));
            }
            Some(_) | None => all.push(unescape(word)),
        }
    }
    all
}

fn load(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).expect("a corpus file");
    let mut cases = Vec::new();
    for block in text.split("\n\n") {
        let lines: Vec<&str> = block.lines().filter(|l| !l.starts_with('#')).collect();
        if lines.is_empty() {
            continue;
        }
        let value = |key: &str| {
            let found = lines.iter().find_map(|l| l.strip_prefix(key)?.strip_prefix(": "));
            found.map(str::to_owned)
        };
        let known = ["name", "input", "expect", "asked", "each"];
        for line in &lines {
            let key = line.split(':').next().unwrap_or_default();
            assert!(known.contains(&key), "{}: unknown line {line}", path.display());
        }
        let name = value("name").expect("a name");
        let template = value("input").expect("an input");
        let expect = value("expect").expect("an outcome");
        let asked = value("asked").unwrap_or_default();
        let (before, after) = match template.split_once("{}") {
            Some((before, after)) => (unescape(before), Some(unescape(after))),
            None => (unescape(&template), None),
        };
        let each = value("each").map(|e| alternatives(&e));
        assert_eq!(each.is_some(), after.is_some(), "{name}: each and {{}} go together");
        for (at, middle) in each.unwrap_or_else(|| vec![Vec::new()]).into_iter().enumerate() {
            let mut input = before.clone();
            input.extend_from_slice(&middle);
            input.extend_from_slice(after.as_deref().unwrap_or_default());
            let name = format!("{name}/{at}");
            cases.push(Case { name, input, expect: expect.clone(), asked: asked.clone() });
        }
    }
    cases
}

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
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the corpus")
        .map(|e| e.expect("an entry").path())
        .collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with(prefix) && name.ends_with(".txt") {
            all.extend(load(&file));
        }
    }
    all
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
