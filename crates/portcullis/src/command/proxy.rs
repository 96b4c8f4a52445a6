//! `portcullis proxy`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::ArgMatches;
use tokio::{runtime, task::LocalSet};

use crate::{
    cli::ProxyArgs,
    config::{Config, Flags},
    proxy_role,
};

pub(crate) fn run(args: &ProxyArgs, matches: &ArgMatches) -> Result<ExitCode> {
    let (link, common) = (args.link.clone(), args.common.clone());
    let config = Config::load(&Flags { link, common, ..Flags::default() }, matches)?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the event loop of the control thread cannot be started")?;
    LocalSet::new().block_on(&runtime, proxy_role::run(&config))
}
