//! `portcullis serve`.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::ArgMatches;
use tokio::{runtime, task::LocalSet};

use crate::{
    cli::ServeArgs,
    config::{Config, Flags},
    serve::{self, Options},
};

pub(crate) fn run(args: &ServeArgs, matches: &ArgMatches) -> Result<ExitCode> {
    let (gateways, common) = (args.gateways.clone(), args.common.clone());
    let config = Config::load(&Flags { gateways, common, ..Flags::default() }, matches)?;
    let backends = args
        .backend
        .iter()
        .map(|text| text.parse().with_context(|| format!("--backend {text}")))
        .collect::<Result<Vec<_>>>()?;
    let options = Options {
        paths: args.inputs.paths.clone(),
        demo: args.demo,
        backends,
        format: args.output.output,
    };
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the event loop of the control thread cannot be started")?;
    LocalSet::new().block_on(&runtime, serve::run(options, &config))
}
