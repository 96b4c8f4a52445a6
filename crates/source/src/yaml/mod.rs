//! YAML and JSON text to JSON values, read as kubectl reads them, with the place of every field.
//!
//! The parser crate is used in this module only.

mod build;
mod scalar;
mod span;
mod split;
mod syntax;

use std::ops::Range;

use granit_parser::{Event, Parser, StrInput};
use serde_json::Value;

pub use self::span::{FieldSpan, LineIndex, SpanTree, line_column};
pub(crate) use self::split::split;
use crate::limits;

/// One document that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub value: Value,
    /// Ranges in bytes from the start of the text that was read.
    pub spans: SpanTree,
    /// Line of the document's first field, from 1.
    pub start_line: usize,
}

/// Something wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Bytes from the start of the text that was read.
    pub span: Range<usize>,
    pub message: String,
    pub hint: Option<String>,
    pub kind: ProblemKind,
    /// Whether the text seems to be a template that was not rendered.
    pub template: bool,
}

/// What sort of thing is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The text is not YAML, or has no meaning in JSON.
    Syntax,
    DuplicateKey,
    /// A bound of [`crate::limits`] is reached.
    TooLarge,
}

impl Problem {
    fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        let kind = ProblemKind::Syntax;
        Self { span, message: message.into(), hint: None, kind, template: false }
    }

    fn kind(mut self, kind: ProblemKind) -> Self {
        self.kind = kind;
        self
    }

    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

/// A comment and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Bytes from the start of the text, from the `#` to the end of the line.
    pub span: Range<usize>,
    /// The text after the `#`, without surrounding blanks.
    pub text: String,
    /// Whether nothing but blanks stands before it on its line.
    pub own_line: bool,
}

/// What a text holds: the documents that could be read, in order, and what was wrong with the
/// others. A document with a problem is not among the documents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    pub documents: Vec<Document>,
    pub problems: Vec<Problem>,
}

/// Reads a whole file. Empty documents are left out.
pub fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    let lines = LineIndex::new(text);
    for range in split(text) {
        let one = read_chunk(text.get(range.clone()).unwrap_or(""), range.start == 0);
        let line = lines.line_column(text, range.start).0.saturating_sub(1);
        reading.documents.extend(one.documents.into_iter().map(|mut document| {
            document.spans.shift(range.start);
            document.start_line = document.start_line.saturating_add(line);
            document
        }));
        reading.problems.extend(one.problems.into_iter().map(|mut problem| {
            problem.span = problem.span.start.saturating_add(range.start)
                ..problem.span.end.saturating_add(range.start);
            problem
        }));
    }
    reading
}

/// Reads one piece of [`split()`]: as a rule one document, more when `...` separates them.
///
/// `first` says that the piece starts its file, where a byte order mark may stand.
pub(crate) fn read_chunk(text: &str, first: bool) -> Reading {
    let mut reading = Reading::default();
    if text.len() > limits::MAX_DOCUMENT_BYTES {
        let limit = limits::MAX_DOCUMENT_BYTES;
        reading.problems.push(
            Problem::new(0..0, format!("a document is larger than {limit} bytes"))
                .kind(ProblemKind::TooLarge)
                .hint("split it into several documents with `---` lines"),
        );
        return reading;
    }
    let bom = if first && text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let body = text.get(bom..).unwrap_or("");
    if body.trim().is_empty() {
        return reading;
    }
    let mut builder = build::Builder::new(body);
    for next in parser(body, false) {
        match next {
            Ok((Event::DocumentEnd, _)) => builder.finish(&mut reading),
            Ok((event, span)) => {
                builder.event(&event, span.byte_range().unwrap_or_default(), &span);
            }
            Err(error) => {
                builder.fail(syntax::problem(&error, body), &mut reading);
                break;
            }
        }
    }
    for problem in &mut reading.problems {
        explain_template(problem, body);
        problem.span = problem.span.start.saturating_add(bom)..problem.span.end.saturating_add(bom);
    }
    if bom > 0 {
        for document in &mut reading.documents {
            document.spans.shift(bom);
        }
    }
    reading
}

/// All comments of a text, as far as it can be read.
pub fn comments(text: &str) -> Vec<Comment> {
    let mut comments = Vec::new();
    for range in split(text) {
        let chunk = text.get(range.clone()).unwrap_or("");
        let body = chunk.trim_start_matches('\u{feff}');
        let base = range.start.saturating_add(chunk.len().saturating_sub(body.len()));
        for (event, span) in parser(body, true).map_while(Result::ok) {
            if let (Event::Comment(words, _), Some(bytes)) = (event, span.byte_range()) {
                let line = body.get(..bytes.start).and_then(|b| b.rsplit('\n').next());
                comments.push(Comment {
                    span: bytes.start.saturating_add(base)..bytes.end.saturating_add(base),
                    text: words.trim().to_owned(),
                    own_line: line.is_some_and(|before| before.trim().is_empty()),
                });
            }
        }
    }
    comments
}

fn parser(text: &str, emit_comments: bool) -> Parser<'_, StrInput<'_>> {
    let options = granit_parser::options! {
        emit_comments: emit_comments,
        max_buffered_comment_events: text.len(),
        simple_key_max_lookahead: limits::MAX_SIMPLE_KEY,
        flow_nesting_limit: limits::MAX_DEPTH,
        block_nesting_limit: limits::MAX_DEPTH,
    };
    Parser::new_from_str_with_options(text, options)
}

/// Marks a problem whose line, or whose document, holds the braces of a template language.
fn explain_template(problem: &mut Problem, text: &str) {
    let start = text
        .get(..problem.span.start)
        .and_then(|b| b.rfind('\n'))
        .map_or(0, |n| n.saturating_add(1));
    let end = text
        .get(problem.span.start..)
        .and_then(|rest| rest.find('\n'))
        .map_or(text.len(), |n| n.saturating_add(problem.span.start));
    let on_line = text.get(start..end).is_some_and(|line| line.contains("{{"));
    let block = text.lines().any(|line| line.trim_start().starts_with("{{"));
    if on_line || block {
        problem.template = true;
        problem.hint = Some(TEMPLATE_HINT.to_owned());
    }
}

/// What to do with a file full of `{{ }}`.
pub(crate) const TEMPLATE_HINT: &str = "this looks like a template: render it first, for example \
    with `helm template`, and give the result";
