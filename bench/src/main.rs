//! Measures Portcullis beside its peers on one machine, in one run; `cargo xtask bench` builds what it needs and starts it.
//!
//! It must never compare figures of different runs, measure with anything but the kernel's own accounting of a process, or leave a process behind: whatever it starts dies with it.
//! Start reading at `rows.rs` (what is measured), `driver.rs` (how slices rotate), `proxy/` (how each proxy is configured) and `abuse/` (what attacks do to it).
#![allow(clippy::print_stdout, reason = "a command-line tool talks on standard output")]

mod abuse;
mod attack;
mod backend;
mod driver;
mod h2load;
mod load;
mod measure;
mod memory;
mod proc;
mod proxy;
mod reload;
mod report;
mod rows;
mod site;
mod stats;
mod wrk;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "bench", about = "Side-by-side benchmarks")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure rows and write bench/results/DATE-REVISION.md and .json.
    Run(driver::Options),
    /// Attack the proxies, on loopback and for a bounded time, with a victim beside each attack; writes bench/results/abuse-DATE-REVISION.md and .json.
    Abuse(abuse::Options),
    /// The backend: 1 KiB for every path, more for paths that start with /100k and /4m.
    #[command(hide = true)]
    Backend(backend::Options),
    /// A load generator; prints one line of JSON.
    #[command(hide = true)]
    Load(load::Options),
    /// An attacker; prints one line of JSON.
    #[command(hide = true)]
    Attack(attack::Options),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(options) => driver::run(&options),
        Command::Abuse(options) => abuse::run(&options),
        Command::Attack(options) => attack::run(&options),
        Command::Backend(options) => backend::run(&options),
        Command::Load(options) => load::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
