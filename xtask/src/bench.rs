//! `cargo xtask dist` and `cargo xtask bench`.

use crate::step;
use anyhow::bail;
use std::{path::Path, process::Command};

/// Builds the binary that ships: `target/dist/portcullis`.
pub(crate) fn dist(root: &Path) -> anyhow::Result<()> {
    step::cargo(
        root,
        &["build", "--profile", "dist", "--package", "portcullis", "--features", "full"],
    )
}

/// Builds what is measured and the driver, then hands over to the driver.
pub(crate) fn run(root: &Path, args: &[String]) -> anyhow::Result<()> {
    let not_ours = ["--without-portcullis", "--binary", "--help"];
    if !args.iter().any(|arg| not_ours.iter().any(|option| arg.starts_with(option))) {
        dist(root)?;
    }
    step::cargo(root, &["build", "--release", "--package", "bench"])?;
    let driver = root.join("target/release/bench");
    // `bench abuse ...` is a command of the driver of its own.
    let command = if args.first().is_some_and(|arg| arg == "abuse") { None } else { Some("run") };
    let status = Command::new(&driver).args(command).args(args).current_dir(root).status()?;
    if !status.success() {
        bail!("the bench driver ended with {status}");
    }
    Ok(())
}
