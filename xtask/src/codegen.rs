//! Generates the digested schemas from the CRDs of the Go module `sigs.k8s.io/gateway-api` and from our own.
//!
//! A digest keeps what decides a verdict or its wording (types, constraints, defaults, list semantics, CEL rules) and drops the prose.
//! Both channels go into one file per kind; a subtree that occurs more than once is written once and referred to by name, so what the channels share costs nothing.

mod digest;
mod fetch;
mod yaml;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Where the generated files live, from the root of the workspace.
const OUTPUT: &str = "crates/api/schema/gateway-api-1.7.0";

/// Where the CRDs of our own kinds are, and their digests.
const OWN_CRDS: &str = "deploy/crds";
const OWN_OUTPUT: &str = "crates/api/schema/portcullis";

/// The release channels of the upstream project, in the order in which they are written.
const CHANNELS: [&str; 2] = ["standard", "experimental"];

/// Writes the generated files, or, with `check`, fails when a committed file differs.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let root = workspace_root()?;
    let own = digests(OWN_CRDS, &CHANNELS.map(|channel| (channel, root.join(OWN_CRDS))))?;
    deliver(&root, OWN_OUTPUT, &own, check)?;
    let module = fetch::module()?;
    let upstream = generate(&module)?;
    deliver(&root, OUTPUT, &upstream, check)
}

/// Writes one folder of generated files, or, with `check`, compares it.
fn deliver(
    root: &Path,
    folder: &str,
    files: &BTreeMap<String, String>,
    check: bool,
) -> anyhow::Result<()> {
    let output = root.join(folder);
    if check {
        return compare(folder, &output, files);
    }
    fs::create_dir_all(&output).with_context(|| format!("create {folder}"))?;
    for name in present(&output)? {
        if !files.contains_key(&name) {
            fs::remove_file(output.join(&name))
                .with_context(|| format!("remove {folder}/{name}"))?;
        }
    }
    for (name, text) in files {
        fs::write(output.join(name), text).with_context(|| format!("write {folder}/{name}"))?;
    }
    println!("{} files written to {folder}", files.len());
    Ok(())
}

fn workspace_root() -> anyhow::Result<PathBuf> {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent folder")?;
    Ok(root.to_owned())
}

fn generate(module: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let crds = module.join("config/crd");
    let folders = CHANNELS.map(|channel| (channel, crds.join(channel)));
    let mut files = digests(fetch::NAME, &folders)?;
    let license =
        fs::read_to_string(module.join("LICENSE")).context("read the module's LICENSE")?;
    files.insert("LICENSE".to_owned(), license);
    Ok(files)
}

/// The digests of the CRDs in one folder for each channel, by file name.
fn digests(source: &str, folders: &[(&str, PathBuf)]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut kinds: BTreeMap<String, digest::Kind> = BTreeMap::new();
    for (channel, folder) in folders {
        let mut paths: Vec<PathBuf> = fs::read_dir(folder)
            .with_context(|| format!("read {}", folder.display()))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        paths.sort();
        for path in paths {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !name.starts_with("gateway") {
                continue;
            }
            let text = fs::read_to_string(&path)?;
            let documents =
                yaml::documents(&text).with_context(|| format!("parse {}", path.display()))?;
            for document in &documents {
                if document.get("kind").and_then(Value::as_str) == Some("CustomResourceDefinition")
                {
                    add(&mut kinds, channel, document)
                        .with_context(|| format!("digest {}", path.display()))?;
                }
            }
        }
    }
    ensure!(!kinds.is_empty(), "there is no CRD: has the folder moved?");
    let mut files = BTreeMap::new();
    for (plural, kind) in &kinds {
        files.insert(format!("{plural}.json"), kind.render(source)?);
    }
    Ok(files)
}

fn add(
    kinds: &mut BTreeMap<String, digest::Kind>,
    channel: &str,
    crd: &Value,
) -> anyhow::Result<()> {
    let plural = crd
        .pointer("/spec/names/plural")
        .and_then(Value::as_str)
        .context("a CRD has no plural name")?;
    kinds.entry(plural.to_owned()).or_default().add_channel(channel, crd)
}

fn present(output: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(output).with_context(|| format!("read {}", output.display()))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn compare(folder: &str, output: &Path, files: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let mut differing = Vec::new();
    for (name, text) in files {
        if fs::read_to_string(output.join(name)).ok().as_ref() != Some(text) {
            differing.push(name.clone());
        }
    }
    for name in present(output)? {
        if !files.contains_key(&name) {
            differing.push(name);
        }
    }
    if differing.is_empty() {
        println!("{} files in {folder} are what would be generated", files.len());
        return Ok(());
    }
    bail!(
        "{folder} differs from what would be generated: {}; run `cargo xtask codegen`",
        differing.join(", ")
    )
}
