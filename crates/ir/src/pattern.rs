//! Regular expressions with bounded cost.

use std::{fmt, sync::Arc};

use regex_automata::meta::{Config, Regex};

use crate::limits::PATTERN_COMPILED_BYTES_MAX;

/// A compiled regular expression (linear time; syntax of the `regex` crate, a superset of what
/// GEP-4359 asks for). Equal when the text is equal.
#[derive(Clone)]
pub struct Pattern {
    text: Arc<str>,
    /// What was compiled: anchored when the whole text must match.
    expression: Arc<str>,
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
        let config = Config::new()
            .nfa_size_limit(Some(PATTERN_COMPILED_BYTES_MAX))
            .hybrid_cache_capacity(PATTERN_COMPILED_BYTES_MAX);
        let regex = Regex::builder().configure(config).build(expression);
        regex.map(|regex| Self { text: text.into(), expression: expression.into(), regex }).map_err(
            |error| match (error.syntax_error(), error.size_limit()) {
                (Some(error), _) => PatternError(error.to_string()),
                (None, Some(limit)) => {
                    PatternError(format!("Compiled regex exceeds size limit of {limit} bytes."))
                }
                (None, None) => PatternError(error.to_string()),
            },
        )
    }

    /// Memory that the compiled pattern takes, in bytes; what matching caches is not counted.
    pub fn memory(&self) -> usize {
        self.regex.memory_usage()
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    pub(crate) fn expression(&self) -> &str {
        &self.expression
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
        self.expression == other.expression
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
