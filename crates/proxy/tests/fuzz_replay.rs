//! Replays the corpora of the fuzz targets, and those of HTTP/2, on a stable toolchain.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by a panic and then names its input"
)]

mod invariants;

use std::{fs, path::Path};
use testkit::{corpus::cases, h2::script};

/// Longer inputs are no seeds: the fuzzer would spend its time in them.
const SEED_MOST: usize = 4_096;

fn replay(target: &str, least: usize, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= least, "{} has too few seeds", folder.display());
    for file in files {
        // A failing check names the input by this line, which is shown only then.
        println!("{}", file.display());
        let seed = fs::read(&file).unwrap();
        check(&seed);
        // Every beginning of a seed is an input, too.
        (0..seed.len()).step_by(1 + seed.len() / 64).for_each(|end| check(&seed[..end]));
    }
}

#[test]
fn seeds_of_the_client_hello_target_and_their_beginnings_pass() {
    replay("client_hello", 6, invariants::client_hello);
}

#[test]
fn seeds_of_the_proxy_protocol_target_and_their_beginnings_pass() {
    replay("proxy_protocol", 8, invariants::proxy_protocol);
}

#[test]
fn seeds_of_the_auth_answer_target_and_their_beginnings_pass() {
    replay("auth_answer", 8, invariants::auth_answer);
}

#[test]
fn seeds_of_the_http2_client_target_and_their_beginnings_pass() {
    replay("http2_client", 25, invariants::http2_client);
}

#[test]
fn seeds_of_the_http2_backend_target_and_their_beginnings_pass() {
    replay("http2_backend", 25, invariants::http2_backend);
}

/// The whole corpus goes through the bridge as well; with `WRITE_SEEDS` set, the first case of each
/// family becomes a seed.
fn through_the_bridge(prefix: &str, target: &str, check: impl Fn(&[u8])) {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    for case in cases(&manifest.join("tests/corpus"), prefix) {
        if case.text.starts_with("raw") {
            continue;
        }
        println!("{}", case.name);
        let bytes = script::bytes(&case.text);
        check(&bytes);
        if let Some(name) = case.name.strip_suffix("/0")
            && std::env::var_os("WRITE_SEEDS").is_some()
            && bytes.len() <= SEED_MOST
        {
            let folder = manifest.join("../../fuzz/corpus").join(target);
            fs::create_dir_all(&folder).unwrap();
            let name: String =
                name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            fs::write(folder.join(name.to_ascii_lowercase()), bytes).unwrap();
        }
    }
}

#[test]
fn the_corpus_of_http2_clients_passes_the_bridge() {
    through_the_bridge("http2-", "http2_client", invariants::http2_client);
}

#[test]
fn the_corpus_of_http2_backends_passes_the_bridge() {
    through_the_bridge("upstream-http2", "http2_backend", invariants::http2_backend);
}
