//! `cargo xtask conformance`: the upstream conformance suite against Portcullis, on the test cluster or on one of yours.
//!
//! The verdict comes from the output of the tests, held against the catalogue of the tests that exist: the suite's own report leaves out what it skipped.

mod catalogue;
mod install;
mod output;
mod suite;
mod target;
mod verdict;

use crate::{cluster, step};
use anyhow::{Context as _, bail};
use catalogue::Catalogue;
use std::path::{Path, PathBuf};
use target::Target;

/// `cargo xtask conformance …`. Without a choice of tests, all tests of gateways run.
#[derive(clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Args {
    /// Only the tests of this profile, such as GATEWAY-HTTP or just HTTP; may be repeated.
    #[arg(long)]
    profile: Vec<String>,
    /// Only this test, such as HTTPRouteWeight; may be repeated.
    #[arg(long)]
    test: Vec<String>,
    /// Only the tests that conformance/fast.txt names.
    #[arg(long)]
    fast: bool,
    /// Print the names of the chosen tests and run nothing.
    #[arg(long)]
    list: bool,
    /// Run the controller as a process in the cluster's network that serves the Gateways itself; no image is made.
    #[arg(long)]
    inline: bool,
    /// Optimise the binary of `--inline`.
    #[arg(long)]
    release: bool,
    /// Use this binary of Portcullis and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Image archives to import before the installation.
    #[arg(long)]
    image: Vec<PathBuf>,
    /// Install nothing: test what serves the class already.
    #[arg(long)]
    no_install: bool,
    /// The GatewayClass.
    #[arg(long, default_value = "portcullis")]
    class: String,
    /// Claim every feature of gateways, whatever the status of the GatewayClass says.
    #[arg(long)]
    assume_all_features: bool,
    /// Leave the cluster running when this run has started it.
    #[arg(long)]
    keep: bool,
    /// Leave what the suite made in the cluster, to be looked at; the next run removes it first.
    #[arg(long)]
    keep_objects: bool,
    /// Keep the suite's backends from run to run, for a quick repetition. Not for tests with TLS to backends: these keep their first certificates.
    #[arg(long)]
    reuse_base: bool,
    #[command(flatten)]
    cluster: cluster::Name,
    /// Use a cluster of yours: the name of its context, or CURRENT. It must be reachable from here, LoadBalancer addresses included.
    #[arg(long, conflicts_with = "inline")]
    context: Option<String>,
    /// Where readers of the report find the project. The suite takes nothing but http and https; without a published place, a name that is nobody's (RFC 2606) is the truth.
    #[arg(long, default_value = "https://portcullis.invalid/")]
    report_url: String,
    /// Where they can ask: an account, an address, or a file of this repository.
    #[arg(long, default_value = "CONTRIBUTING.md")]
    report_contact: String,
    /// An address that a Gateway may ask for and gets.
    #[arg(long)]
    usable_address: Option<String>,
    /// An address that no Gateway can get.
    #[arg(long, default_value = "192.0.2.1")]
    unusable_address: String,
}

impl Args {
    /// Where the logs and the report of a run go, from the root of the workspace.
    fn output(&self) -> PathBuf {
        let cluster = self.context.as_ref().map_or(self.cluster.name.as_str(), |_| "context");
        Path::new("target/conformance").join(cluster)
    }
}

pub(crate) fn run(root: &Path, args: &Args) -> anyhow::Result<()> {
    let tools = build(root)?;
    let catalogue = Catalogue::read(&tools.join("catalogue.json"))?;
    let chosen = catalogue.choose(root, args)?;
    if args.list {
        chosen.all().for_each(|test| println!("{test}"));
        return Ok(());
    }
    let output = root.join(args.output());
    std::fs::create_dir_all(&output)
        .with_context(|| format!("cannot make {}", output.display()))?;
    let target = Target::reach(root, args, &output)?;
    let result = on_target(root, args, &tools, &catalogue, &chosen, &target);
    let left = target.leave(args.keep);
    result.and(left)
}

/// Builds the suite when its inputs changed; the folder that holds it, its catalogue and the CRDs.
fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let mut command = std::process::Command::new(root.join("conformance/build.sh"));
    command.stderr(std::process::Stdio::inherit());
    let folder = step::output_of(command, "conformance/build.sh")?;
    Ok(PathBuf::from(folder.trim()))
}

fn on_target(
    root: &Path,
    args: &Args,
    tools: &Path,
    catalogue: &Catalogue,
    chosen: &catalogue::Chosen,
    target: &Target,
) -> anyhow::Result<()> {
    if !args.reuse_base {
        target.remove_leftovers()?;
    }
    target.apply_crds(tools)?;
    // Held until the suite has ended: an inline controller ends when it is dropped.
    let _controller = if args.no_install { None } else { install::install(root, args, target)? };
    let run = |part| suite::run(root, args, tools, catalogue, chosen, part, target);
    let mut outcome = output::Outcome::default();
    for part in suite::PARTS.iter().filter(|part| !part.tests(chosen).is_empty()) {
        outcome.add(run(*part)?);
    }
    let verdict = verdict::Verdict::of(chosen, &outcome);
    verdict.print();
    println!("logs: {}", args.output().display());
    if !verdict.is_good() {
        bail!("conformance: not passed");
    }
    Ok(())
}
