//! Whether one match holds whenever another does. Where that cannot be told, the answer is no.

use ir::{CallMatch, HeaderMatch, HostPattern, Match, PathMatch, QueryMatch, ValueMatch};

use super::pattern::{literal_prefix, takes_all_below, takes_everything};

/// Whether `wide` holds for every request for which `narrow` holds; hosts aside.
pub(super) fn subsumes(wide: &Match, narrow: &Match) -> bool {
    let Match { origin: _, path, method, headers, query } = wide;
    path_subsumes(path, &narrow.path)
        && method.as_ref().is_none_or(|method| narrow.method.as_ref() == Some(method))
        && headers.iter().all(|wanted| narrow.headers.iter().any(|given| header(wanted, given)))
        && query.iter().all(|wanted| narrow.query.iter().any(|given| parameter(wanted, given)))
}

/// Whether both hold for the very same requests because they say the same, in whatever order.
pub(super) fn says_the_same(one: &Match, other: &Match) -> bool {
    one.path == other.path
        && one.method == other.method
        && one.headers.len() == other.headers.len()
        && one.query.len() == other.query.len()
        && one.headers.iter().all(|header| other.headers.contains(header))
        && one.query.iter().all(|query| other.query.contains(query))
}

/// Whether the hosts of a match are all hosts of another; `None` is every host.
pub(super) fn host_subsumes(wide: Option<&HostPattern>, narrow: Option<&HostPattern>) -> bool {
    match (wide, narrow) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(HostPattern::Exact(wide)), Some(HostPattern::Exact(narrow))) => wide == narrow,
        (Some(HostPattern::Exact(_)), Some(HostPattern::Wildcard(_))) => false,
        (Some(wide @ HostPattern::Wildcard(_)), Some(HostPattern::Exact(narrow))) => {
            wide.matches(narrow)
        }
        (Some(HostPattern::Wildcard(wide)), Some(HostPattern::Wildcard(narrow))) => {
            narrow.ends_with(&**wide)
        }
    }
}

/// The hosts that are in both, when some are: of patterns that intersect, the narrower one.
pub(super) fn intersection<'h>(
    one: Option<&'h HostPattern>,
    other: Option<&'h HostPattern>,
) -> Option<&'h HostPattern> {
    if host_subsumes(one, other) { other } else { one }
}

fn path_subsumes(wide: &PathMatch, narrow: &PathMatch) -> bool {
    use PathMatch::{Call, Regex};
    match (wide, narrow) {
        (PathMatch::Exact(wide), PathMatch::Exact(narrow)) => wide == narrow,
        (PathMatch::Exact(_), PathMatch::Prefix(_) | Regex(_) | Call(_)) => false,
        (PathMatch::Prefix(wide), PathMatch::Exact(narrow) | PathMatch::Prefix(narrow)) => {
            below(wide, narrow)
        }
        // Every path starts with a slash.
        (PathMatch::Prefix(wide), Regex(narrow) | Call(CallMatch { pattern: narrow, .. })) => {
            wide.is_empty() || literal_prefix(narrow).starts_with(&format!("{wide}/"))
        }
        (Regex(wide) | Call(CallMatch { pattern: wide, .. }), PathMatch::Exact(narrow)) => {
            wide.is_match(narrow)
        }
        (Regex(wide) | Call(CallMatch { pattern: wide, .. }), PathMatch::Prefix(narrow)) => {
            takes_all_below(wide)
                .is_some_and(|text| narrow.starts_with(&text) || (narrow.is_empty() && text == "/"))
        }
        (
            Regex(wide) | Call(CallMatch { pattern: wide, .. }),
            Regex(narrow) | Call(CallMatch { pattern: narrow, .. }),
        ) => {
            wide == narrow
                || takes_all_below(wide).is_some_and(|text| {
                    text.is_empty() || text == "/" || literal_prefix(narrow).starts_with(&text)
                })
        }
    }
}

/// By segment; both without a slash at the end.
fn below(prefix: &str, path: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn header(wanted: &HeaderMatch, given: &HeaderMatch) -> bool {
    wanted.name == given.name && value(&wanted.value, &given.value)
}

fn parameter(wanted: &QueryMatch, given: &QueryMatch) -> bool {
    wanted.name == given.name && value(&wanted.value, &given.value)
}

fn value(wanted: &ValueMatch, given: &ValueMatch) -> bool {
    match (wanted, given) {
        (ValueMatch::Exact(wanted), ValueMatch::Exact(given)) => wanted == given,
        (ValueMatch::Exact(_), ValueMatch::Regex(_)) => false,
        (ValueMatch::Regex(wanted), ValueMatch::Exact(given)) => wanted.is_match(given),
        (ValueMatch::Regex(wanted), ValueMatch::Regex(given)) => {
            // A value that is not UTF-8 fails both.
            wanted == given || takes_everything(wanted)
        }
    }
}
