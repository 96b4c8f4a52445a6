//! Where each field of a document stands in the text.

use std::ops::Range;

/// Byte range inside a document. Documents are far shorter than 4 GiB (see `limits`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Bytes {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Bytes {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end.max(start)) }
    }

    pub(crate) fn range(self) -> Range<usize> {
        let wide = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        wide(self.start)..wide(self.end)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SpanNode {
    pub(crate) key: Option<Bytes>,
    pub(crate) value: Bytes,
    pub(crate) children: Children,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Children {
    None,
    Map(Vec<(Box<str>, SpanNode)>),
    Sequence(Vec<SpanNode>),
}

impl SpanNode {
    fn shift(&mut self, by: u32) {
        let shift = |bytes: Bytes| Bytes {
            start: bytes.start.saturating_add(by),
            end: bytes.end.saturating_add(by),
        };
        self.key = self.key.map(shift);
        self.value = shift(self.value);
        match &mut self.children {
            Children::None => {}
            Children::Map(fields) => fields.iter_mut().for_each(|(_, child)| child.shift(by)),
            Children::Sequence(items) => items.iter_mut().for_each(|child| child.shift(by)),
        }
    }
}

/// The key and value ranges of every field of one document, in bytes from the document's start.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanTree {
    root: SpanNode,
}

/// Where a field path led.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldSpan {
    /// The key in its map; absent for items of a sequence and for the document itself.
    pub key: Option<Range<usize>>,
    pub value: Range<usize>,
    /// The path of the node that was found: the one asked for, or its nearest existing parent.
    pub path: String,
    /// Whether the field itself exists in the text.
    pub exact: bool,
}

impl FieldSpan {
    /// What to underline: the value if the field exists and its value is on one line, else the
    /// key, else the first line of the value.
    pub fn highlight(&self, text: &str) -> Range<usize> {
        let value = text.get(self.value.clone()).unwrap_or("");
        let one_line = !value.contains('\n');
        match &self.key {
            Some(key) if !self.exact || !one_line || value.is_empty() => key.clone(),
            Some(_) | None => {
                let length = value.lines().next().map_or(0, str::len);
                self.value.start..self.value.start.saturating_add(length)
            }
        }
    }
}

impl SpanTree {
    pub(crate) fn new(root: SpanNode) -> Self {
        Self { root }
    }

    /// Makes room for `by` more bytes before the text.
    pub(crate) fn shift(&mut self, by: usize) {
        if by > 0 {
            self.root.shift(u32::try_from(by).unwrap_or(u32::MAX));
        }
    }

    /// The range of the whole document's value.
    pub fn range(&self) -> Range<usize> {
        self.root.value.range()
    }

    /// Finds a field such as `spec.rules[0].backendRefs[1].name`.
    ///
    /// Keys that hold dots may be written plainly (`metadata.labels.kubernetes.io/x`) or in
    /// brackets (`metadata.labels[kubernetes.io/x]`). A path that leads nowhere gives its nearest
    /// existing parent.
    pub fn find(&self, path: &str) -> FieldSpan {
        let mut node = &self.root;
        let mut rest = path;
        loop {
            rest = rest.strip_prefix('.').unwrap_or(rest);
            if rest.is_empty() {
                break;
            }
            let Some((child, tail)) = step(node, rest) else { break };
            node = child;
            rest = tail;
        }
        let done = path.len().saturating_sub(rest.len());
        let found = path.get(..done).unwrap_or("").trim_end_matches('.');
        FieldSpan {
            key: node.key.map(Bytes::range),
            value: node.value.range(),
            path: found.to_owned(),
            exact: rest.is_empty(),
        }
    }

    /// The path of the innermost field whose key or value holds this byte.
    pub fn path_at(&self, offset: usize) -> String {
        let mut path = String::new();
        let mut node = &self.root;
        loop {
            let holds = |n: &SpanNode| {
                let start = n.key.map_or(n.value.start, |key| key.start);
                (Bytes { start, end: n.value.end }).range().contains(&offset)
            };
            let next = match &node.children {
                Children::None => None,
                Children::Map(fields) => fields.iter().find(|(_, n)| holds(n)).map(|(key, n)| {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                    n
                }),
                Children::Sequence(items) => {
                    items.iter().enumerate().find(|(_, n)| holds(n)).map(|(index, n)| {
                        path.push_str(&format!("[{index}]"));
                        n
                    })
                }
            };
            match next {
                Some(child) => node = child,
                None => return path,
            }
        }
    }
}

/// One step down. Returns the child and what is left of the path.
fn step<'t, 'p>(node: &'t SpanNode, path: &'p str) -> Option<(&'t SpanNode, &'p str)> {
    match &node.children {
        Children::None => None,
        Children::Sequence(items) => {
            let (index, rest) = path.strip_prefix('[')?.split_once(']')?;
            let index: usize = index.parse().ok()?;
            items.get(index).map(|item| (item, rest))
        }
        Children::Map(fields) => {
            if let Some(inner) = path.strip_prefix('[') {
                let (key, rest) = inner.split_once(']')?;
                let key = key.trim_matches(['"', '\'']);
                return fields
                    .iter()
                    .find(|(name, _)| **name == *key)
                    .map(|(_, child)| (child, rest));
            }
            // The longest key wins, so that keys with dots are found.
            fields
                .iter()
                .filter_map(|(name, child)| {
                    let rest = path.strip_prefix(&**name)?;
                    let whole = rest.is_empty() || rest.starts_with(['.', '[']);
                    (whole && !name.is_empty()).then_some((name.len(), child, rest))
                })
                .max_by_key(|(length, ..)| *length)
                .map(|(_, child, rest)| (child, rest))
        }
    }
}

/// Line and column (both from 1; the column counts characters) of a byte offset.
///
/// It reads the text from its start: for many offsets in one text use [`LineIndex`].
pub fn line_column(text: &str, offset: usize) -> (usize, usize) {
    LineIndex::new(text).line_column(text, offset)
}

/// Where the lines of a text start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineIndex {
    /// Byte offsets, the first line's included.
    starts: Vec<usize>,
}

impl LineIndex {
    pub fn new(text: &str) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = after.map(|(at, _)| at.saturating_add(1));
        Self { starts: std::iter::once(0).chain(starts).collect() }
    }

    /// Line and column (both from 1; the column counts characters) of a byte offset of `text`,
    /// the text that the index was made of.
    pub fn line_column(&self, text: &str, offset: usize) -> (usize, usize) {
        let mut at = offset.min(text.len());
        while !text.is_char_boundary(at) {
            at = at.saturating_sub(1);
        }
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = text.get(start..at).map_or(0, |before| before.chars().count());
        (line, column.saturating_add(1))
    }
}
