//! Replays the corpus of the `schema_cel` fuzz target, and simple damage to each of its inputs.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests: a wrong table must fail loudly"
)]

mod schema_invariants;

use std::{fs, path::Path};

#[test]
fn the_corpus_keeps_the_invariants_whole_and_damaged() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/schema_cel");
    let mut inputs = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        schema_invariants::judge(text.as_bytes());
        for (from, to) in [
            (":\"", ":null,\"x"),
            ("[{", "[null,{"),
            ("80", "1e19"),
            ("\"spec\":{", "\"spec\":{\"x\":[[{\"y\":1}]],"),
            ("{\"name\"", "{\"\":{},\"name\""),
            ("[", "{\"a\":["),
        ] {
            for (at, _) in text.match_indices(from) {
                let (before, after) = text.split_at(at);
                let damaged = format!("{before}{}", after.replacen(from, to, 1));
                schema_invariants::judge(damaged.as_bytes());
            }
        }
        inputs += 1;
    }
    assert!(inputs > 0);
}
