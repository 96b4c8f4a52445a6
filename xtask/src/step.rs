//! Runs one step after another: a header before, the time after, the failing command by name.

use anyhow::{Context as _, bail};
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

/// The steps of one run and what each took.
pub(crate) struct Steps {
    started: Instant,
    done: Vec<(String, Duration)>,
    skipped: Vec<(String, String)>,
}

impl Steps {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), done: Vec::new(), skipped: Vec::new() }
    }

    /// Runs `work` under a header; its error is returned with the step's name on it.
    pub(crate) fn run(
        &mut self,
        name: &str,
        work: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        println!("\n==> {name}");
        let started = Instant::now();
        let result = work();
        let took = started.elapsed();
        match result {
            Ok(()) => {
                println!("    ok: {name} ({:.1} s)", took.as_secs_f64());
                self.done.push((name.to_owned(), took));
                Ok(())
            }
            Err(error) => {
                println!("    FAILED: {name} ({:.1} s)", took.as_secs_f64());
                Err(error).with_context(|| format!("step `{name}` failed"))
            }
        }
    }

    /// Says that a step is left out, and why.
    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        println!("\n==> {name}\n    SKIPPED: {reason}");
        self.skipped.push((name.to_owned(), reason.to_owned()));
    }

    /// Prints the closing table.
    pub(crate) fn finish(&self) {
        println!("\nSteps:");
        for (name, took) in &self.done {
            println!("  {:>7.1} s  {name}", took.as_secs_f64());
        }
        for (name, reason) in &self.skipped {
            println!("  skipped    {name}: {reason}");
        }
        println!("  {:>7.1} s  in all", self.started.elapsed().as_secs_f64());
    }
}

/// Cargo with `args` in `root`; the command line is printed, and named again when it fails.
pub(crate) fn cargo(root: &Path, args: &[&str]) -> anyhow::Result<()> {
    cargo_with(root, args, &[])
}

/// As [`cargo`], with more environment variables.
pub(crate) fn cargo_with(root: &Path, args: &[&str], env: &[(&str, &str)]) -> anyhow::Result<()> {
    let mut command = cargo_command(root);
    command.args(args).envs(env.iter().copied());
    let prefix: String = env.iter().map(|(name, value)| format!("{name}='{value}' ")).collect();
    run_shown(command, &format!("{prefix}cargo {}", args.join(" ")))
}

/// The cargo that runs us, in `root`.
pub(crate) fn cargo_command(root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root);
    command
}

/// Runs `command`, shown as `line`.
pub(crate) fn run_shown(mut command: Command, line: &str) -> anyhow::Result<()> {
    println!("    $ {line}");
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// What `command` printed on standard output; its failure is an error that carries standard error.
pub(crate) fn output_of(mut command: Command, line: &str) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether `program args` can be run at all and succeeds; its output is dropped.
pub(crate) fn works(program: &str, args: &[&str]) -> bool {
    Command::new(program).args(args).output().is_ok_and(|output| output.status.success())
}
