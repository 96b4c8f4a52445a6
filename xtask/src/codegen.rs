//! Generates the digested schemas from the CRDs of the Go module `sigs.k8s.io/gateway-api`.
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

/// The release channels of the upstream project, in the order in which they are written.
const CHANNELS: [&str; 2] = ["standard", "experimental"];

/// Writes the generated files, or, with `check`, fails when a committed file differs.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let module = fetch::module()?;
    let files = generate(&module)?;
    let output = workspace_root()?.join(OUTPUT);
    if check {
        return compare(&output, &files);
    }
    fs::create_dir_all(&output).with_context(|| format!("create {}", output.display()))?;
    for name in present(&output)? {
        if !files.contains_key(&name) {
            fs::remove_file(output.join(&name))
                .with_context(|| format!("remove {OUTPUT}/{name}"))?;
        }
    }
    for (name, text) in &files {
        fs::write(output.join(name), text).with_context(|| format!("write {OUTPUT}/{name}"))?;
    }
    println!("{} files written to {OUTPUT}", files.len());
    Ok(())
}

fn workspace_root() -> anyhow::Result<PathBuf> {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask has no parent folder")?;
    Ok(root.to_owned())
}

fn generate(module: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut kinds: BTreeMap<String, digest::Kind> = BTreeMap::new();
    for channel in CHANNELS {
        let folder = module.join("config/crd").join(channel);
        let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
            .with_context(|| format!("read {}", folder.display()))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        paths.sort();
        for path in paths {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if !name.starts_with("gateway.networking") {
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
    ensure!(!kinds.is_empty(), "the module holds no CRD: has config/crd moved?");
    let mut files = BTreeMap::new();
    for (plural, kind) in &kinds {
        files.insert(format!("{plural}.json"), kind.render()?);
    }
    let license =
        fs::read_to_string(module.join("LICENSE")).context("read the module's LICENSE")?;
    files.insert("LICENSE".to_owned(), license);
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
    for entry in fs::read_dir(output).with_context(|| format!("read {OUTPUT}"))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn compare(output: &Path, files: &BTreeMap<String, String>) -> anyhow::Result<()> {
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
        println!("{} files in {OUTPUT} are what the module gives", files.len());
        return Ok(());
    }
    bail!(
        "{OUTPUT} differs from {}: {}; run `cargo xtask codegen`",
        fetch::NAME,
        differing.join(", ")
    )
}
