//! The manifests that bring Portcullis into a cluster.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::{Result, bail};

use crate::cli::InstallArgs;

/// In the order in which they can be applied.
const MANIFESTS: [&str; 5] = [
    include_str!("../../../../deploy/manifests/namespace.yaml"),
    include_str!("../../../../deploy/crds/gatewayparameters.yaml"),
    include_str!("../../../../deploy/manifests/rights.yaml"),
    include_str!("../../../../deploy/manifests/controller.yaml"),
    include_str!("../../../../deploy/manifests/class.yaml"),
];

const LABELS: &str =
    "{app.kubernetes.io/name: portcullis, app.kubernetes.io/component: controller}";

pub(crate) fn run(args: &InstallArgs) -> Result<ExitCode> {
    if !args.print {
        bail!("nothing is installed by itself yet: pipe `portcullis install --print` to kubectl");
    }
    io::stdout().write_all(manifests(args)?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn manifests(args: &InstallArgs) -> Result<String> {
    check_namespace(&args.namespace)?;
    let image = args.image.clone().unwrap_or_else(default_image);
    if image.is_empty() || image.contains(|c: char| c.is_whitespace() || c.is_control()) {
        bail!("the image \"{image}\" is not a reference such as {}", default_image());
    }
    let filled = MANIFESTS.map(|manifest| {
        manifest
            .replace("{namespace}", &args.namespace)
            .replace("{labels}", LABELS)
            .replace("{replicas}", &args.replicas.to_string())
            .replace("{image}", &image)
    });
    Ok(filled.join("---\n"))
}

/// The image of this version.
pub(crate) fn default_image() -> String {
    format!("localhost/portcullis:{}", env!("CARGO_PKG_VERSION"))
}

fn check_namespace(name: &str) -> Result<()> {
    let valid = (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !valid {
        bail!("\"{name}\" cannot be the name of a namespace: use letters, digits and hyphens");
    }
    Ok(())
}
