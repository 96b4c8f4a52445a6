//! Reads the YAML of CRD files into JSON values. Only what such files use: no aliases, no tags.

use anyhow::{Context as _, bail};
use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// Every document of a YAML stream.
pub(crate) fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let mut documents = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for next in Parser::new_from_str(text) {
        let (event, _) = next.map_err(|error| anyhow::anyhow!("{error}"))?;
        let node = match event {
            Event::Scalar(value, style, _, tag) => {
                if tag.is_some() {
                    bail!("a CRD file with a YAML tag");
                }
                scalar(&value, style)
            }
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Object(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                open.pop().context("unbalanced YAML")?.close()?
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => bail!("a CRD file with a YAML alias"),
            Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(..)
            | Event::DocumentEnd
            | Event::Anchor(..)
            | Event::Comment(..)
            | _ => continue,
        };
        match open.last_mut() {
            Some(parent) => parent.push(node)?,
            None => documents.push(node),
        }
    }
    Ok(documents)
}

/// A collection whose end was not seen yet; a mapping also holds the key that waits for its value.
enum Open {
    List(Vec<Value>),
    Object(Map<String, Value>, Option<String>),
}

impl Open {
    fn push(&mut self, node: Value) -> anyhow::Result<()> {
        match self {
            Self::List(items) => items.push(node),
            Self::Object(map, key) => match key.take() {
                Some(name) => {
                    map.insert(name, node);
                }
                None => *key = Some(key_text(&node)?),
            },
        }
        Ok(())
    }

    fn close(self) -> anyhow::Result<Value> {
        match self {
            Self::List(items) => Ok(Value::Array(items)),
            Self::Object(map, None) => Ok(Value::Object(map)),
            Self::Object(_, Some(key)) => bail!("no value for the key {key}"),
        }
    }
}

fn key_text(node: &Value) -> anyhow::Result<String> {
    match node {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(value) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            bail!("a mapping key that is no scalar")
        }
    }
}

fn scalar(value: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(value.to_owned());
    }
    match value {
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        "" | "null" | "~" => return Value::Null,
        _ => {}
    }
    if let Ok(number) = value.parse::<i64>() {
        return Value::from(number);
    }
    let numeric = value.starts_with(|first: char| first.is_ascii_digit() || first == '-');
    match value.parse::<f64>() {
        Ok(number) if numeric => Value::from(number),
        Ok(_) | Err(_) => Value::String(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_keep_their_kind_and_text_keeps_its_lines() {
        let text = "a: 1\nb: 'x: y'\nc: [true, null, \"1\"]\nd: |-\n  one\n  two\n---\ne: 1.5\n";
        assert_eq!(
            documents(text).unwrap(),
            [
                json!({"a": 1, "b": "x: y", "c": [true, null, "1"], "d": "one\ntwo"}),
                json!({"e": 1.5}),
            ]
        );
    }

    #[test]
    fn aliases_are_refused() {
        assert!(documents("a: &x 1\nb: *x\n").is_err());
    }
}
