//! `portcullis controller`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::ArgMatches;
use tokio::{runtime, task::LocalSet};

use crate::{
    cli::ControllerArgs,
    cluster,
    config::{Config, Flags},
};

pub(crate) fn run(args: &ControllerArgs, matches: &ArgMatches) -> Result<ExitCode> {
    let (gateways, common) = (args.gateways.clone(), args.common.clone());
    let config = Config::load(&Flags { gateways, common, ..Flags::default() }, matches)?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the event loop of the control thread cannot be started")?;
    LocalSet::new().block_on(&runtime, cluster::run(args, &config))
}
