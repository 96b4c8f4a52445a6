//! How far two names are apart: for "did you mean".

use crate::limits::NEAR_NAME_MAX;

/// Edits that lead from one text to the other, in characters; a swap of neighbours is one edit
/// (Damerau-Levenshtein, optimal string alignment). `None` when a text is longer than
/// [`NEAR_NAME_MAX`].
#[must_use]
pub fn distance(left: &str, right: &str) -> Option<usize> {
    if left.len() > NEAR_NAME_MAX || right.len() > NEAR_NAME_MAX {
        return None;
    }
    let right: Vec<char> = right.chars().collect();
    let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(2 * NEAR_NAME_MAX);
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous_left = None;
    for (row, from) in left.chars().enumerate() {
        let mut current = vec![row.saturating_add(1)];
        let mut previous_right = None;
        for (column, to) in right.iter().copied().enumerate() {
            let next = column.saturating_add(1);
            let replaced = at(&last, column).saturating_add(usize::from(from != to));
            let removed = at(&last, next).saturating_add(1);
            let added = at(&current, column).saturating_add(1);
            let mut best = replaced.min(removed).min(added);
            if previous_left == Some(to)
                && previous_right == Some(from)
                && let Some(earlier) = column.checked_sub(1)
            {
                best = best.min(at(&before_last, earlier).saturating_add(1));
            }
            current.push(best);
            previous_right = Some(to);
        }
        before_last = std::mem::replace(&mut last, current);
        previous_left = Some(from);
    }
    last.last().copied()
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn edits_are_counted_and_a_swap_is_one() {
        assert_eq!(distance("web", "web"), Some(0));
        assert_eq!(distance("wbe", "web"), Some(1));
        assert_eq!(distance("", "abc"), Some(3));
        assert_eq!(distance("kitten", "sitting"), Some(3));
        assert_eq!(distance("straße", "strase"), Some(1));
        assert_eq!(distance(&"x".repeat(65), "x"), None);
    }
}
