//! Where a decision came from.

use std::{fmt, sync::Arc};

use crate::object::ObjectRef;

/// The object and the field in it that caused an entity.
///
/// `field` is a path such as `spec.rules[0].backendRefs[1]`, empty for the object as a whole.
/// File and line are not part of it: whoever read the file keeps them, so that a line inserted
/// above an object changes no entity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    pub object: Arc<ObjectRef>,
    pub field: Arc<str>,
}

impl Origin {
    pub fn new(object: Arc<ObjectRef>, field: impl Into<Arc<str>>) -> Self {
        Self { object, field: field.into() }
    }

    /// A field below this one: `at("spec").child("rules[0]")` is `spec.rules[0]`.
    pub fn child(&self, field: &str) -> Self {
        let joined = if self.field.is_empty() {
            field.to_owned()
        } else if field.starts_with('[') {
            format!("{}{field}", self.field)
        } else {
            format!("{}.{field}", self.field)
        };
        Self { object: Arc::clone(&self.object), field: joined.into() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(f, "{}", self.object)
        } else {
            write!(f, "{} {}", self.object, self.field)
        }
    }
}
