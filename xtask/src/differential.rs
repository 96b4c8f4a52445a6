//! `cargo xtask differential`: what Portcullis and its peers do with the corpora of bad input.

use crate::step;
use anyhow::bail;
use std::{path::Path, process::Command};

/// The peers' programs, as `bench/setup` installs them.
const PEERS: [&str; 3] = ["/usr/sbin/nginx", "/usr/sbin/haproxy", "target/bench/venv/bin/pip"];

pub(crate) fn run(root: &Path, args: &[String]) -> anyhow::Result<()> {
    if !PEERS.iter().all(|program| root.join(program).exists()) {
        step::run_shown(Command::new(root.join("bench/setup")), "bench/setup")?;
    }
    step::cargo(root, &["build", "--package", "portcullis"])?;
    step::cargo(root, &["build", "--package", "bench", "--example", "differential"])?;
    let driver = root.join("target/debug/examples/differential");
    let status = Command::new(&driver).args(args).current_dir(root).status()?;
    if !status.success() {
        bail!("the differential run ended with {status}");
    }
    Ok(())
}
