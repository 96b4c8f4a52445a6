//! Cuts a text into documents at its `---` lines, before any parsing.
//!
//! A `---` at the start of a line ends a document wherever it stands: inside a quoted scalar it is
//! an error, and block scalars are indented. So a broken document cannot hide the next one, and a
//! document can be cached by its bytes.

use std::ops::Range;

/// The byte ranges of the documents of `text`. Directive lines (`%YAML`) stay with the document
/// that follows them. Together the ranges cover the text.
pub(crate) fn split(text: &str) -> Vec<Range<usize>> {
    let mut starts = vec![0];
    let mut line_start: usize = 0;
    for line in text.split_inclusive('\n') {
        if line_start > 0 && is_separator(line) {
            starts.push(line_start);
        }
        line_start = line_start.saturating_add(line.len());
    }
    let mut documents: Vec<Range<usize>> = Vec::with_capacity(starts.len());
    let mut prelude: Option<usize> = None;
    let mut starts = starts.into_iter().peekable();
    while let Some(start) = starts.next() {
        let end = starts.peek().copied().unwrap_or(text.len());
        let from = prelude.take().unwrap_or(start);
        if starts.peek().is_some() && only_directives(text.get(start..end).unwrap_or("")) {
            prelude = Some(from);
        } else {
            documents.push(from..end);
        }
    }
    documents
}

fn is_separator(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn only_directives(chunk: &str) -> bool {
    let mut directives = false;
    for line in chunk.lines() {
        if line.starts_with('%') {
            directives = true;
        } else if !line.trim().is_empty() && !line.starts_with('#') && line.trim() != "..." {
            return false;
        }
    }
    directives
}
