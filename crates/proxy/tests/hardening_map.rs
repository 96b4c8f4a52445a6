//! The table of bad inputs names tests that exist.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{fs, path::Path};

/// Whether `file` below `crates/` holds what is called `name`: a test, or a case of the corpus.
fn exists(crates: &Path, file: &str, name: Option<&str>) -> bool {
    let Ok(text) = fs::read_to_string(crates.join(file)) else { return false };
    match name {
        None => true,
        Some(name) if file.ends_with(".rs") => text.contains(&format!("fn {name}(")),
        Some(name) => text.lines().any(|line| line == format!("name: {name}")),
    }
}

#[test]
fn every_test_that_the_table_of_bad_inputs_names_exists() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let table = fs::read_to_string(crates.join("../docs/hardening.md")).unwrap();
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
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.contains("| tests |"));
    for row in rows {
        assert!(row.contains("/tests/"), "no test in {row}");
    }
}
