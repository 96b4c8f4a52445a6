//! Runs the suite's binary and follows what it says.

use super::{
    Args,
    catalogue::{Catalogue, Chosen},
    install,
    output::{Event, Outcome, Reader},
    target::Target,
};
use crate::step;
use anyhow::{Context as _, ensure};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The suite waits for minutes on what does not come; all its tests together are done in far less.
const LONGEST_RUN: &str = "90m";

/// Seconds. How long a namespace takes to vanish says nothing about an implementation; the suite's 30 seconds are short for a machine that does other things as well.
const CLEANUP_WAIT: &str = "DeleteTimeout:180";

/// Seconds. A run while one works should fail sooner than one that a report is made of; only shorter waits are allowed then.
const SHORTER_WAITS: &str = "NamespacesMustBeReady:120;GatewayMustHaveAddress:45;\
    GatewayMustHaveCondition:45;ListenerSetMustHaveCondition:45;HTTPRouteMustHaveCondition:30;\
    RouteMustHaveParents:30";

/// The two programs with tests: their flags and what they print are the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Upstream,
    Own,
}

pub(super) const PARTS: [Part; 2] = [Part::Upstream, Part::Own];

impl Part {
    pub(super) fn tests(self, chosen: &Chosen) -> &BTreeSet<String> {
        match self {
            Self::Upstream => &chosen.upstream,
            Self::Own => &chosen.own,
        }
    }

    fn binary(self) -> &'static str {
        match self {
            Self::Upstream => "conformance.test",
            Self::Own => "own.test",
        }
    }

    fn log(self) -> &'static str {
        match self {
            Self::Upstream => "suite.log",
            Self::Own => "own.log",
        }
    }
}

pub(super) fn run(
    root: &Path,
    args: &Args,
    tools: &Path,
    catalogue: &Catalogue,
    chosen: &Chosen,
    part: Part,
    target: &Target,
) -> anyhow::Result<Outcome> {
    let tests = part.tests(chosen);
    let output = root.join(args.output());
    let report = output.join("report.yaml");
    if report.exists() {
        std::fs::remove_file(&report)?;
    }
    // Standard error joins the output: a panic of the suite goes there.
    // If we are killed, the kernel ends it.
    let mut command = target.command("setpriv");
    command.args(["--pdeathsig", "KILL", "sh", "-c", "exec \"$0\" \"$@\" 2>&1"]);
    command.arg(tools.join(part.binary()));
    command.args(flags(root, args, catalogue, chosen, tests)?);
    if part == Part::Upstream {
        command.arg(format!("-report-output={}", report.display()));
    }
    command.current_dir(&output).stdin(Stdio::null()).stdout(Stdio::piped());
    match part {
        Part::Upstream => println!("\n==> {} tests of {}", tests.len(), chosen.profiles.join(", ")),
        Part::Own => println!("\n==> {} tests of ours", tests.len()),
    }
    let mut child = command.spawn().context("cannot start the suite")?;
    let lines = BufReader::new(child.stdout.take().context("the suite has no standard output")?);
    let mut log = File::create(output.join(part.log()))?;
    let mut reader = Reader::default();
    for line in lines.split(b'\n') {
        let line = line.context("cannot read what the suite prints")?;
        log.write_all(&line)?;
        log.write_all(b"\n")?;
        if let Some(Event { test, result, seconds }) = reader.line(&String::from_utf8_lossy(&line))
            && tests.contains(&test)
        {
            println!("    {:4}  {seconds:>6.1} s  {test}", result.word());
        }
    }
    let status = child.wait()?;
    let outcome = reader.finish(status.success());
    if part == Part::Upstream && chosen.complete && report.exists() {
        keep_report(root, args, &report)?;
    }
    Ok(outcome)
}

fn flags(
    root: &Path,
    args: &Args,
    catalogue: &Catalogue,
    chosen: &Chosen,
    tests: &BTreeSet<String>,
) -> anyhow::Result<Vec<String>> {
    // The package holds other tests, which need its sources.
    let mut pattern = "^TestConformance$".to_owned();
    if !chosen.complete {
        let names: Vec<&str> = tests.iter().map(String::as_str).collect();
        pattern = format!("{pattern}/^({})$", names.join("|"));
    }
    let mut flags = vec![
        format!("-test.run={pattern}"),
        "-test.v=test2json".to_owned(),
        format!("-test.timeout={LONGEST_RUN}"),
        format!("-gateway-class={}", args.class),
        format!("-conformance-profiles={}", chosen.profiles.join(",")),
        format!("-usable-address={}", install::usable_address(args)),
        format!("-unusable-address={}", args.unusable_address),
        "-organization=portcullis".to_owned(),
        "-project=portcullis".to_owned(),
        format!("-url={}", args.report_url),
        format!("-contact={}", args.report_contact),
        format!("-version={}", version(root)?),
        format!("-mode={}", mode(args)),
    ];
    let shorter = if chosen.complete { "" } else { SHORTER_WAITS };
    flags.push(format!("-timeout-config-overrides={CLEANUP_WAIT};{shorter}"));
    if args.assume_all_features {
        flags.push(format!("-supported-features={}", catalogue.features.join(",")));
    }
    if args.keep_objects || args.reuse_base {
        flags.push("-cleanup-base-resources=false".to_owned());
    }
    if args.keep_objects {
        flags.push("-cleanup-test-resources=false".to_owned());
    }
    Ok(flags)
}

/// The suite's word for a way to run an implementation.
fn mode(args: &Args) -> &'static str {
    if args.inline { "inline" } else { "default" }
}

fn version(root: &Path) -> anyhow::Result<String> {
    let manifest: toml::Table = std::fs::read_to_string(root.join("Cargo.toml"))?.parse()?;
    let version = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("package"))
        .and_then(|package| package.get("version"))
        .and_then(toml::Value::as_str);
    Ok(format!("v{}", version.context("Cargo.toml names no version")?))
}

/// Puts the report of a complete run where it is committed, under the name that the upstream project asks for.
fn keep_report(root: &Path, args: &Args, report: &Path) -> anyhow::Result<()> {
    let name = format!("experimental-{}-{}-report.yaml", version(root)?, mode(args));
    let kept = PathBuf::from("conformance/reports").join(name);
    let mut command = Command::new("git");
    command.current_dir(root).args(["status", "--porcelain", "--untracked-files=no"]);
    let changed = step::output_of(command, "git status").unwrap_or_default();
    if !changed.trim().is_empty() {
        println!("    tracked files are changed: the report is of no commit");
    }
    let _bytes = std::fs::copy(report, root.join(&kept))?;
    ensure!(root.join(&kept).exists(), "the report was not written");
    println!("    report: {}", kept.display());
    Ok(())
}
