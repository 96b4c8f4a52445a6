//! The known name that a misspelt one may have meant.

/// Longer names are not compared: a field name never is that long.
const LONGEST: usize = 64;

/// The closest of `known` to `name`, when it is close enough to be a slip.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let limit = match name.len() {
        0..=3 => 1,
        4..=7 => 2,
        _ => 3,
    };
    known
        .filter(|candidate| candidate.len() <= LONGEST)
        .filter_map(|candidate| {
            let distance = if candidate.eq_ignore_ascii_case(name) {
                0
            } else {
                distance(name.as_bytes(), candidate.as_bytes())
            };
            (distance <= limit).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in bytes.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut diagonal = i;
        let mut before = i.saturating_add(1);
        let mut next = vec![before];
        for (r, above) in right.iter().zip(row.iter().skip(1)) {
            let replaced = diagonal.saturating_add(usize::from(l != r));
            before = replaced.min(above.saturating_add(1)).min(before.saturating_add(1));
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
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
        assert_eq!(near("tsl"), None);
        assert_eq!(near("somethingElse"), None);
    }
}
