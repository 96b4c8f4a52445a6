//! What holds for any text that is read as YAML; shared with the fuzz target.

use serde_json::Value;
use source::yaml::{self, Document};

/// Reads `data` as a file. Panics when something that always holds does not.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let reading = yaml::read(&text);
    for problem in &reading.problems {
        assert!(text.get(problem.span.clone()).is_some(), "{problem:?}");
    }
    for document in &reading.documents {
        fields(document, &text);
    }
    for comment in yaml::comments(&text) {
        assert!(text[comment.span].starts_with('#'));
    }
    assert_eq!(yaml::read(&text), reading, "reading twice gives the same");
}

/// Every field has a place inside the text.
fn fields(document: &Document, text: &str) {
    let mut left = vec![(&document.value, String::new())];
    while let Some((value, path)) = left.pop() {
        let found = document.spans.find(&path);
        assert!(text.get(found.value.clone()).is_some(), "{path}");
        assert!(text.get(found.highlight(text)).is_some(), "{path}");
        assert!(found.key.is_none_or(|key| text.get(key).is_some()), "{path}");
        match value {
            Value::Array(items) => {
                let items = items.iter().enumerate();
                left.extend(items.map(|(index, item)| (item, format!("{path}[{index}]"))));
            }
            Value::Object(entries) => {
                let entries = entries.iter();
                left.extend(entries.map(|(key, item)| (item, format!("{path}[{key}]"))));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
