//! The nearest name, for findings about names that do not exist.

use api::near;

use crate::limits::HINT_CANDIDATES_MAX;

/// `did you mean "x"?` for the candidate closest to `wanted`, if one is close.
///
/// Close is at most two edits, and fewer than half of the wanted name. Of equals the first wins.
pub(crate) fn nearest<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let limit = 2.min(wanted.chars().count().saturating_sub(1) / 2).max(1);
    candidates
        .into_iter()
        .take(HINT_CANDIDATES_MAX)
        .filter(|candidate| *candidate != wanted)
        .filter_map(|candidate| Some((near::distance(wanted, candidate)?, candidate)))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!("did you mean {candidate}?"))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_typing_error_finds_the_name_that_was_meant() {
        assert_eq!(nearest("wbe", ["api", "web"]), Some("did you mean web?".to_owned()));
        assert_eq!(
            nearest("cart-srvice", ["cart-service"]),
            Some("did you mean cart-service?".to_owned())
        );
    }

    #[test]
    fn names_that_differ_much_are_not_suggested() {
        assert_eq!(nearest("checkout", ["web", "cart"]), None);
        assert_eq!(nearest("a", ["xyz"]), None);
    }
}
