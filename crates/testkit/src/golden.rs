//! Golden files: the input documents, a line `---`, a line `# Output`, then the expected output.
//!
//! `UPDATE_GOLDEN=1` writes what came out into the files; review that as code.

use similar::TextDiff;
use std::path::{Path, PathBuf};

const MARK: &str = "---\n# Output\n";

/// Runs every `*.yaml` below `dir` (sorted, folders too): `translate` gets the input part, and what it returns must be the output part.
///
/// # Panics
/// When a file differs (all differences are printed), or when there is no file at all.
#[track_caller]
pub fn run(dir: impl AsRef<Path>, translate: impl Fn(&str) -> String) {
    let dir = dir.as_ref();
    let mut files = Vec::new();
    collect(dir, &mut files);
    files.sort();
    assert!(!files.is_empty(), "no golden file below {}", dir.display());
    let update = std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1");
    let mut different = Vec::new();
    for file in &files {
        let name = file.strip_prefix(dir).unwrap_or(file).display().to_string();
        let text = std::fs::read_to_string(file).expect("a readable golden file");
        if let Err(diff) = one(&text, &translate, |new| {
            if update {
                std::fs::write(file, new).expect("a writable golden file");
            }
            update
        }) {
            different.push(format!("{name}:\n{diff}"));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {} golden files differ (`-` is expected, `+` came out; UPDATE_GOLDEN=1 accepts):\n{}",
        different.len(),
        files.len(),
        different.join("\n")
    );
}

/// The input and the expected output of a golden file; the output is `None` when the file has none yet.
#[must_use]
pub fn split(text: &str) -> (&str, Option<&str>) {
    if let Some(output) = text.strip_prefix(MARK) {
        return ("", Some(output));
    }
    // The last mark counts: an input document may hold one in a block of text.
    match text.rfind(&format!("\n{MARK}")) {
        Some(at) => {
            let (input, rest) = text.split_at(at + 1);
            (input, rest.strip_prefix(MARK))
        }
        None => (text, None),
    }
}

/// Compares one file; `accept` gets the whole new text and says whether it took it.
fn one(
    text: &str,
    translate: &impl Fn(&str) -> String,
    accept: impl FnOnce(&str) -> bool,
) -> Result<(), String> {
    let (input, expected) = split(text);
    let mut output = translate(input);
    if !output.ends_with('\n') {
        output.push('\n');
    }
    if expected == Some(output.as_str()) {
        return Ok(());
    }
    let end = if input.is_empty() || input.ends_with('\n') { "" } else { "\n" };
    if accept(&format!("{input}{end}{MARK}{output}")) {
        return Ok(());
    }
    Err(diff(expected.unwrap_or_default(), &output))
}

/// A unified diff of two texts, three lines of context.
#[must_use]
pub fn diff(expected: &str, actual: &str) -> String {
    TextDiff::from_lines(expected, actual)
        .unified_diff()
        .context_radius(3)
        .header("expected", "came out")
        .to_string()
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("golden folder {}: {error}", dir.display()));
    for entry in entries {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_split_at_its_last_output_mark() {
        assert_eq!(split("a: 1\n---\n# Output\nb\n"), ("a: 1\n", Some("b\n")));
        assert_eq!(split("a\n---\nb\n---\n# Output\n"), ("a\n---\nb\n", Some("")));
        assert_eq!(split("a\n"), ("a\n", None));
        assert_eq!(split("---\n# Output\nx\n"), ("", Some("x\n")));
    }

    #[test]
    fn a_difference_is_shown_and_an_accepted_one_is_written_behind_the_input() {
        let upper = |input: &str| input.to_uppercase();
        assert_eq!(one("a\n---\n# Output\nA\n", &upper, |_| false), Ok(()));
        let shown = one("a\n---\n# Output\nB\n", &upper, |_| false).unwrap_err();
        assert!(shown.contains("-B") && shown.contains("+A"), "{shown}");
        let mut written = String::new();
        let accept = |new: &str| {
            new.clone_into(&mut written);
            true
        };
        assert_eq!(one("a\n", &upper, accept), Ok(()));
        assert_eq!(written, "a\n---\n# Output\nA\n");
    }

    #[test]
    #[should_panic(expected = "no golden file")]
    fn an_empty_folder_is_a_failure() {
        let folder = crate::folder::Folder::new();
        run(folder.path(), str::to_owned);
    }
}
