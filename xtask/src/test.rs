//! `cargo xtask test`: everything that proves the workspace, in the order of what fails fastest.

use crate::{
    step::{self, Steps},
    tidy, totals,
};
use std::path::Path;

/// What ships is what is tested.
const SHIPS: &str = "portcullis/full";
const DENIED: [&str; 3] = ["--", "-D", "warnings"];

pub(crate) fn run(root: &Path, fast: bool) -> anyhow::Result<()> {
    let mut steps = Steps::new();
    let result = run_all(&mut steps, root, fast);
    steps.finish();
    result
}

fn run_all(steps: &mut Steps, root: &Path, fast: bool) -> anyhow::Result<()> {
    steps.run("format", || step::cargo(root, &["fmt", "--all", "--", "--check"]))?;
    steps.run("tidy", || tidy::run(root))?;
    steps.run("clippy", || {
        let all = ["clippy", "--workspace", "--all-targets", "--features", SHIPS];
        step::cargo(root, &[&all[..], &DENIED].concat())
    })?;
    steps.run("clippy of a plain build", || {
        step::cargo(root, &[&["clippy", "--package", "portcullis"][..], &DENIED].concat())
    })?;
    if fast {
        steps.run("unit tests", || {
            totals::cargo_test(root, &["--workspace", "--features", SHIPS, "--lib", "--bins"])
        })?;
        for name in ["integration tests", "doc tests", "documentation", "licences and bans"] {
            steps.skip(name, "--fast leaves it out");
        }
        return Ok(());
    }
    if step::works("cargo", &["deny", "--version"]) {
        steps.run("licences and bans", || {
            step::cargo(root, &["deny", "--offline", "check", "bans", "licenses", "sources"])
        })?;
    } else {
        steps.skip(
            "licences and bans",
            "cargo-deny is not installed (`cargo install cargo-deny`); \
             tidy has checked the banned crates over the dependency tree",
        );
    }
    steps.run("documentation", || {
        let args =
            ["doc", "--workspace", "--features", SHIPS, "--no-deps", "--document-private-items"];
        step::cargo_with(root, &args, &[("RUSTDOCFLAGS", "-D warnings")])
    })?;
    steps.run("tests", || {
        totals::cargo_test(root, &["--workspace", "--features", SHIPS, "--no-fail-fast"])
    })
}
