//! The cluster that a run talks to: the test cluster, or the contributor's own.

use super::Args;
use crate::{cluster::Cluster, step};
use anyhow::Context as _;
use std::{
    ffi::OsStr,
    fs::File,
    path::{Path, PathBuf},
    process::Command,
};

/// Namespaces that the suite and its tests make begin with one of these.
const SUITE_NAMESPACES: [&str; 2] = ["gateway-conformance-", "gateway-api-example-"];

pub(super) struct Target {
    pub(super) place: Place,
    /// This run has started the cluster, so it ends it.
    started: bool,
    /// Two runs on one cluster would remove each other's objects. Held, never read.
    _only_run: File,
}

pub(super) enum Place {
    /// The test cluster; everything runs inside its namespaces.
    Test(Cluster),
    /// A context of the user's, as a kubeconfig that holds nothing else.
    Own { kubeconfig: PathBuf },
}

impl Target {
    /// Finds the cluster, or starts it.
    pub(super) fn reach(root: &Path, args: &Args, output: &Path) -> anyhow::Result<Self> {
        let only_run = File::create(output.join("lock"))?;
        only_run.try_lock().context("another conformance run uses this cluster")?;
        if let Some(context) = &args.context {
            let kubeconfig = only_context(context, output)?;
            return Ok(Self {
                place: Place::Own { kubeconfig },
                started: false,
                _only_run: only_run,
            });
        }
        let cluster = Cluster::new(root, &args.cluster);
        let started = !cluster.is_up();
        if started {
            cluster.up(&args.image)?;
        } else {
            cluster.import(&args.image)?;
        }
        Ok(Self { place: Place::Test(cluster), started, _only_run: only_run })
    }

    /// Ends what this run has started.
    pub(super) fn leave(&self, keep: bool) -> anyhow::Result<()> {
        match &self.place {
            Place::Test(cluster) if self.started && !keep => cluster.down(),
            Place::Test(_) => Ok(()),
            Place::Own { kubeconfig } => {
                std::fs::remove_file(kubeconfig).context("cannot remove the copied kubeconfig")
            }
        }
    }

    /// `program` with this cluster's kubeconfig and within reach of its addresses.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.place {
            Place::Test(cluster) => {
                let mut command = cluster.on_network();
                command.arg(program);
                command
            }
            Place::Own { kubeconfig } => {
                let mut command = Command::new(program);
                command.env("KUBECONFIG", kubeconfig);
                command
            }
        }
    }

    pub(super) fn kubectl(&self, args: &[&str]) -> Command {
        let mut command = self.command("kubectl");
        command.args(args);
        command
    }

    /// Removes what an interrupted run, or one with `--keep-objects`, has left.
    pub(super) fn remove_leftovers(&self) -> anyhow::Result<()> {
        let list = step::output_of(
            self.kubectl(&["get", "namespaces", "-o", "name"]),
            "kubectl get namespaces",
        )?;
        let left: Vec<&str> = list
            .lines()
            .filter_map(|line| line.strip_prefix("namespace/"))
            .filter(|name| SUITE_NAMESPACES.iter().any(|prefix| name.starts_with(prefix)))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        let mut args = vec!["delete", "namespaces", "--timeout=180s"];
        args.extend(left);
        step::run_shown(self.kubectl(&args), &format!("kubectl {}", args.join(" ")))
    }

    /// The experimental channel holds what the standard one holds, and more.
    pub(super) fn apply_crds(&self, tools: &Path) -> anyhow::Result<()> {
        let folder = tools.join("crds/experimental").display().to_string();
        let apply = ["apply", "--server-side", "--force-conflicts", "-k", folder.as_str()];
        let _names = step::output_of(
            self.kubectl(&apply),
            "kubectl apply --server-side -k crds/experimental",
        )?;
        let wait = ["wait", "crd", "--all", "--for=condition=Established", "--timeout=60s"];
        let _names = step::output_of(self.kubectl(&wait), "kubectl wait crd --all")?;
        println!("    the CRDs of the experimental channel are applied");
        Ok(())
    }
}

/// Copies one context into a kubeconfig of its own: the suite knows only the current context.
fn only_context(context: &str, output: &Path) -> anyhow::Result<PathBuf> {
    let mut command = Command::new("kubectl");
    command.args(["config", "view", "--raw", "--minify", "--flatten"]);
    if context != "CURRENT" {
        command.args(["--context", context]);
    }
    let text = step::output_of(command, "kubectl config view --minify")?;
    let path = output.join("context.kubeconfig");
    // Created anew so that the mode holds: the file carries the user's credentials.
    if path.exists() {
        std::fs::remove_file(&path)?;
    }
    let mut file = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut file, 0o600);
    let mut file = file.write(true).create_new(true).open(&path)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    Ok(path)
}
