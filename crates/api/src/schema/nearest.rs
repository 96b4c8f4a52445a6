//! The known name that a misspelt one may have meant.

use crate::near;

/// The closest of `known` to `name`, when it is close enough to be a slip.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match name.len() {
        0..=3 => 1,
        4..=7 => 2,
        _ => 3,
    };
    known
        .filter_map(|candidate| {
            let distance = if candidate.eq_ignore_ascii_case(name) {
                0
            } else {
                near::distance(name, candidate)?
            };
            (distance <= limit).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_find_their_field_and_strangers_find_none() {
        let known = ["hostname", "hostnames", "parentRefs", "rules", "tls"];
        let near = |name| nearest(name, known.iter().copied());
        assert_eq!(near("hostname"), Some("hostname"));
        assert_eq!(near("parentrefs"), Some("parentRefs"));
        assert_eq!(near("parentRef"), Some("parentRefs"));
        assert_eq!(near("rulse"), Some("rules"));
        assert_eq!(near("tsl"), Some("tls"));
        assert_eq!(near("somethingElse"), None);
    }
}
