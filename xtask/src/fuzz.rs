//! `cargo xtask fuzz-smoke`: every fuzz target for some seconds, from its committed corpus.
//!
//! Fuzzing needs a nightly compiler and `cargo-fuzz`; where the compiler is missing this says so and passes, because the corpora are replayed by ordinary tests as well.

use crate::step::{self, Steps};
use anyhow::Context as _;
use std::{path::Path, process::Command};

pub(crate) fn run(root: &Path, seconds: u32) -> anyhow::Result<()> {
    if !root.join("fuzz/Cargo.toml").exists() {
        println!("fuzz-smoke: NOT RUN: there is no fuzz/Cargo.toml");
        return Ok(());
    }
    if !step::works("cargo", &["+nightly", "--version"]) {
        println!(
            "fuzz-smoke: NOT RUN: no nightly compiler is installed (`rustup toolchain install nightly`)"
        );
        return Ok(());
    }
    let mut steps = Steps::new();
    if !step::works("cargo", &["+nightly", "fuzz", "--version"]) {
        steps.run("install cargo-fuzz", || {
            let mut command = Command::new("cargo");
            command.args(["install", "--locked", "cargo-fuzz"]).current_dir(root);
            // The stable toolchain that runs this task has set these for its own cargo.
            command.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN");
            step::run_shown(command, "cargo install --locked cargo-fuzz")
        })?;
    }
    let list = step::output_of(nightly(root, &["fuzz", "list"]), "cargo +nightly fuzz list")?;
    let targets: Vec<&str> = list.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let result = targets
        .iter()
        .try_for_each(|target| steps.run(&format!("fuzz {target}"), || one(root, target, seconds)));
    steps.finish();
    println!("fuzz-smoke: {} targets, {seconds} s each", targets.len());
    result
}

fn one(root: &Path, target: &str, seconds: u32) -> anyhow::Result<()> {
    // New inputs go to a scratch corpus, so that a run leaves the committed one alone.
    let scratch = root.join("target/fuzz-corpus").join(target);
    std::fs::create_dir_all(&scratch).context("cannot make the scratch corpus folder")?;
    let scratch = scratch.display().to_string();
    let committed = format!("fuzz/corpus/{target}");
    let limit = format!("-max_total_time={seconds}");
    let mut args = vec!["fuzz", "run", "--sanitizer", "none", target, scratch.as_str()];
    if root.join(&committed).is_dir() {
        args.push(&committed);
    }
    args.extend([
        "--",
        &limit,
        "-rss_limit_mb=2048",
        "-timeout=10",
        "-verbosity=0",
        "-print_final_stats=1",
    ]);
    let line =
        format!("cargo +nightly {}", args.join(" ")).replace(&root.display().to_string(), ".");
    step::run_shown(nightly(root, &args), &line)
}

fn nightly(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.arg("+nightly").args(args).current_dir(root);
    command.env_remove("CARGO").env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC");
    command
}
