//! Replays the corpora of the fuzz targets: seeds, and every input that once failed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests stop the test"
)]

mod invariants;

use std::path::Path;

fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("a corpus")
        .map(|e| e.expect("an entry").path())
        .collect();
    files.sort();
    assert!(files.len() >= 25, "{} has too few seeds", folder.display());
    for file in files {
        // A failing check names the input by this line, which is shown only then.
        println!("{}", file.display());
        check(&std::fs::read(&file).expect("a seed"));
    }
}

#[test]
fn seeds_of_the_request_target_pass() {
    replay("http1_request", invariants::request);
}

#[test]
fn seeds_of_the_response_target_pass() {
    replay("http1_response", invariants::response);
}

#[test]
fn seeds_of_the_chunked_target_pass() {
    replay("http1_chunked", invariants::chunked);
}
