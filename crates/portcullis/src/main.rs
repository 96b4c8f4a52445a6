//! Portcullis: the Kubernetes Gateway API in one binary.
//!
//! This crate only wires and renders, and must never decide: what a request does is decided in
//! `ir`, what an object means in `translate`.
//!
//! Start reading at `cli` (what can be asked), then `command` (a module for each command),
//! `serve` (the running process), `cluster` (the same in a cluster), `proxy_role` (one Gateway's data
//! plane, which a controller configures), `config` and `render`.

mod cli;
#[cfg(feature = "kubernetes")]
mod cluster;
mod command;
mod config;
mod demo;
mod limits;
mod observe;
mod proxy_role;
mod render;
mod serve;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Exit codes: 0 done, 1 findings or failure, 2 wrong use (as clap does).
fn main() -> ExitCode {
    let matches = cli::Cli::command().get_matches();
    let result = cli::Cli::from_arg_matches(&matches)
        .map_err(anyhow::Error::from)
        .and_then(|cli| command::run(cli, &matches));
    match result {
        Ok(code) => code,
        Err(error) => {
            render::error(&error);
            ExitCode::from(1)
        }
    }
}
