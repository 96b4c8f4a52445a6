//! The committed corpus of the `translate` fuzz target, and its beginnings, through the same
//! checks; and the inputs of the golden cases, with every choice of settings.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by a panic"
)]

mod translate_invariants;

use std::{
    fs,
    path::{Path, PathBuf},
};

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn every_seed_of_the_corpus_and_its_beginnings_translate() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/translate");
    let files = files(&folder);
    assert!(files.len() >= 30, "the corpus is there");
    for file in files {
        // A failing check names the input by this line, which is shown only then.
        println!("{}", file.display());
        let bytes = fs::read(&file).expect("a seed");
        translate_invariants::check(&bytes);
        for length in (1..bytes.len()).step_by(bytes.len() / 8 + 1) {
            translate_invariants::check(&bytes[..length]);
        }
    }
}

#[test]
fn every_golden_input_translates_with_every_choice_of_settings() {
    for topic in files(Path::new("tests/golden")) {
        for case in files(&topic) {
            println!("{}", case.display());
            let text = fs::read_to_string(&case).expect("a case");
            let (input, _) = testkit::golden::split(&text);
            for choice in *b"01237;" {
                let mut data = vec![choice];
                data.extend_from_slice(input.as_bytes());
                translate_invariants::check(&data);
            }
        }
    }
}
