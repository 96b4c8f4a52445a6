//! Names of what is generated: the same for the same Gateway, whatever its length.

use std::fmt::Write as _;
use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};
use translate::{AddressRequest, Reach};

/// Names of Services and values of labels (RFC 1035, Kubernetes).
const LABEL_MAX: usize = 63;

/// The name of what belongs to a Gateway leaves room for what tells its Services apart.
const BASE_MAX: usize = 52;

/// Hexadecimal digits that stand for what did not fit.
const HASH_LENGTH: usize = 8;

/// `<gateway>-<class>` (GEP-1762), as a DNS label: with a hash at its end when that is too long
/// or has characters that the name of a Service may not have.
pub fn base_name(gateway: &str, class: &str) -> String {
    let whole = format!("{gateway}-{class}");
    let starts_well = whole.starts_with(|first: char| first.is_ascii_lowercase());
    let fits = whole.len() <= BASE_MAX
        && starts_well
        && whole.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if fits {
        return whole;
    }
    let mut cleaned: String = if starts_well { String::new() } else { "gw-".to_owned() };
    cleaned.extend(whole.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }));
    cleaned.truncate(BASE_MAX - HASH_LENGTH - 1);
    format!("{}-{}", cleaned.trim_end_matches('-'), hash(&[gateway, class]))
}

/// The value of a label that names an object: the name, or its beginning and a hash.
pub fn label_value(name: &str) -> String {
    if name.len() <= LABEL_MAX {
        return name.to_owned();
    }
    let head: String = name.chars().take(LABEL_MAX - HASH_LENGTH - 1).collect();
    format!("{}-{}", head.trim_end_matches(['-', '.', '_']), hash(&[name]))
}

/// The name, as a DNS label, of what is made once for the object that has this UID.
pub fn owned_name(object: &str, uid: &str) -> String {
    let mut name: String =
        if object.starts_with(|c: char| c.is_ascii_lowercase()) { "" } else { "x-" }.to_owned();
    name.extend(object.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }));
    name.truncate(LABEL_MAX - HASH_LENGTH - 1);
    format!("{}-{}", name.trim_end_matches('-'), hash(&[uid]))
}

/// The name of the Service for one request. It does not depend on the other requests, so that
/// an address that comes or goes moves no other. `nth` counts requests that are equal.
pub fn service_name(base: &str, request: &AddressRequest, nth: usize) -> String {
    let plain = request.value.is_none() && request.reach == Reach::Default;
    if plain && nth == 0 {
        return base.to_owned();
    }
    let value = request.value.as_ref().map(IpAddr::to_string).unwrap_or_default();
    let reach = request.reach.routability().unwrap_or_default();
    format!("{base}-{}", hash(&[&value, reach, &nth.to_string()]))
}

fn hash(parts: &[&str]) -> String {
    let digest = digest(&SHA256, parts.join("\n").as_bytes());
    let mut text = String::new();
    for byte in digest.as_ref().iter().take(HASH_LENGTH / 2) {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{BASE_MAX, LABEL_MAX, base_name, label_value};

    #[test]
    fn short_names_are_as_the_api_asks() {
        assert_eq!(base_name("edge", "portcullis"), "edge-portcullis");
        assert_eq!(label_value("edge"), "edge");
    }

    #[test]
    fn long_and_odd_names_become_labels_that_differ() {
        let long = "x".repeat(253);
        let other = format!("{}y", "x".repeat(252));
        for (a, b) in [(long.as_str(), other.as_str()), ("a.b", "a-b"), ("1a", "gw-1a")] {
            let (first, second) = (base_name(a, "c"), base_name(b, "c"));
            assert_ne!(first, second);
            for name in [first, second] {
                assert!(name.len() <= BASE_MAX, "{name}");
                assert!(name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
                assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{name}");
            }
        }
        assert_ne!(label_value(&long), label_value(&other));
        assert!(label_value(&long).len() <= LABEL_MAX);
    }
}
