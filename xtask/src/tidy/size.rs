//! Lines per file and per function.
//!
//! rustfmt has checked the layout before, so a function ends at the first line that is a closing brace at the indentation of its first line.

use super::{Limits, Source};
use serde::Deserialize;
use std::collections::BTreeSet;

/// One file or function over its limit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exception {
    /// From the root.
    path: String,
    /// The function's name; absent for the file itself.
    function: Option<String>,
    /// The most lines it may have. May be lowered, never raised.
    lines: usize,
    #[serde(rename = "reason")]
    _reason: String,
}

pub(super) fn check(sources: &[Source], limits: &Limits, exceptions: &[Exception]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut used = BTreeSet::new();
    let mut judge =
        |path: &str, function: Option<&str>, line: usize, lines: usize, limit: usize| {
            if lines <= limit {
                return;
            }
            let exception = exceptions.iter().enumerate().find(|(_, exception)| {
                exception.path == path && exception.function.as_deref() == function
            });
            let allowed = exception.map_or(limit, |(index, exception)| {
                used.insert(index);
                exception.lines
            });
            if lines > allowed {
                let what = function.map_or("file".to_owned(), |name| format!("function `{name}`"));
                findings.push(format!(
                    "{path}:{line}: {what} has {lines} lines, the limit is {allowed}"
                ));
            }
        };
    for source in sources.iter().filter(|source| source.path.ends_with(".rs")) {
        if is_generated(&source.text) {
            continue;
        }
        judge(&source.path, None, 1, source.text.lines().count(), limits.file_lines);
        for function in functions(&source.text) {
            let Function { name, line, lines } = function;
            judge(&source.path, Some(name), line, lines, limits.function_lines);
        }
    }
    for (index, exception) in exceptions.iter().enumerate() {
        if !used.contains(&index) {
            let function = exception.function.as_deref().unwrap_or("the file");
            findings.push(format!(
                "xtask/tidy.toml: the exception for {} ({function}) is no longer needed, remove it",
                exception.path
            ));
        }
    }
    findings
}

/// Whether a file says at its top that a generator wrote it.
pub(super) fn is_generated(text: &str) -> bool {
    text.lines().take(5).any(|line| line.contains("@generated"))
}

struct Function<'a> {
    name: &'a str,
    /// From 1.
    line: usize,
    lines: usize,
}

fn functions(text: &str) -> Vec<Function<'_>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut functions = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let mut rest = lines.iter().skip(index).enumerate();
        let end = rest.find(|(_, line)| {
            let at_indent = line.len() - line.trim_start().len() == indent;
            // A declaration without a body, or a body on one line, ends at once.
            let one_line = line.ends_with(';') || (line.ends_with('}') && line.contains('{'));
            at_indent && (line.trim() == "}" || one_line)
        });
        if let Some((last, _)) = end {
            functions.push(Function { name, line: index + 1, lines: last + 1 });
        }
    }
    functions
}

/// The name of the function that starts on this line, if one does.
fn function_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    loop {
        let word = words.next()?;
        if word == "fn" {
            let rest = words.next()?;
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            return rest.get(..end).filter(|name| !name.is_empty());
        }
        let qualifier = matches!(word, "pub" | "const" | "async" | "unsafe" | "extern" | "\"C\"")
            || word.starts_with("pub(");
        if !qualifier {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(body_lines: usize) -> Source {
        let body = "    work();\n".repeat(body_lines);
        Source {
            path: "a.rs".to_owned(),
            text: format!("pub(crate) async fn long() {{\n{body}}}\n"),
        }
    }

    const LIMITS: Limits = Limits { file_lines: 100, function_lines: 10 };

    #[test]
    fn a_function_at_the_limit_passes_and_one_line_more_is_found() {
        assert_eq!(check(&[source(8)], &LIMITS, &[]), Vec::<String>::new());
        let findings = check(&[source(9)], &LIMITS, &[]);
        assert_eq!(findings, ["a.rs:1: function `long` has 11 lines, the limit is 10"]);
    }

    #[test]
    fn an_exception_allows_its_lines_and_no_more() {
        let exception = |lines| Exception {
            path: "a.rs".to_owned(),
            function: Some("long".to_owned()),
            lines,
            _reason: String::new(),
        };
        assert_eq!(check(&[source(9)], &LIMITS, &[exception(11)]), Vec::<String>::new());
        assert_eq!(check(&[source(10)], &LIMITS, &[exception(11)]).len(), 1);
        let stale = check(&[source(3)], &LIMITS, &[exception(11)]);
        assert!(stale.iter().all(|finding| finding.contains("no longer needed")), "{stale:?}");
    }

    #[test]
    fn one_line_functions_and_declarations_do_not_swallow_what_follows() {
        let text =
            "trait A {\n    fn a(&self);\n    fn b(&self) -> u8 { 1 }\n    fn c() {\n    }\n}\n";
        let found: Vec<_> = functions(text).iter().map(|f| (f.name, f.lines)).collect();
        assert_eq!(found, [("a", 1), ("b", 1), ("c", 2)]);
    }
}
