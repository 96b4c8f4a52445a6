//! From parser events to values and spans.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};

use granit_parser::{Event, ScalarStyle, Span, Tag};
use serde_json::{Map, Value};

use super::{
    Document, Problem, ProblemKind, Reading, line_column,
    scalar::{self, ScalarTag},
    span::{Bytes, Children, SpanNode, SpanTree},
};
use crate::limits;

/// A finished node.
#[derive(Clone)]
struct Built {
    value: Value,
    span: SpanNode,
    /// Bytes of text plus a fixed cost for each node: what an alias to it costs.
    cost: usize,
    /// Levels below and including this node.
    depth: usize,
    /// What it would be as a key; the error says why it cannot be one.
    key: Key,
}

#[derive(Clone)]
enum Key {
    Text(String),
    Merge,
    Impossible(String),
}

/// A collection that is not finished yet.
struct Frame {
    start: usize,
    anchor: usize,
    cost: usize,
    /// Levels below this collection.
    depth: usize,
    content: Content,
}

enum Content {
    Sequence { values: Vec<Value>, spans: Vec<SpanNode> },
    Map(MapFrame),
}

#[derive(Default)]
struct MapFrame {
    values: Map<String, Value>,
    /// In the order of `values`.
    spans: Vec<(Box<str>, SpanNode)>,
    /// Keys that only a merge gave so far, with their place in `spans`.
    merged: BTreeMap<String, usize>,
    pending: Option<(Key, Bytes)>,
}

/// Builds the documents of one text.
pub(super) struct Builder<'t> {
    text: &'t str,
    frames: Vec<Frame>,
    root: Option<Built>,
    anchors: HashMap<usize, Built>,
    /// What aliases added so far; see [`limits::MAX_ALIAS_COST`].
    alias_cost: usize,
    problems: Vec<Problem>,
    /// Where the last scalar or bracket ended: block collections end there too.
    last_end: usize,
    /// Set once the document is beyond a bound: the rest of it is not built.
    given_up: bool,
}

