//! One module for each command; each wires the crates together and leaves printing to `render`.

mod code;
mod config;
mod controller;
mod drain;
mod explain;
pub(crate) mod install;
mod lint;
pub(crate) mod load;
mod proxy;
mod serve;
mod shell;
mod status;

use std::process::ExitCode;

use anyhow::Result;
use clap::ArgMatches;

use crate::cli::{Cli, Command, ConfigCommand};

pub(crate) fn run(cli: Cli, matches: &ArgMatches) -> Result<ExitCode> {
    match cli.command {
        Command::Serve(args) => serve::run(&args, nested(matches)),
        Command::Controller(args) => controller::run(&args, nested(matches)),
        Command::Proxy(args) => proxy::run(&args, nested(matches)),
        Command::Drain(args) => drain::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Code(args) => code::run(&args),
        Command::Install(args) => install::run(&args),
        Command::Config(args) => match args.command {
            ConfigCommand::Show { flags, output } => {
                config::show(&flags, output.output, nested(nested(matches)))
            }
        },
        Command::Completions(args) => shell::completions(args.shell),
        Command::Man => shell::man(),
    }
}

/// The matches of the subcommand that was given.
fn nested(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, nested)| nested)
}
