//! `portcullis controller`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::ArgMatches;
use tokio::{runtime, task::LocalSet};

use crate::{cli::ControllerArgs, cluster, config::Config};

pub(crate) fn run(args: &ControllerArgs, matches: &ArgMatches) -> Result<ExitCode> {
    let config = Config::load(&args.flags, matches)?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the event loop of the control thread cannot be started")?;
    LocalSet::new().block_on(&runtime, cluster::run(args, &config))
}
