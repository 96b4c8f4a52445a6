//! The table of bad inputs names tests that exist, and says how many inputs the corpora hold.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{collections::BTreeSet, fs, path::Path};
use testkit::corpus::cases;

/// Whether `file` below `crates/` holds what is called `name`: a test, or a case of the corpus.
fn exists(crates: &Path, file: &str, name: Option<&str>) -> bool {
    let Ok(text) = fs::read_to_string(crates.join(file)) else { return false };
    match name {
        None => true,
        Some(name) if file.ends_with(".rs") => text.contains(&format!("fn {name}(")),
        Some(name) => text.lines().any(|line| line == format!("name: {name}")),
    }
}

fn crates() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn table() -> String {
    fs::read_to_string(crates().join("../docs/hardening.md")).unwrap()
}

#[test]
fn every_test_that_the_table_of_bad_inputs_names_exists() {
    let (crates, table) = (crates(), table());
    let named: Vec<&str> = table.split('`').filter(|part| part.contains("/tests/")).collect();
    let missing: Vec<&&str> = named
        .iter()
        .filter(|reference| !reference.ends_with("/corpus/"))
        .filter(|reference| match reference.split_once(": ") {
            Some((file, name)) => !exists(&crates, file, Some(name)),
            None => !exists(&crates, reference, None),
        })
        .collect();
    assert!(missing.is_empty(), "not there: {missing:#?}");
    assert!(named.len() > 100, "the table is there");
    let heads = ["| tests |", "| distinct |"];
    let rows = table.lines().filter(|line| line.starts_with("| "));
    for row in rows.filter(|line| !heads.iter().any(|head| line.contains(head))) {
        assert!(row.contains("/tests/"), "no test in {row}");
    }
}

/// Inputs that differ in a file of a corpus.
fn distinct(file: &str) -> usize {
    let path = crates().join(file);
    let prefix = path.file_stem().unwrap().to_string_lossy().into_owned();
    let cases = cases(path.parent().unwrap(), &prefix);
    cases.iter().map(|case| (&case.asked, &case.text)).collect::<BTreeSet<_>>().len()
}

#[test]
fn the_table_says_how_many_inputs_the_corpora_hold() {
    let table = table();
    let (mut named, mut sums) = (0, [0; 3]);
    for line in table.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, file, count, _] = cells.as_slice() else { continue };
        let Some(file) = file.strip_prefix('`').and_then(|file| file.strip_suffix('`')) else {
            continue;
        };
        assert_eq!(count.parse(), Ok(distinct(file)), "the count of {file}");
        let kind = match file {
            _ if file.contains("response") || file.contains("upstream") => 2,
            _ if file.contains("http2") => 1,
            _ => 0,
        };
        sums[kind] += distinct(file);
        named += 1;
    }
    let folders = ["http1/tests/corpus", "proxy/tests/corpus"].map(|path| crates().join(path));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let files = files.filter(|file| file.as_ref().unwrap().path().extension().unwrap() == "txt");
    assert_eq!(files.count(), named, "the document counts every file");
    assert!(sums[0] >= 400 && sums[1] >= 150 && sums[2] >= 160, "{sums:?}");
}
