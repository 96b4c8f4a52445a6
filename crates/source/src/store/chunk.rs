//! The objects of one piece of a file, known by its bytes.

use serde_json::Value;

use super::admit::{self, Item};
use crate::yaml::{self, Problem, SpanTree};

/// What one piece of a file holds: as a rule one document.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The documents' objects in order, each with the index of its document.
    pub(super) items: Vec<(usize, Item)>,
    pub(super) problems: Vec<Problem>,
}

impl Chunk {
    pub(super) fn read(text: &str, first: bool) -> Self {
        let reading = yaml::read_chunk(text, first);
        let mut items = Vec::new();
        for (index, document) in reading.documents.into_iter().enumerate() {
            for item in objects(document.value, &document.spans, text) {
                items.push((index, item));
            }
        }
        Self { items, problems: reading.problems }
    }
}

/// A document is one object, or a list of them.
fn objects(mut value: Value, spans: &SpanTree, text: &str) -> Vec<Item> {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or("").to_owned();
    let api_version = value.get("apiVersion").cloned();
    let of = kind.strip_suffix("List");
    let listed = of.and_then(|_| value.get_mut("items")).and_then(Value::as_array_mut);
    let (Some(of), Some(listed)) = (of, listed.map(std::mem::take)) else {
        return vec![admit::admit(value, String::new(), spans, text)];
    };
    let objects = listed.into_iter().enumerate().map(|(index, mut object)| {
        // The items of a typed list need not repeat what the list says.
        if let Some(fields) = object.as_object_mut()
            && !of.is_empty()
        {
            fields.entry("kind").or_insert_with(|| of.into());
            if let Some(api_version) = &api_version {
                fields.entry("apiVersion").or_insert_with(|| api_version.clone());
            }
        }
        admit::admit(object, format!("items[{index}]"), spans, text)
    });
    objects.collect()
}
