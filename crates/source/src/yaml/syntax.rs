//! Words for what the parser refuses, so that someone who knows YAML by example understands them.

use granit_parser::{ErrorKind, ScanError};

use super::{Problem, ProblemKind};

/// The problem of a syntax error at its place in `text`.
pub(super) fn problem(error: &ScanError, text: &str) -> Problem {
    let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
    let kind = error.kind();
    let (message, hint) = words(kind);
    let message = message.map_or_else(|| lower_first(&error.info()), str::to_owned);
    Problem {
        span: character_at(text, at),
        message: format!("this is not valid YAML: {message}"),
        hint: hint.map(str::to_owned),
        kind: ProblemKind::Syntax,
        template: false,
    }
}

type Words = (Option<&'static str>, Option<&'static str>);

fn words(kind: &ErrorKind) -> Words {
    use ErrorKind as K;
    let tab = matches!(
        kind,
        K::TabNotAllowed
            | K::TabInBlockIndentation
            | K::TabAtBlockScalarStart
            | K::TabInIndentation
            | K::TabInPlainScalar
    );
    if tab {
        return (
            Some("a tab stands where YAML wants spaces"),
            Some("indent with spaces instead of tabs"),
        );
    }
    if matches!(kind, K::UnknownAnchor) {
        return (
            Some("an alias (`*name`) names an anchor that is not defined before it"),
            Some("define it with `&name` earlier in the same document, or quote the text"),
        );
    }
    if matches!(kind, K::UnclosedQuotedScalar | K::DocumentIndicatorInQuotedScalar) {
        return (Some("a quote is opened and never closed"), Some("close the quote"));
    }
    if matches!(
        kind,
        K::UnclosedFlowCollection { .. }
            | K::UnexpectedEofFlowSequence
            | K::UnexpectedEofFlowMapping
            | K::UnexpectedEofImplicitFlowMapping
    ) {
        return (
            Some("a `[` or `{` is opened and never closed"),
            Some("close it, or quote the text if it is not meant as a list or map"),
        );
    }
    if matches!(kind, K::RecursionLimitExceeded) {
        return (Some("maps and lists are nested too deeply"), None);
    }
    if matches!(kind, K::MappingValueNotAllowed | K::MappingKeyNotAllowed) {
        return (
            Some("a `key:` stands where none can stand"),
            Some("check the indentation of this line, and quote a value that holds `: `"),
        );
    }
    if matches!(
        kind,
        K::ExpectedBlockMappingKey
            | K::ExpectedBlockSequenceEntry
            | K::InvalidIndentation
            | K::BlockSequenceEntryNotAllowed
            | K::SimpleKeyExpected
            | K::InvalidSimpleKey
    ) {
        return (
            Some("this line does not fit the lines above it"),
            Some("check its indentation, and that every key ends with `:`"),
        );
    }
    if matches!(kind, K::ExpectedFlowMappingSeparator | K::ExpectedFlowSequenceSeparator) {
        return (Some("a `,` or a closing bracket is missing in `[...]` or `{...}`"), None);
    }
    unexpected(kind)
}

fn unexpected(kind: &ErrorKind) -> Words {
    let ErrorKind::UnexpectedCharacter { character } = kind else { return (None, None) };
    if character.is_control() {
        (Some("a control character stands where YAML allows none"), Some("remove it"))
    } else {
        (None, Some("put the value in quotes"))
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// The one character at an offset, or nothing at the end of the text.
fn character_at(text: &str, offset: usize) -> std::ops::Range<usize> {
    let mut start = offset;
    while !text.is_char_boundary(start) {
        start = start.saturating_sub(1);
    }
    let length = text
        .get(start..)
        .and_then(|rest| rest.chars().next())
        .filter(|c| !matches!(c, '\n' | '\r'))
        .map_or(0, char::len_utf8);
    start..start.saturating_add(length)
}
