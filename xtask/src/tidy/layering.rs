//! Who may use whom, over `cargo metadata`. Normal dependencies only: tests may use more.

use super::BannedCrate;
use crate::step;
use anyhow::Context as _;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// One crate of ours in the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Layer {
    /// The crates of ours that it may depend on; `*` for all.
    uses: Vec<String>,
    /// Outside crates that may not be below it at any depth.
    #[serde(default)]
    never: Vec<String>,
    /// Outside crates that it may not name itself.
    #[serde(default)]
    never_directly: Vec<String>,
    /// Only ever a dependency of tests.
    #[serde(default)]
    dev_only: bool,
}

pub(super) fn check(
    root: &Path,
    layers: &BTreeMap<String, Layer>,
    banned: &[BannedCrate],
) -> anyhow::Result<Vec<String>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .context("cargo metadata failed")?;
    let graph = Graph::new(&metadata)?;
    let mut findings = Vec::new();
    let ours: BTreeSet<&str> =
        metadata.workspace_packages().iter().map(|package| package.name.as_str()).collect();
    for name in layers.keys().filter(|name| !ours.contains(name.as_str())) {
        findings.push(format!("xtask/tidy.toml: layers.{name} names no crate of the workspace"));
    }
    for package in metadata.workspace_packages() {
        let name = package.name.as_str();
        let Some(layer) = layers.get(name) else {
            findings.push(format!("xtask/tidy.toml: crate `{name}` has no entry in [layers]"));
            continue;
        };
        findings.extend(one(&graph, name, &package.id, layer, layers));
    }
    findings.extend(anywhere(root, banned)?);
    Ok(findings)
}

/// Banned crates in a Linux build with every feature. `cargo metadata` also lists optional crates that no feature turns on, `cargo tree` does not.
fn anywhere(root: &Path, banned: &[BannedCrate]) -> anyhow::Result<Vec<String>> {
    let mut command = step::cargo_command(root);
    command.args([
        "tree",
        "--locked",
        "--workspace",
        "--all-features",
        "--edges",
        "normal,build,dev",
    ]);
    command.args(["--target", "x86_64-unknown-linux-gnu", "--prefix", "none", "--format", "{p}"]);
    let tree = step::output_of(command, "cargo tree --workspace --all-features")?;
    let names: BTreeSet<&str> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let found = banned.iter().filter(|banned| names.contains(banned.name.as_str()));
    Ok(found
        .map(|BannedCrate { name, reason }| {
            format!("crate `{name}` is banned ({reason}); `cargo tree -i {name}` shows who uses it")
        })
        .collect())
}

fn one(
    graph: &Graph<'_>,
    name: &str,
    id: &PackageId,
    layer: &Layer,
    layers: &BTreeMap<String, Layer>,
) -> Vec<String> {
    let mut findings = Vec::new();
    let any = layer.uses.iter().any(|allowed| allowed == "*");
    for dependency in graph.direct(id) {
        let Some(used) = graph.names.get(dependency) else { continue };
        if let Some(target) = layers.get(*used) {
            if target.dev_only {
                findings.push(format!("crate `{name}` uses `{used}`, which is for tests only"));
            } else if !any && !layer.uses.iter().any(|allowed| allowed == used) {
                findings.push(format!("crate `{name}` may not use crate `{used}`"));
            }
        }
        if layer.never_directly.iter().any(|banned| banned == used) {
            findings.push(format!("crate `{name}` may not depend on `{used}`"));
        }
    }
    for (below, path) in graph.below(id) {
        let Some(used) = graph.names.get(below) else { continue };
        if layer.never.iter().any(|banned| banned == used) {
            findings.push(format!("crate `{name}` may never reach `{used}`: {}", path.join(" → ")));
        }
    }
    findings
}

/// The resolved tree, without development dependencies.
struct Graph<'a> {
    names: BTreeMap<&'a PackageId, &'a str>,
    edges: BTreeMap<&'a PackageId, Vec<&'a PackageId>>,
}

impl<'a> Graph<'a> {
    fn new(metadata: &'a Metadata) -> anyhow::Result<Self> {
        let names =
            metadata.packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
        let resolve = metadata.resolve.as_ref().context("cargo metadata resolved nothing")?;
        let mut edges = BTreeMap::new();
        for node in &resolve.nodes {
            let normal = node.deps.iter().filter(|dependency| {
                dependency.dep_kinds.iter().any(|kind| {
                    kind.kind == DependencyKind::Normal && applies(kind.target.as_ref())
                })
            });
            edges.insert(&node.id, normal.map(|dependency| &dependency.pkg).collect());
        }
        Ok(Self { names, edges })
    }

    fn direct(&self, id: &PackageId) -> &[&'a PackageId] {
        self.edges.get(id).map_or(&[], Vec::as_slice)
    }

    /// Everything below `id`, each with one path of names that leads to it.
    fn below(&self, id: &PackageId) -> BTreeMap<&'a PackageId, Vec<&'a str>> {
        let mut seen: BTreeMap<&PackageId, Vec<&str>> = BTreeMap::new();
        let mut queue: Vec<(&PackageId, Vec<&str>)> = vec![(id, Vec::new())];
        while let Some((current, path)) = queue.pop() {
            for next in self.direct(current).iter().copied() {
                if seen.contains_key(next) {
                    continue;
                }
                let mut path = path.clone();
                path.extend(self.names.get(next).copied());
                seen.insert(next, path.clone());
                queue.push((next, path));
            }
        }
        seen
    }
}

/// Whether a dependency that is declared for a platform is in a Linux build.
fn applies(target: Option<&cargo_metadata::cargo_platform::Platform>) -> bool {
    let Some(target) = target else { return true };
    let text = target.to_string();
    let elsewhere = ["windows", "macos", "apple", "wasm", "wasi", "target_os = \"hermit\""];
    !elsewhere.iter().any(|word| text.contains(word)) || text.contains("not(")
}
