//! What filters change of a head: never the head itself.

use std::sync::Arc;

use crate::{FieldName, FieldValue};

/// Edits that a serialiser applies once, when it writes the head.
///
/// Fields of the connection ([`FieldName::is_of_connection`]) are not edited: the serialiser alone
/// writes them, and translation refuses filters that name them.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    host: Option<Arc<str>>,
    path: Option<String>,
    query: Option<String>,
    dropped: Vec<Name>,
    lines: Vec<(Name, Value)>,
}

/// From a filter, or one of our own.
#[derive(Clone, Debug)]
enum Name {
    Own(&'static str),
    Shared(FieldName),
}

#[derive(Clone, Debug)]
enum Value {
    Own(String),
    Shared(FieldValue),
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

    /// The query to send instead of the request's; an empty one is none.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The query to send, where the request's is `own`: as text, or as bytes.
    pub fn query_over<'a, T: ?Sized>(&'a self, own: Option<&'a T>) -> Option<&'a T>
    where
        str: AsRef<T>,
    {
        match &self.query {
            Some(query) => (!query.is_empty()).then(|| query.as_str().as_ref()),
            None => own,
        }
    }

    pub fn set_host(&mut self, host: Arc<str>) {
        self.host = Some(host);
    }

    pub fn set_path(&mut self, path: String) {
        self.path = Some(path);
    }

    pub fn set_query(&mut self, query: String) {
        self.query = Some(query);
    }

    /// Replaces every line of the field. `Host` is a hostname rewrite.
    pub fn set(&mut self, name: &FieldName, value: &FieldValue) {
        if !self.takes_host(name, value) && !name.is_of_connection() {
            self.forget(Name::Shared(name.clone()));
            self.lines.push((Name::Shared(name.clone()), Value::Shared(value.clone())));
        }
    }

    /// Adds a line. `Host` is a hostname rewrite, because a request has one host.
    pub fn add(&mut self, name: &FieldName, value: &FieldValue) {
        if !self.takes_host(name, value) && !name.is_of_connection() {
            self.lines.push((Name::Shared(name.clone()), Value::Shared(value.clone())));
        }
    }

    /// Removes every line of the field, those added before included. `Host` stays: no request is
    /// without one.
    pub fn remove(&mut self, name: &FieldName) {
        if !name.matches(b"host") && !name.is_of_connection() {
            self.forget(Name::Shared(name.clone()));
        }
    }

    /// Whether the lines of the original head with this name are written.
    pub fn keeps(&self, name: &[u8]) -> bool {
        !self.dropped.iter().any(|dropped| dropped.matches(name))
    }

    /// Lines to write after those of the original head, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.lines.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    /// Whether some filter set, added or removed the field.
    pub fn touches(&self, name: &[u8]) -> bool {
        !self.keeps(name) || self.lines.iter().any(|(line, _)| line.matches(name))
    }

    pub fn is_empty(&self) -> bool {
        self.host.is_none()
            && self.path.is_none()
            && self.query.is_none()
            && self.dropped.is_empty()
            && self.lines.is_empty()
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.host = None;
        self.path = None;
        self.query = None;
        self.dropped.clear();
        self.lines.clear();
    }

    pub(crate) fn add_own(&mut self, name: &'static str, value: String) {
        self.lines.push((Name::Own(name), Value::Own(value)));
    }

    pub(crate) fn remove_own(&mut self, name: &'static str) {
        self.forget(Name::Own(name));
    }

    fn forget(&mut self, name: Name) {
        self.lines.retain(|(line, _)| !line.matches(name.as_str().as_bytes()));
        if self.keeps(name.as_str().as_bytes()) {
            self.dropped.push(name);
        }
    }

    fn takes_host(&mut self, name: &FieldName, value: &FieldValue) -> bool {
        let is_host = name.matches(b"host");
        if is_host {
            self.host = Some(value.shared());
        }
        is_host
    }
}

impl Name {
    fn as_str(&self) -> &str {
        match self {
            Self::Own(name) => name,
            Self::Shared(name) => name.as_str(),
        }
    }

    fn matches(&self, name: &[u8]) -> bool {
        self.as_str().as_bytes().eq_ignore_ascii_case(name)
    }
}

impl Value {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Own(value) => value.as_bytes(),
            Self::Shared(value) => value.as_str().as_bytes(),
        }
    }
}
