//! Edits of a query, parameter by parameter, as a service asks for them.
//!
//! Names and values are compared and written as they are, without decoding, as Envoy does; the order
//! of what stays is kept.

/// Whether a text can stand in a query as it is (RFC 3986 3.4).
pub(super) fn is_writable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?%".contains(&byte))
}

/// Sets parameters, each in the place of the first of its name, else at the end; then removes others.
pub(super) fn edit(query: &str, set: &[(String, String)], remove: &[String]) -> String {
    let mut parts: Vec<(&str, Option<&str>)> = query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value))))
        .collect();
    for (name, value) in set {
        let mut placed = false;
        parts.retain_mut(|part| {
            if part.0 != name {
                return true;
            }
            part.1 = Some(value.as_str());
            !std::mem::replace(&mut placed, true)
        });
        if !placed {
            parts.push((name.as_str(), Some(value.as_str())));
        }
    }
    parts.retain(|(name, _)| !remove.iter().any(|one| one == name));
    let mut text = String::new();
    for (name, value) in parts {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        if let Some(value) = value {
            text.push('=');
            text.push_str(value);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(query: &str, set: &[(&str, &str)], remove: &[&str]) -> String {
        let set: Vec<_> = set.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let remove: Vec<_> = remove.iter().map(|name| (*name).to_owned()).collect();
        edit(query, &set, &remove)
    }

    #[test]
    fn a_parameter_takes_the_place_of_all_of_its_name() {
        assert_eq!(edited("a=1&b=2&a=3&c", &[("a", "x")], &[]), "a=x&b=2&c");
        assert_eq!(edited("a=1", &[("b", ""), ("b", "y")], &[]), "a=1&b=y");
        assert_eq!(edited("", &[("b", "1")], &[]), "b=1");
    }

    #[test]
    fn removed_parameters_are_gone_whatever_was_set_and_case_counts() {
        assert_eq!(edited("a=1&A=2&b&&b=3", &[("c", "4")], &["a", "b", "c"]), "A=2");
        assert_eq!(edited("a=1", &[], &["a"]), "");
        assert_eq!(edited("%61=1", &[], &["a"]), "%61=1", "nothing is decoded");
    }

    #[test]
    fn only_what_a_query_may_hold_is_written() {
        assert!(is_writable("a%20b=c&d/?:@"));
        for bad in ["a b", "a#b", "\u{e4}", "a\r\nb", "\""] {
            assert!(!is_writable(bad), "{bad:?}");
        }
    }
}
