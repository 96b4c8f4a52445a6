//! Replays the corpus of the fuzz target `path`, and random paths of awkward pieces.

use std::{fs, path::Path};

use proptest::{
    collection::vec,
    prelude::{ProptestConfig, any, proptest},
    sample::select,
};

#[cfg(test)]
mod path_invariants;

const PIECES: [&str; 30] = [
    "/", "/", "/", "//", ".", "..", "/..", "/./", "%2e", "%2E", "%2f", "%2F", "%5c", "\\", "a",
    "b", "%61", "%", "%zz", "%00", ";", "..;", "%25", "2e", "%c3%a9", "é", " ", "#", "?", "~",
];

#[test]
fn each_path_of_the_corpus_keeps_the_invariants() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/path");
    let mut seen = 0;
    for entry in fs::read_dir(folder).expect("a corpus") {
        path_invariants::judge(&fs::read(entry.expect("an entry").path()).expect("a seed"));
        seen += 1;
    }
    assert!(seen > 10, "the corpus is there");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_paths_keep_the_invariants(
        choice in 0..4_u8,
        pieces in vec(select(&PIECES[..]), 0..12),
    ) {
        let mut data = vec![choice, b'/'];
        data.extend_from_slice(pieces.concat().as_bytes());
        path_invariants::judge(&data);
    }

    #[test]
    fn any_text_keeps_the_invariants(data in vec(any::<u8>(), 0..24), text in any::<String>()) {
        path_invariants::judge(&data);
        path_invariants::judge(text.as_bytes());
        path_invariants::judge(format!("0/{text}").as_bytes());
    }
}
