//! Answers of hostile backends: `response.txt` of the codec's corpus and
//! `tests/corpus/upstream-http2.txt`, each with what the client got and whether the connection was
//! used again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::{Config, Plane, corpus::BYTEWISE_MAX, plain, to_http2};
use std::{collections::BTreeSet, path::Path};
use testkit::{
    corpus::{Case, cases},
    h2::backend::{Answer, RawBackend},
    raw::Client,
    recorder::{Recorder, Reply},
};

fn folder(relative: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

/// The cases of `response.txt` in which the backend breaks a rule or ends too early.
fn hostile() -> Vec<Case> {
    let honest = |case: &Case| {
        case.expect.split(" & ").all(|one| one.starts_with("ok")) || case.asked == "CONNECT"
    };
    let all = cases(&folder("../http1/tests/corpus"), "response");
    all.into_iter().filter(|case| !honest(case)).collect()
}

/// What the client gets: the status, or `cut` when an answer has begun that never ends.
fn received(client: &mut Client, method: &str) -> String {
    match client.read_response(method) {
        Ok(response) => {
            assert_eq!(response.field("set-cookie"), None, "a field of the hostile answer");
            response.status.to_string()
        }
        Err(error) if error.to_string().contains("ended within") => "cut".to_owned(),
        Err(error) => format!("{error}"),
    }
}

/// What the client must get for a case of the codec's corpus.
fn wanted(case: &Case) -> &'static [&'static str] {
    match case.expect.split(' ').next().unwrap() {
        // The head was fine; where it was passed on before the rest came, the body never ends.
        "body" | "cut" => &["cut", "502"],
        "502" | "partial" => &["502"],
        // What is wrong comes behind a whole answer.
        "ok" => &["200"],
        other => panic!("{other}"),
    }
}

fn request(case: &Case) -> (&'static str, &'static str) {
    match case.asked.as_str() {
        "HEAD" => ("HEAD", "HEAD /bad HTTP/1.1\r\nhost: a\r\n\r\n"),
        "GET websocket" => (
            "GET",
            "GET /bad HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        ),
        _ => ("POST", "POST /bad HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx"),
    }
}

/// One answer of the backend, whole or byte by byte. Where the answer is wrong by itself the
/// backend leaves the connection open: not using it again is the proxy's choice.
fn run(case: &Case, bytewise: bool, (plane, recorder): &(Plane, Recorder)) -> Result<(), String> {
    let ends = case.expect.starts_with("partial") || case.expect.starts_with("cut");
    let reply = Reply::new().read_body();
    let size = if bytewise { 1 } else { case.input.len() };
    let reply = reply.dribble(&case.input, size);
    recorder.script(if ends { reply.close() } else { reply });
    let before = recorder.requests().len();
    let (method, head) = request(case);
    let mut client = plane.client();
    client.send(head);
    let got = received(&mut client, method);
    drop(client);
    if !wanted(case).contains(&got.as_str()) {
        return Err(format!("the client got {got} instead of {:?}", wanted(case)));
    }
    let response = plane.get("a", "/good");
    if response.status != 200 || response.json()["path"] != "/good" {
        return Err(format!("the next request got {}", response.status));
    }
    let requests = recorder.requests().split_off(before);
    let connections: BTreeSet<_> = requests.iter().map(|request| request.connection).collect();
    if requests.len() != 2 || connections.len() != 2 {
        return Err(format!("{} requests on {} connections", requests.len(), connections.len()));
    }
    Ok(())
}

#[test]
fn a_hostile_answer_is_502_or_cut_and_its_connection_is_never_used_again() {
    let cases = hostile();
    let distinct: BTreeSet<_> = cases.iter().map(|case| (&case.asked, &case.input)).collect();
    assert!(distinct.len() >= 80, "{}", distinct.len());
    let mut failures = Vec::new();
    for cases in cases.chunks(40) {
        let served = plain();
        for case in cases {
            for bytewise in [false, true] {
                if bytewise && case.input.len() > BYTEWISE_MAX {
                    continue;
                }
                if let Err(why) = run(case, bytewise, &served) {
                    let input: String =
                        case.input.escape_ascii().to_string().chars().take(200).collect();
                    failures.push(format!("{} (bytewise {bytewise}): {input}\n  {why}", case.name));
                    break;
                }
            }
        }
        assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
        // None of the bad connections stays open, though the backend closed few of them.
        served.1.wait_for_open(1);
    }
}

fn run_http2(case: &Case, bytewise: bool, plane: &Plane, backend: &RawBackend) -> String {
    let script = case.text.clone();
    backend.script(Answer { script, bytewise, closes: case.asked == "close" });
    let mut client = plane.client();
    client.send("POST /bad HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx");
    let got = received(&mut client, "POST");
    drop(client);
    let next = plane.get("a", "/good");
    if (next.status, next.text().as_str()) != (200, "ok") {
        return format!("{got}, and {} for the next request", next.status);
    }
    let requests = backend.requests();
    let reached = if requests[0] == requests[requests.len() - 1] { "same" } else { "another" };
    format!("{got} {reached}")
}

#[test]
fn a_hostile_answer_in_http2_is_502_or_cut_and_a_broken_connection_is_never_used_again() {
    let cases = cases(&folder("tests/corpus"), "upstream-http2");
    let distinct: BTreeSet<_> = cases.iter().map(|case| (&case.asked, &case.text)).collect();
    assert!(distinct.len() >= 80, "{}", distinct.len());
    let mut failures = Vec::new();
    let plane = Plane::start();
    let mut config = Config::http(plane.number());
    config.route("all", vec![to_http2("/", "app")]);
    for case in &cases {
        for bytewise in [false, true] {
            if bytewise && case.input.len() > BYTEWISE_MAX {
                continue;
            }
            let backend = RawBackend::start();
            config.service("app", &[backend.addr()]);
            plane.apply(&mut config);
            let got = run_http2(case, bytewise, &plane, &backend);
            let wanted = format!("{} {}", case.expect, case.reached);
            // An answer that was not passed on yet is 502 in place of the cut.
            let early = case.expect == "cut" && got == format!("502 {}", case.reached);
            if got != wanted && !early {
                failures.push(format!(
                    "{} (bytewise {bytewise}): {}\n  {got} instead of {wanted}",
                    case.name, case.text
                ));
                break;
            }
            backend.wait_for_one_open();
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}
