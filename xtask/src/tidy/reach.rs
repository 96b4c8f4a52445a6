//! Each crate's root says what it is, and every file below `src` is part of its crate.

use super::Source;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let files: BTreeMap<&str, &str> = sources
        .iter()
        .filter(|source| source.path.ends_with(".rs"))
        .map(|source| (source.path.as_str(), source.text.as_str()))
        .collect();
    let crates: BTreeSet<&str> =
        files.keys().filter_map(|path| path.split_once("/src/")).map(|(krate, _)| krate).collect();
    let mut findings = Vec::new();
    for krate in crates {
        let mut reached = BTreeSet::new();
        for root in roots(krate, &files) {
            if root.ends_with("/lib.rs") || root.ends_with("/main.rs") {
                findings.extend(header(root, files.get(root).copied().unwrap_or_default()));
            }
            walk(root, true, &files, &mut reached);
        }
        let below = files.keys().filter(|path| path.starts_with(&format!("{krate}/src/")));
        for path in below.filter(|path| !reached.contains(**path)) {
            findings.push(format!("{path}: no `mod` leads to this file"));
        }
    }
    findings
}

fn roots<'a>(krate: &str, files: &BTreeMap<&'a str, &'a str>) -> Vec<&'a str> {
    let fixed = [format!("{krate}/src/lib.rs"), format!("{krate}/src/main.rs")];
    let bins = format!("{krate}/src/bin/");
    let is_root = |path: &str| fixed.iter().any(|root| root == path) || path.starts_with(&bins);
    files.keys().copied().filter(|path| is_root(path)).collect()
}

/// A crate's root starts with its documentation, of three parts: what it is, what it must never do, where to start reading.
fn header(path: &str, text: &str) -> Option<String> {
    let doc: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
    let whole = doc.join(" ").to_lowercase();
    let complete = doc.len() >= 3 && whole.contains("never") && whole.contains("start");
    (!complete).then(|| {
        format!("{path}: must open with `//!`: what it is, what it must never do, where to start reading")
    })
}

/// Follows `mod name;` from `path`. A crate root and a `mod.rs` look beside themselves, other files in their own folder.
fn walk<'a>(
    path: &'a str,
    is_root: bool,
    files: &BTreeMap<&'a str, &'a str>,
    reached: &mut BTreeSet<&'a str>,
) {
    let Some(text) = files.get(path).copied() else { return };
    if !reached.insert(path) {
        return;
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let own = path.trim_end_matches(".rs");
    let base = if is_root || path.ends_with("/mod.rs") { folder } else { own };
    let mut attribute = None;
    // Inline modules add their name to the folder; one level is all that the tree uses.
    let mut inline: Option<&str> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(rest) = trimmed.strip_prefix("#[path = \"") {
            attribute = rest.split('"').next();
            continue;
        }
        if line == "}" {
            inline = None;
        }
        let Some(name) = module_name(trimmed) else { continue };
        if trimmed.ends_with('{') {
            inline = Some(name);
            continue;
        }
        let base = inline.map_or(base.to_owned(), |inline| format!("{base}/{inline}"));
        let candidates = match attribute.take() {
            Some(explicit) => vec![format!("{folder}/{explicit}")],
            None => vec![format!("{base}/{name}.rs"), format!("{base}/{name}/mod.rs")],
        };
        for candidate in candidates {
            if let Some((next, _)) = files.get_key_value(candidate.as_str()) {
                walk(next, false, files, reached);
            }
        }
    }
}

/// The name in `mod name;` or `mod name {`, with any visibility.
fn module_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let mut word = words.next()?;
    if word == "pub" || word.starts_with("pub(") {
        word = words.next()?;
    }
    if word != "mod" {
        return None;
    }
    let name = words.next()?.trim_end_matches(';');
    (line.ends_with(';') || line.ends_with('{')).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "//! What it is.\n//! It must never panic.\n//! Start reading at `a`.\n";

    fn tree(files: &[(&str, &str)]) -> Vec<Source> {
        let source = |(path, text): &(&str, &str)| Source {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        files.iter().map(source).collect()
    }

    #[test]
    fn modules_are_followed_through_folders_and_a_file_without_one_is_found() {
        let lib = format!("{HEADER}mod a;\npub(crate) mod b;\n");
        let files = tree(&[
            ("crates/x/src/lib.rs", &lib),
            ("crates/x/src/a.rs", "mod deep;\n#[cfg(test)]\nmod tests;\n"),
            ("crates/x/src/a/deep.rs", ""),
            ("crates/x/src/a/tests.rs", ""),
            ("crates/x/src/b/mod.rs", "mod c;\n"),
            ("crates/x/src/b/c.rs", ""),
            ("crates/x/src/lost.rs", ""),
        ]);
        assert_eq!(check(&files), ["crates/x/src/lost.rs: no `mod` leads to this file"]);
    }

    #[test]
    fn a_crate_root_without_its_three_sentences_is_found() {
        let files = tree(&[("crates/x/src/lib.rs", "//! A crate.\n")]);
        assert_eq!(check(&files).len(), 1);
    }
}
