//! The committed corpus of the `yaml` fuzz target, and its beginnings, through the same checks.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may end by a panic")]

mod yaml_invariants;

use std::{fs, path::Path};

#[test]
fn every_file_of_the_corpus_holds_what_always_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/yaml");
    let mut files = 0;
    for entry in fs::read_dir(folder).expect("the corpus is committed") {
        let bytes = fs::read(entry.expect("an entry").path()).expect("a file");
        yaml_invariants::check(&bytes);
        for length in (0..bytes.len()).step_by(7) {
            yaml_invariants::check(&bytes[..length]);
        }
        files += 1;
    }
    assert!(files > 5, "the corpus is there");
}
