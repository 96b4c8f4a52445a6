//! Regular expressions with bounded cost.

use std::{fmt, sync::Arc};

use regex::{Regex, RegexBuilder};

use crate::limits::PATTERN_COMPILED_BYTES_MAX;

/// A compiled regular expression (linear time; syntax of the `regex` crate, a superset of what
/// GEP-4359 asks for). Equal when the text is equal.
#[derive(Clone)]
pub struct Pattern {
    text: Arc<str>,
    regex: Regex,
}

/// The pattern does not compile, or is too large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError(pub String);

impl Pattern {
    /// A pattern found anywhere in the text, unless it is anchored itself.
    pub fn search(text: &str) -> Result<Self, PatternError> {
        Self::compile(text, text)
    }

    /// A pattern that must match the whole text.
    pub fn whole(text: &str) -> Result<Self, PatternError> {
        // The text alone must be valid, so that it cannot close the group around it.
        Self::compile(text, text)?;
        Self::compile(text, &format!("^(?:{text})$"))
    }

    fn compile(text: &str, expression: &str) -> Result<Self, PatternError> {
        RegexBuilder::new(expression)
            .size_limit(PATTERN_COMPILED_BYTES_MAX)
            .dfa_size_limit(PATTERN_COMPILED_BYTES_MAX)
            .build()
            .map(|regex| Self { text: text.into(), regex })
            .map_err(|error| PatternError(error.to_string()))
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// What was compiled: anchored when the whole text must match.
    pub(crate) fn expression(&self) -> &str {
        self.regex.as_str()
    }

    /// Whether it was made by [`Self::whole`].
    pub fn is_whole(&self) -> bool {
        self.expression() != self.text()
    }

    /// The expression as the user wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str()
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({})", self.text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
