//! `portcullis controller`.

use std::process::ExitCode;

use anyhow::Result;
use clap::ArgMatches;

use crate::cli::ControllerArgs;

#[cfg(feature = "kubernetes")]
pub(crate) fn run(args: &ControllerArgs, matches: &ArgMatches) -> Result<ExitCode> {
    use anyhow::Context as _;
    use tokio::{runtime, task::LocalSet};

    use crate::{
        cluster,
        config::{Config, Flags},
    };

    let ControllerArgs { cluster: flags, gateways, common } = args.clone();
    let flags = Flags { cluster: flags, gateways, common, ..Flags::default() };
    let config = Config::load(&flags, matches)?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the event loop of the control thread cannot be started")?;
    LocalSet::new().block_on(&runtime, cluster::run(&config))
}

/// A build that leaves the Kubernetes client out.
#[cfg(not(feature = "kubernetes"))]
pub(crate) fn run(_args: &ControllerArgs, _matches: &ArgMatches) -> Result<ExitCode> {
    anyhow::bail!(
        "this build has no Kubernetes client; build one with \
         `cargo build --release --features kubernetes`"
    )
}
