//! What is wrong with the files, in words for their owner.

use std::{fmt, ops::Range, sync::Arc};

use translate::{Code, ObjectRef, Severity};

use crate::yaml::LineIndex;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's name as the user would write it; `<stdin>` for standard input.
    pub file: Arc<str>,
    /// From 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// In characters, from 1; 0 when the file as a whole is meant.
    pub column: usize,
    /// In bytes of the file.
    pub start: usize,
    pub end: usize,
}

impl Place {
    /// A file as a whole.
    pub fn whole(file: impl Into<Arc<str>>) -> Self {
        Self { file: file.into(), line: 0, column: 0, start: 0, end: 0 }
    }

    /// A byte range of a file whose text is `text`.
    pub fn new(file: &Arc<str>, text: &str, span: Range<usize>) -> Self {
        Self::with_index(file, text, &LineIndex::new(text), span)
    }

    /// As [`Place::new`], for many places in one text.
    pub fn with_index(file: &Arc<str>, text: &str, lines: &LineIndex, span: Range<usize>) -> Self {
        let (line, column) = lines.line_column(text, span.start);
        Self { file: Arc::clone(file), line, column, start: span.start, end: span.end }
    }

    /// The byte range.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }
}

/// `file:line:column`, as editors and terminals link it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            f.write_str(&self.file)
        } else {
            write!(f, "{}:{}:{}", self.file, self.line, self.column)
        }
    }
}

/// One finding about the files, before any translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceIssue {
    pub code: Code,
    /// As a rule that of the code; milder for what was only passed by.
    pub severity: Severity,
    pub place: Place,
    /// The object at fault, when the text got that far.
    pub object: Option<ObjectRef>,
    /// The field at fault, empty for the object as a whole.
    pub field: String,
    /// One sentence in lower case without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Other places that matter, each with the reason.
    pub related: Vec<(Place, String)>,
}

impl SourceIssue {
    pub(crate) fn new(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            place,
            object: None,
            field: String::new(),
            message: message.into(),
            hint: None,
            related: Vec::new(),
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(crate) fn object(mut self, object: ObjectRef, field: impl Into<String>) -> Self {
        self.object = Some(object);
        self.field = field.into();
        self
    }

    pub(crate) fn related(mut self, place: Place, why: impl Into<String>) -> Self {
        self.related.push((place, why.into()));
        self
    }
}

/// `file:line:column: error[PC0101]: message (hint)`.
impl fmt::Display for SourceIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}[{}]: {}", self.place, self.severity, self.code, self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}
