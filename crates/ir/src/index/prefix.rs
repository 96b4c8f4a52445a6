//! Path prefixes by segment: a tree whose edges are one hash map.

use std::hash::{Hash, Hasher};

use hashbrown::Equivalent;

use super::{HashMap, path::Span};

const ROOT: u32 = 0;

/// Spans of slots by prefix. One hash per segment that some prefix shares with the path.
#[derive(Debug, Default)]
pub(crate) struct PrefixTree {
    nodes: Vec<Node>,
    edges: HashMap<Edge, u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    span: Option<Span>,
    /// The nearest node above with a span.
    shorter: Option<u32>,
}

#[derive(Debug, PartialEq, Eq)]
struct Edge {
    from: u32,
    segment: Box<str>,
}

struct EdgeRef<'a> {
    from: u32,
    segment: &'a str,
}

impl Hash for Edge {
    fn hash<H: Hasher>(&self, state: &mut H) {
        EdgeRef { from: self.from, segment: &self.segment }.hash(state);
    }
}

impl Hash for EdgeRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(self.from);
        state.write(self.segment.as_bytes());
    }
}

impl Equivalent<Edge> for EdgeRef<'_> {
    fn equivalent(&self, edge: &Edge) -> bool {
        self.from == edge.from && *self.segment == *edge.segment
    }
}

impl PrefixTree {
    /// `prefix` starts with a slash or is empty.
    pub(crate) fn insert(&mut self, prefix: &str, span: Span) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut node = ROOT;
        for segment in prefix.split('/').skip(1) {
            let known = self.edges.get(&EdgeRef { from: node, segment }).copied();
            node = known.unwrap_or_else(|| {
                let new = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
                self.nodes.push(Node::default());
                self.edges.insert(Edge { from: node, segment: segment.into() }, new);
                new
            });
        }
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.span = Some(span);
        }
    }

    /// Sets the way back from each node. Call it once, after the last insert.
    pub(crate) fn finish(&mut self, prefixes: impl Iterator<Item = impl AsRef<str>>) {
        for prefix in prefixes {
            let mut node = ROOT;
            for segment in prefix.as_ref().split('/').skip(1) {
                let above = self.nodes.get(node as usize).copied().unwrap_or_default();
                let shorter = if above.span.is_some() { Some(node) } else { above.shorter };
                let Some(below) = self.edges.get(&EdgeRef { from: node, segment }) else { break };
                node = *below;
                if let Some(node) = self.nodes.get_mut(node as usize) {
                    node.shorter = shorter;
                }
            }
        }
    }

    /// The spans of all prefixes of the path, longest first.
    pub(crate) fn each(&self, path: &str) -> impl Iterator<Item = Span> {
        let mut next = self.deepest(path);
        std::iter::from_fn(move || {
            loop {
                let node = self.nodes.get(next? as usize)?;
                next = node.shorter;
                if node.span.is_some() {
                    return node.span;
                }
            }
        })
    }

    fn deepest(&self, path: &str) -> Option<u32> {
        if self.nodes.is_empty() {
            return None;
        }
        let mut node = ROOT;
        if !self.edges.is_empty() {
            for segment in path.split('/').skip(1) {
                match self.edges.get(&EdgeRef { from: node, segment }) {
                    Some(below) => node = *below,
                    None => break,
                }
            }
        }
        Some(node)
    }
}
