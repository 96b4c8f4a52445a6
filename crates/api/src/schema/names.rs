//! The names of Kubernetes: what makes one valid, and how the API server says that it is not.
//! Sources: RFC 1123, RFC 1035, and the label syntax of the Kubernetes API conventions.

/// What is wrong with a DNS-1123 subdomain.
pub(super) fn dns1123_subdomain(name: &str) -> Vec<String> {
    subdomain(name, "characters")
}

/// The API server counts in characters for names and in bytes for the prefixes of keys.
fn subdomain(name: &str, unit: &str) -> Vec<String> {
    let mut errors = too_long(name, 253, unit);
    if !is_subdomain(name) {
        errors.push(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
             and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
             validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                .to_owned(),
        );
    }
    errors
}

/// What is wrong with a DNS-1123 label.
pub(super) fn dns1123_label(name: &str) -> Vec<String> {
    let mut errors = too_long(name, 63, "characters");
    if !is_label(name) {
        errors.push(if is_subdomain(name) {
            "must not contain dots".to_owned()
        } else {
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
             start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for \
             validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
                .to_owned()
        });
    }
    errors
}

/// What is wrong with a label or annotation key: an optional subdomain and a slash, then a name.
pub(super) fn qualified_name(name: &str) -> Vec<String> {
    const PART: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
        an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
        '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    let mut errors = Vec::new();
    let mut parts = name.split('/');
    let part = match (parts.next(), parts.next(), parts.next()) {
        (Some(part), None, _) => part,
        (Some(""), Some(part), None) => {
            errors.push("prefix part must be non-empty".to_owned());
            part
        }
        (Some(prefix), Some(part), None) => {
            errors.extend(
                subdomain(prefix, "bytes").iter().map(|error| format!("prefix part {error}")),
            );
            part
        }
        _ => {
            return vec![format!(
                "a valid label key {PART} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if part.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    }
    errors.extend(too_long(part, 63, "bytes").iter().map(|error| format!("name part {error}")));
    if !is_label_text(part) {
        errors.push(format!("name part {PART}"));
    }
    errors
}

/// What is wrong with a label's value.
pub(super) fn label_value(value: &str) -> Vec<String> {
    let mut errors = too_long(value, 63, "bytes");
    if !value.is_empty() && !is_label_text(value) {
        errors.push(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
             must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', \
             regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .to_owned(),
        );
    }
    errors
}

fn too_long(name: &str, most: usize, unit: &str) -> Vec<String> {
    if name.len() > most { vec![format!("must be no more than {most} {unit}")] } else { Vec::new() }
}

fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    ends_and_middle(name, inner, |byte| inner(byte) || byte == b'-')
}

fn is_subdomain(name: &str) -> bool {
    name.split('.').all(is_label)
}

fn is_label_text(text: &str) -> bool {
    let end = |byte: u8| byte.is_ascii_alphanumeric();
    ends_and_middle(text, end, |byte| end(byte) || matches!(byte, b'-' | b'_' | b'.'))
}

fn ends_and_middle(text: &str, end: impl Fn(u8) -> bool, middle: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            end(*first) && end(*last) && bytes.iter().all(|byte| middle(*byte))
        }
        _ => false,
    }
}