impl<'t> Builder<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            frames: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            alias_cost: 0,
            problems: Vec::new(),
            last_end: 0,
            given_up: false,
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser's enum is open, and not ours")]
    pub(super) fn event(&mut self, event: &Event<'_>, bytes: Range<usize>, span: &Span) {
        if self.given_up {
            return;
        }
        // The span of a node starts at its tag, if it has one.
        let start = span.tag_start().and_then(|mark| mark.byte_offset()).unwrap_or(bytes.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.last_end = bytes.end.max(start);
                let node = self.scalar(text, *style, tag.as_deref(), start..bytes.end);
                self.node(node, *anchor);
            }
            Event::Alias(id) => {
                self.last_end = bytes.end;
                self.alias(*id, bytes);
            }
            Event::SequenceStart(_, anchor, _) => {
                self.last_end = bytes.end;
                let content = Content::Sequence { values: Vec::new(), spans: Vec::new() };
                self.open(start, *anchor, content);
            }
            Event::MappingStart(_, anchor, _) => {
                self.last_end = bytes.end;
                self.open(start, *anchor, Content::Map(MapFrame::default()));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                // Block collections end with an empty range at the next token; the brackets of
                // flow collections are one byte long.
                if !bytes.is_empty() {
                    self.last_end = bytes.end;
                }
                self.close();
            }
            _ => {}
        }
    }

    /// Ends a document that the parser refused.
    pub(super) fn fail(&mut self, problem: Problem, reading: &mut Reading) {
        if !self.given_up {
            self.problems.push(problem);
        }
        self.finish(reading);
    }

    /// Ends a document: it joins the reading, or its problems do.
    pub(super) fn finish(&mut self, reading: &mut Reading) {
        let root = self.root.take();
        self.frames.clear();
        self.anchors.clear();
        self.alias_cost = 0;
        self.given_up = false;
        let mut problems = std::mem::take(&mut self.problems);
        if problems.is_empty() {
            let Some(root) = root.filter(|root| !root.value.is_null()) else { return };
            let start_line = line_column(self.text, root.span.value.range().start).0;
            reading.documents.push(Document {
                value: root.value,
                spans: SpanTree::new(root.span),
                start_line,
            });
            return;
        }
        if let Some(more) = problems.len().checked_sub(limits::MAX_PROBLEMS).filter(|n| *n > 0) {
            problems.truncate(limits::MAX_PROBLEMS);
            if let Some(last) = problems.last_mut() {
                last.message.push_str(&format!(" (and {more} more problems in this document)"));
            }
        }
        reading.problems.append(&mut problems);
    }

    fn give_up(&mut self, problem: Problem) {
        self.problems.push(problem.kind(ProblemKind::TooLarge));
        self.given_up = true;
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        bytes: Range<usize>,
    ) -> Built {
        let plain = style == ScalarStyle::Plain;
        let merge = text == "<<" && (plain && tag.is_none() || is_merge_tag(tag));
        let tag = scalar_tag(tag);
        let key = if merge {
            Key::Merge
        } else {
            scalar::key(text, plain, tag).map_or_else(Key::Impossible, Key::Text)
        };
        let in_key_place = self.frames.last().is_some_and(|frame| match &frame.content {
            Content::Map(map) => map.pending.is_none(),
            Content::Sequence { .. } => false,
        });
        let value = if in_key_place {
            Value::Null
        } else {
            scalar::value(text, plain, tag).unwrap_or_else(|message| {
                let problem = Problem::new(bytes.clone(), message);
                self.problems.push(problem.hint("put the value in quotes if it is a string"));
                Value::Null
            })
        };
        Built {
            value,
            span: SpanNode {
                key: None,
                value: Bytes::new(bytes.start, bytes.end),
                children: Children::None,
            },
            cost: text.len().saturating_add(limits::NODE_COST),
            depth: 1,
            key,
        }
    }

    fn alias(&mut self, id: usize, bytes: Range<usize>) {
        let Some(target) = self.anchors.get(&id) else {
            self.give_up(Problem::new(bytes, "an alias stands inside the node that it names"));
            return;
        };
        self.alias_cost = self.alias_cost.saturating_add(target.cost);
        if self.alias_cost > limits::MAX_ALIAS_COST {
            self.give_up(
                Problem::new(bytes, "the aliases of this document expand to too much text")
                    .hint("write the values out instead of using anchors"),
            );
            return;
        }
        let mut node = target.clone();
        node.span.value = Bytes::new(bytes.start, bytes.end);
        self.node(node, 0);
    }

    fn open(&mut self, start: usize, anchor: usize, content: Content) {
        if self.frames.len() >= limits::MAX_DEPTH {
            let problem = Problem::new(start..start, "maps and lists are nested too deeply");
            self.give_up(problem);
            return;
        }
        self.frames.push(Frame { start, anchor, cost: limits::NODE_COST, depth: 0, content });
    }

    fn close(&mut self) {
        let Some(frame) = self.frames.pop() else { return };
        let (value, children) = match frame.content {
            Content::Sequence { values, spans } => {
                (Value::Array(values), Children::Sequence(spans))
            }
            Content::Map(map) => (Value::Object(map.values), Children::Map(map.spans)),
        };
        let span = SpanNode { key: None, value: Bytes::new(frame.start, self.last_end), children };
        let node = Built {
            value,
            span,
            cost: frame.cost,
            depth: frame.depth.saturating_add(1),
            key: Key::Impossible("a key is a list or a map, which JSON has not".to_owned()),
        };
        self.node(node, frame.anchor);
    }

    /// Puts a finished node into its parent.
    fn node(&mut self, node: Built, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        if self.frames.len().saturating_add(node.depth) > limits::MAX_DEPTH {
            let at = node.span.value.range();
            self.give_up(Problem::new(at, "maps and lists are nested too deeply"));
            return;
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return;
        };
        frame.cost = frame.cost.saturating_add(node.cost);
        frame.depth = frame.depth.max(node.depth);
        match &mut frame.content {
            Content::Sequence { values, spans } => {
                values.push(node.value);
                spans.push(node.span);
            }
            Content::Map(map) => match map.pending.take() {
                None => map.pending = Some((node.key, node.span.value)),
                Some((key, at)) => {
                    let result = match key {
                        Key::Text(key) => map.insert(key, at, node),
                        Key::Merge => map.merge(at, node),
                        Key::Impossible(why) => Err(Problem::new(at.range(), why)
                            .hint("put the key in quotes, or the value if it starts with a brace")),
                    };
                    if let Err(problem) = result {
                        self.problems.push(problem);
                    }
                }
            },
        }
    }
}

