//! Words that no tracked text may hold, and links between documents that must lead somewhere.

use super::Source;
use serde::Deserialize;
use std::path::{Component, Path, PathBuf};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    /// Paths of one person's machine and the like, as plain text.
    banned: Vec<String>,
    /// Paths (from the root) that are not searched; a name that ends in `/` is a folder.
    not_in: Vec<String>,
}

pub(super) fn check(sources: &[Source], words: &Words) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        let skipped = words.not_in.iter().any(|path| {
            *path == source.path || (path.ends_with('/') && source.path.starts_with(path.as_str()))
        });
        if skipped {
            continue;
        }
        for (index, line) in source.text.lines().enumerate() {
            for word in words.banned.iter().filter(|word| line.contains(word.as_str())) {
                findings.push(format!("{}:{}: banned text `{word}`", source.path, index + 1));
            }
        }
    }
    findings
}

/// Relative links of Markdown files that lead to no file.
pub(super) fn links(root: &Path, sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.path.ends_with(".md")) {
        let folder = Path::new(&source.path).parent().unwrap_or(Path::new(""));
        for (index, line) in prose(&source.text) {
            for target in targets(line) {
                let file = target.split('#').next().unwrap_or_default();
                if file.is_empty() || file.contains("://") || file.starts_with("mailto:") {
                    continue;
                }
                if !root.join(normalised(&folder.join(file))).exists() {
                    findings
                        .push(format!("{}:{index}: link to `{target}` leads nowhere", source.path));
                }
            }
        }
    }
    findings
}

/// The lines outside code fences, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        (!fenced).then_some((index + 1, line))
    })
}

/// The targets of `[text](target)` in a line.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| {
        let target = rest.split(')').next()?;
        target.split_whitespace().next()
    })
}

fn normalised(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                result.pop();
            }
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => {
                result.push(component);
            }
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_banned_word_is_found_with_its_line_unless_the_file_is_exempt() {
        let source =
            |path: &str| Source { path: path.to_owned(), text: "a\nsee /home/me\n".to_owned() };
        let words = Words { banned: vec!["/home/".to_owned()], not_in: vec!["data/".to_owned()] };
        let findings = check(&[source("a.md"), source("data/b.md")], &words);
        assert_eq!(findings, ["a.md:2: banned text `/home/`"]);
    }

    #[test]
    fn a_link_to_a_missing_file_is_found_and_one_in_a_code_fence_is_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("docs")).unwrap();
        std::fs::write(folder.path().join("here.md"), "").unwrap();
        let text = "[a](../here.md#x) [b](gone.md)\n```\n[c](also-gone.md)\n```\n".to_owned();
        let findings = links(folder.path(), &[Source { path: "docs/x.md".to_owned(), text }]);
        assert_eq!(findings, ["docs/x.md:1: link to `gone.md` leads nowhere"]);
    }
}
