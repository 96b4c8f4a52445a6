//! Texts of files as they may be shown: what a Secret holds is covered, byte by byte, so that
//! places keep their meaning.
//!
//! It works on text, not on objects, because the document that is shown is often one that could
//! not be read.

use std::sync::Arc;

/// The lines of a Secret that are shown whole when they stand at the left margin.
const OPEN_FIELDS: [&str; 4] = ["apiVersion", "kind", "metadata", "type"];
/// As above, inside of `metadata`. Annotations may hold a copy of the whole object.
const OPEN_METADATA: [&str; 2] = ["name", "namespace"];

/// `text` with the values of its Secrets covered. Length and line ends stay.
pub(crate) fn secrets(text: &Arc<str>) -> Arc<str> {
    if !text.contains("Secret") {
        return Arc::clone(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut document = String::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with("---") {
            push_document(&mut shown, &document);
            document.clear();
        }
        document.push_str(line);
    }
    push_document(&mut shown, &document);
    shown.into()
}

fn push_document(shown: &mut String, document: &str) {
    if !holds_a_secret(document) {
        shown.push_str(document);
        return;
    }
    let mut in_metadata = false;
    for line in document.split_inclusive('\n') {
        let indented = line.starts_with([' ', '\t', '-']);
        let key = key_of(line);
        let field = key.trim().trim_end_matches(':');
        if !indented {
            in_metadata = field == "metadata";
        }
        let open = if indented {
            in_metadata && OPEN_METADATA.contains(&field)
        } else {
            OPEN_FIELDS.contains(&field) && !line.contains("annotations")
        };
        if open || line.starts_with('#') || line.starts_with("---") {
            shown.push_str(line);
            continue;
        }
        shown.push_str(key);
        let rest = line.strip_prefix(key).unwrap_or_default();
        let body = rest.trim_end_matches(['\r', '\n']);
        for character in body.chars() {
            let cover = if character.is_ascii_whitespace() { character } else { '*' };
            shown.extend(std::iter::repeat_n(cover, character.len_utf8()));
        }
        shown.push_str(rest.strip_prefix(body).unwrap_or_default());
    }
}

/// Whether the document's own kind is Secret, or it has data and speaks of one, as a list may.
fn holds_a_secret(document: &str) -> bool {
    let own_kind = document.split_once("kind").is_some_and(|(_, rest)| {
        rest.trim_start_matches(['"', '\'', ':', ' ', '\t']).starts_with("Secret")
    });
    own_kind
        || (document.contains("Secret")
            && document.replace("metadata", "").to_ascii_lowercase().contains("data"))
}

/// The indent and the key that a line starts with, its colon included; empty without one.
fn key_of(line: &str) -> &str {
    let is_key = |text: &str| {
        let name = text.trim_start_matches([' ', '\t', '-']).trim_matches(['"', '\'']);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
        !name.is_empty() && name.len() <= 253 && name.bytes().all(plain)
    };
    let end = line.match_indices(':').map(|(at, _)| at.saturating_add(1)).find(|end| {
        line.get(*end..).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\r', '\n']))
    });
    let key = end.and_then(|end| line.get(..end)).unwrap_or_default();
    if is_key(key.trim_end_matches(':')) { key } else { "" }
}

#[cfg(test)]
mod tests {
    use super::secrets;

    fn shown(text: &str) -> String {
        let masked = secrets(&text.into());
        assert_eq!(masked.len(), text.len());
        masked.to_string()
    }

    #[test]
    fn what_a_secret_holds_is_covered_and_what_names_it_is_not() {
        let text = "# own\nkind: Secret\nmetadata:\n  name: a\n  annotations:\n    last: {\"x\": 1}\nstringData:\n  tls.key: |\n    äbc\r\n    a: b\n---\nkind: Service\nname: s\n";
        let cover = "# own\nkind: Secret\nmetadata:\n  name: a\n  annotations:\n    last: ***** **\nstringData:\n  tls.key: *\n    ****\r\n    a: *\n---\nkind: Service\nname: s\n";
        assert_eq!(shown(text), cover);
    }

    #[test]
    fn flow_style_and_lists_are_covered_too() {
        assert_eq!(shown("kind: Secret\ndata: {a: b}\n"), "kind: Secret\ndata: *** **\n");
        assert_eq!(shown("{\"kind\": \"Secret\", \"x\": \"y\"}"), "******** ********* **** ****");
        let list = "kind: List\nitems:\n- kind: Secret\n  data: {a: b}\n";
        assert_eq!(shown(list), "kind: List\nitems:\n- kind: ******\n  data: *** **\n");
    }

    #[test]
    fn what_only_refers_to_a_secret_is_shown() {
        let text = "kind: Gateway\nspec:\n  ref: {kind: Secret, name: a}\n";
        assert_eq!(shown(text), text);
    }
}
