//! The nearest name, for findings about names that do not exist.

/// Above this length a name is not compared: the cost grows with the product of lengths.
const NAME_LENGTH_MAX: usize = 64;

/// Above this many candidates none is suggested.
const CANDIDATES_MAX: usize = 10_000;

/// `did you mean "x"?` for the candidate closest to `wanted`, if one is close.
///
/// Close is at most two edits, and fewer than half of the wanted name. Of equals the first wins.
pub(crate) fn nearest<'a>(
    wanted: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    if wanted.len() > NAME_LENGTH_MAX {
        return None;
    }
    let limit = 2.min(wanted.chars().count().saturating_sub(1) / 2).max(1);
    candidates
        .into_iter()
        .take(CANDIDATES_MAX)
        .filter(|candidate| candidate.len() <= NAME_LENGTH_MAX && *candidate != wanted)
        .map(|candidate| (distance(wanted, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| format!("did you mean {candidate}?"))
}

/// Levenshtein distance, with a swap of neighbours counted as one edit.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous_char = None;
    for (row, left_char) in left.chars().enumerate() {
        let mut current = Vec::with_capacity(last.len());
        current.push(row.saturating_add(1));
        let mut previous_right = None;
        for (column, right_char) in right.iter().copied().enumerate() {
            let at =
                |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut best = at(&last, column) + usize::from(left_char != right_char);
            best = best.min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            if previous_char == Some(right_char) && previous_right == Some(left_char) && column > 0
            {
                best = best.min(at(&before_last, column - 1) + 1);
            }
            current.push(best);
            previous_right = Some(right_char);
        }
        before_last = std::mem::replace(&mut last, current);
        previous_char = Some(left_char);
    }
    last.last().copied().unwrap_or(usize::MAX / 2)
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
