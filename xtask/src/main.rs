//! Project tasks, run as `cargo xtask TASK`.
//!
//! What it must never do: change a tracked file without being asked to (only `codegen` writes any), or pass over a check without saying so.
//! Start reading at `test.rs` (what proves the workspace), `tidy/mod.rs` (the rules of the source tree) and `step.rs` (how a step is run and reported).
#![allow(clippy::print_stdout, reason = "a command-line tool talks on standard output")]

mod bench;
mod cluster;
mod codegen;
mod conformance;
mod differential;
mod fuzz;
mod image;
mod step;
mod test;
mod tidy;
mod totals;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Project tasks", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that proves the workspace: format, clippy, tidy, all tests, documentation.
    Test {
        /// Leave out the slow steps; each one left out is named.
        #[arg(long)]
        fast: bool,
    },
    /// The rules of the source tree: layering, sizes, words, doc headers, dead files, links.
    Tidy,
    /// Generate the digested schemas and the files made from them.
    Codegen {
        /// Write nothing; fail when a committed file differs from what would be generated.
        #[arg(long)]
        check: bool,
    },
    /// A bounded fresh run of every fuzz target.
    FuzzSmoke {
        /// Seconds for each target.
        #[arg(long, default_value_t = 10)]
        seconds: u32,
    },
    /// Measure against the peers, side by side, or attack them (`bench abuse`); arguments go to the driver (`bench --help`).
    Bench {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Send the corpora of bad input to Portcullis, nginx, HAProxy and Envoy, and write
    /// docs/hardening-peers.md; installs the peers that are missing.
    Differential {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Build what ships: the `dist` profile.
    Dist,
    /// An image of what ships, linked statically, or of a given binary, as an archive; needs no daemon.
    Image(image::ImageArgs),
    /// A one-node Kubernetes on this machine, in namespaces of its own (needs root).
    Cluster {
        #[command(subcommand)]
        action: cluster::Action,
    },
    /// The upstream conformance suite, on the test cluster or on one of yours.
    Conformance(Box<conformance::Args>),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    let root = root()?;
    match task {
        Task::Test { fast } => test::run(&root, fast),
        Task::Tidy => tidy::run(&root),
        Task::Codegen { check } => codegen::run(check),
        Task::FuzzSmoke { seconds } => fuzz::run(&root, seconds),
        Task::Bench { args } => bench::run(&root, &args),
        Task::Differential { args } => differential::run(&root, &args),
        Task::Dist => bench::dist(&root),
        Task::Image(args) => image::run(&root, &args),
        Task::Cluster { action } => cluster::run(&root, action),
        Task::Conformance(args) => conformance::run(&root, &args),
    }
}

/// The workspace root: the parent of this crate's folder.
fn root() -> anyhow::Result<PathBuf> {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = here.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    here.parent().map(PathBuf::from).context("the xtask folder has no parent folder")
}
