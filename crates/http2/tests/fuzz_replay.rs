//! Replays the corpora of the fuzz targets: seeds, and every input that once failed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests stop the test"
)]

mod invariants;

use std::{fs, path::Path};

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
fn seeds_of_the_hpack_target_and_their_beginnings_pass() {
    replay("hpack", 20, invariants::hpack);
}