impl MapFrame {
    fn insert(&mut self, key: String, at: Bytes, node: Built) -> Result<(), Problem> {
        let mut span = node.span;
        span.key = Some(at);
        if let Some(place) = self.merged.remove(&key) {
            if let Some((_, old)) = self.spans.get_mut(place) {
                *old = span;
            }
            self.values.insert(key, node.value);
            return Ok(());
        }
        if self.values.contains_key(&key) {
            return Err(Problem::new(
                at.range(),
                format!("the key `{key}` appears twice in one map"),
            )
            .kind(ProblemKind::DuplicateKey)
            .hint("remove one of the two"));
        }
        self.spans.push((key.as_str().into(), span));
        self.values.insert(key, node.value);
        Ok(())
    }

    /// `<<`: takes the fields of a map, or of several maps of which the first wins.
    fn merge(&mut self, at: Bytes, node: Built) -> Result<(), Problem> {
        let wrong = || {
            Problem::new(
                at.range(),
                "`<<` must be followed by a map, an alias of one, or a list of them",
            )
        };
        match (node.value, node.span.children) {
            (Value::Object(values), Children::Map(spans)) => self.merge_map(at, values, spans),
            (Value::Array(values), Children::Sequence(spans)) => {
                for (value, span) in values.into_iter().zip(spans).rev() {
                    let (Value::Object(values), Children::Map(spans)) = (value, span.children)
                    else {
                        return Err(wrong());
                    };
                    self.merge_map(at, values, spans)?;
                }
                Ok(())
            }
            _ => Err(wrong()),
        }
    }

    fn merge_map(
        &mut self,
        at: Bytes,
        values: Map<String, Value>,
        spans: Vec<(Box<str>, SpanNode)>,
    ) -> Result<(), Problem> {
        for ((key, value), (name, span)) in values.into_iter().zip(spans) {
            if let Some(place) = self.merged.get(&key) {
                if let Some((_, old)) = self.spans.get_mut(*place) {
                    *old = span;
                }
                self.values.insert(key, value);
            } else if let Some(written) = self.values.get(&key) {
                // kubectl would take the merged value here, YAML says the written one.
                if *written != value {
                    return Err(Problem::new(
                        at.range(),
                        format!("`<<` would replace the key `{key}` that is written above it"),
                    )
                    .hint("write `<<` as the first key of its map"));
                }
            } else {
                self.merged.insert(key.clone(), self.spans.len());
                self.spans.push((name, span));
                self.values.insert(key, value);
            }
        }
        Ok(())
    }
}

const YAML_TAGS: &str = "tag:yaml.org,2002:";

fn is_merge_tag(tag: Option<&Tag>) -> bool {
    tag.is_some_and(|tag| tag.suffix_in_namespace(YAML_TAGS).as_deref() == Some("merge"))
}

fn scalar_tag(tag: Option<&Tag>) -> ScalarTag {
    let Some(tag) = tag else { return ScalarTag::None };
    match tag.suffix_in_namespace(YAML_TAGS).as_deref() {
        Some("str") => ScalarTag::Str,
        Some("bool") => ScalarTag::Bool,
        Some("int") => ScalarTag::Int,
        Some("float") => ScalarTag::Float,
        Some("null") => ScalarTag::Null,
        Some("timestamp") => ScalarTag::Timestamp,
        Some("binary") => ScalarTag::Binary,
        Some(_) | None => ScalarTag::Other,
    }
}
