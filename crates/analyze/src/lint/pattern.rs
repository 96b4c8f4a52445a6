//! What can be said of a regular expression without running it.

use ir::Pattern;

/// Characters with a meaning of their own outside classes.
const SPECIAL: &str = r"\.+*?()|[]{}^$";

/// The literal text that every match of the expression starts with; the expression is anchored.
pub(super) fn literal_prefix(pattern: &Pattern) -> String {
    let text = pattern.text();
    let body = text.strip_prefix('^').unwrap_or(text);
    if body.contains('|') || body.contains("(?") {
        return String::new();
    }
    let (literal, rest) = literal(body);
    let mut literal = literal;
    // A quantifier belongs to the last character.
    if rest.starts_with(['*', '?', '+', '{']) {
        literal.pop();
    }
    literal
}

/// `Some(text)` when the expression takes every path that starts with `text`, such as `/api/.*`.
pub(super) fn takes_all_below(pattern: &Pattern) -> Option<String> {
    let text = pattern.text();
    let body = text.strip_prefix('^').unwrap_or(text);
    let body = body.strip_suffix('$').unwrap_or(body);
    let (literal, rest) = literal(body);
    (rest == ".*").then_some(literal)
}

/// Whether the expression is found in every value.
pub(super) fn takes_everything(pattern: &Pattern) -> bool {
    matches!(pattern.text(), "" | "^" | "$" | ".*" | "^.*" | ".*$" | "^.*$")
}

/// The literal start of an expression, unescaped, and what follows it.
fn literal(body: &str) -> (String, &str) {
    let mut literal = String::new();
    let mut rest = body;
    loop {
        let mut letters = rest.chars();
        match letters.next() {
            Some('\\') => match letters.next() {
                // `\<` and `\>` are borders of words.
                Some(escaped) if escaped.is_ascii_punctuation() && !"<>".contains(escaped) => {
                    literal.push(escaped);
                }
                Some(_) | None => return (literal, rest),
            },
            Some(letter) if !SPECIAL.contains(letter) => literal.push(letter),
            Some(_) | None => return (literal, rest),
        }
        rest = letters.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Pattern {
        Pattern::whole(text).unwrap()
    }

    #[test]
    fn the_literal_start_of_an_expression_is_found() {
        assert_eq!(literal_prefix(&whole("/api/v[0-9]+")), "/api/v");
        assert_eq!(literal_prefix(&whole(r"/a\.b/.*")), "/a.b/");
        assert_eq!(literal_prefix(&whole("/ab*")), "/a");
        assert_eq!(literal_prefix(&whole("/a|/b")), "");
        assert_eq!(literal_prefix(&whole("(?i)/a")), "");
    }

    #[test]
    fn an_expression_that_takes_a_subtree_is_known_as_one() {
        assert_eq!(takes_all_below(&whole("/api/.*")).as_deref(), Some("/api/"));
        assert_eq!(takes_all_below(&whole(".*")).as_deref(), Some(""));
        assert_eq!(takes_all_below(&whole("/api/.+")), None);
        assert_eq!(takes_all_below(&whole("/api(/.*)?")), None);
    }
}
