//! `cargo xtask tidy`: rules of the source tree that the compiler does not know.
//!
//! Each rule is a function from the tree to a list of findings; all rules run, then all findings are printed.
//! The settings, with a reason for every exception, are in `xtask/tidy.toml`.

mod layering;
mod profiles;
mod reach;
mod size;
mod words;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path, process::Command};

/// `xtask/tidy.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Most lines in one file and in one function.
    limits: Limits,
    /// Crates that may not be in the dependency tree at all.
    banned_crates: Vec<BannedCrate>,
    words: words::Words,
    /// Who may use whom, by crate name.
    layers: BTreeMap<String, layering::Layer>,
    /// Files and functions over a limit; the list may only shrink.
    #[serde(default)]
    exceptions: Vec<size::Exception>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    file_lines: usize,
    function_lines: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BannedCrate {
    name: String,
    reason: String,
}

/// A text file of the tree: its path from the root and its content.
struct Source {
    path: String,
    text: String,
}

pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let settings = std::fs::read_to_string(root.join("xtask/tidy.toml"))
        .context("cannot read xtask/tidy.toml")?;
    let settings: Settings = toml::from_str(&settings).context("xtask/tidy.toml")?;
    let sources = sources(root)?;
    let mut findings = Vec::new();
    findings.extend(layering::check(root, &settings.layers, &settings.banned_crates)?);
    findings.extend(size::check(&sources, &settings.limits, &settings.exceptions));
    findings.extend(words::check(&sources, &settings.words));
    findings.extend(words::links(root, &sources));
    findings.extend(reach::check(&sources));
    findings.extend(profiles::check(&sources)?);
    findings.sort();
    for finding in &findings {
        println!("    tidy: {finding}");
    }
    if !findings.is_empty() {
        bail!("tidy has {} findings", findings.len());
    }
    println!("    tidy: {} files, no findings", sources.len());
    Ok(())
}

/// Every text file that git tracks or would track, sorted by path.
fn sources(root: &Path) -> anyhow::Result<Vec<Source>> {
    let mut command = Command::new("git");
    command.current_dir(root);
    command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let list = crate::step::output_of(command, "git ls-files")?;
    let mut paths: Vec<&str> = list.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    let mut sources = Vec::new();
    for path in paths {
        // A tracked file may be deleted in the work tree, and a binary file is no text.
        let Ok(bytes) = std::fs::read(root.join(path)) else { continue };
        let Ok(text) = String::from_utf8(bytes) else { continue };
        sources.push(Source { path: path.to_owned(), text });
    }
    Ok(sources)
}
