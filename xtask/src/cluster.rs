//! `cargo xtask cluster`: drives the scripts of `test/cluster`, which run a one-node Kubernetes in namespaces of its own.

use crate::step;
use anyhow::bail;
use clap::Subcommand;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// `cargo xtask cluster …`.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Build what is missing and start the cluster; a running one only gets the images.
    Up {
        #[command(flatten)]
        name: Name,
        /// Image archives to import, as `docker save` writes them.
        images: Vec<PathBuf>,
    },
    /// End the cluster and remove what it left.
    Down {
        #[command(flatten)]
        name: Name,
    },
    /// Run a command inside, with `kubectl` and `ctr` at hand.
    Exec {
        #[command(flatten)]
        name: Name,
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

/// Which cluster. Several can run side by side; their addresses do not clash.
#[derive(clap::Args)]
pub(crate) struct Name {
    /// The cluster's name.
    #[arg(long, env = "PORTCULLIS_CLUSTER", default_value = "dev", value_parser = is_name)]
    pub(crate) name: String,
}

/// The name becomes part of folder and cgroup names.
fn is_name(text: &str) -> Result<String, String> {
    let fits = (1..=20).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if fits { Ok(text.to_owned()) } else { Err("1 to 20 of a-z and 0-9".to_owned()) }
}

pub(crate) fn run(root: &Path, action: Action) -> anyhow::Result<()> {
    match action {
        Action::Up { name, images } => {
            let cluster = Cluster::new(root, &name);
            if cluster.is_up() { cluster.import(&images) } else { cluster.up(&images) }?;
            println!("look inside: cargo xtask cluster exec kubectl get pods -A");
            Ok(())
        }
        Action::Down { name } => Cluster::new(root, &name).down(),
        Action::Exec { name, command } => {
            let mut inside = Cluster::new(root, &name).inside();
            let status = inside.args(&command).status()?;
            if !status.success() {
                bail!("the command ended with {status}");
            }
            Ok(())
        }
    }
}

/// A test cluster, running or not.
pub(crate) struct Cluster {
    scripts: PathBuf,
    name: String,
}

impl Cluster {
    pub(crate) fn new(root: &Path, name: &Name) -> Self {
        Self { scripts: root.join("test/cluster"), name: name.name.clone() }
    }

    pub(crate) fn is_up(&self) -> bool {
        let probe = self.inside().arg("true").output();
        probe.is_ok_and(|output| output.status.success())
    }

    pub(crate) fn up(&self, images: &[PathBuf]) -> anyhow::Result<()> {
        let mut command = self.script("up.sh");
        command.args(images);
        step::run_shown(command, &format!("test/cluster/up.sh ({})", self.name))
    }

    pub(crate) fn down(&self) -> anyhow::Result<()> {
        step::run_shown(self.script("down.sh"), &format!("test/cluster/down.sh ({})", self.name))
    }

    /// Gives the node more images.
    pub(crate) fn import(&self, images: &[PathBuf]) -> anyhow::Result<()> {
        for image in images {
            let mut command = self.inside();
            command.args(["ctr", "images", "import"]).arg(image);
            step::run_shown(command, &format!("ctr images import {}", image.display()))?;
        }
        Ok(())
    }

    /// A command to be completed with a program and its arguments, which runs inside all namespaces.
    pub(crate) fn inside(&self) -> Command {
        self.script("exec.sh")
    }

    /// As [`Cluster::inside`], but in the network alone: the process that is spawned is the program itself, so it can be ended by its pid.
    pub(crate) fn on_network(&self) -> Command {
        let mut command = self.script("exec.sh");
        command.arg("--network");
        command
    }

    fn script(&self, file: &str) -> Command {
        let mut command = Command::new(self.scripts.join(file));
        command.env("PORTCULLIS_CLUSTER", &self.name);
        command
    }
}
