//! Runs `cargo test`, passes its output through, and adds up the totals of its many test binaries.

use crate::step;
use anyhow::{Context as _, bail};
use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::Stdio,
};

/// Where the closing line is kept for whoever runs more after the tests.
const TOTALS_FILE: &str = "target/xtask-test-totals";

#[derive(Debug, Default, PartialEq)]
struct Totals {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// `cargo test ARGS`; a run that executed no test is a failure.
pub(crate) fn cargo_test(root: &Path, args: &[&str]) -> anyhow::Result<()> {
    let line = format!("cargo test {}", args.join(" "));
    println!("    $ {line}");
    let mut command = step::cargo_command(root);
    command.arg("test").args(args).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
    let output = child.stdout.take().context("cargo test has no standard output")?;
    let mut totals = Totals::default();
    for text in BufReader::new(output).split(b'\n') {
        let text = text.context("cannot read what cargo test prints")?;
        let text = String::from_utf8_lossy(&text);
        println!("{text}");
        totals.add(&text);
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    let Totals { passed, failed, ignored } = totals;
    let closing = format!("{passed} passed, {failed} failed, {ignored} skipped");
    println!("{closing}");
    std::fs::write(root.join(TOTALS_FILE), format!("{closing}\n"))
        .with_context(|| format!("cannot write {TOTALS_FILE}"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    if passed == 0 {
        bail!("`{line}` ran no test");
    }
    Ok(())
}

impl Totals {
    /// Adds a line like `test result: ok. 7 passed; 0 failed; 0 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) =
            line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in counts.split("; ") {
            let Some((number, word)) = part.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_totals_of_all_test_binaries_are_added_up() {
        let mut totals = Totals::default();
        for line in [
            "test a ... ok",
            "test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            totals.add(line);
        }
        assert_eq!(totals, Totals { passed: 9, failed: 3, ignored: 1 });
    }
}
