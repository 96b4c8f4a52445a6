//! The JSON shape that our types read, as data: compared with the CRD schemas so that neither
//! side can gain or lose a field unnoticed.

use std::collections::BTreeSet;

/// What JSON a type reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Any value, handed on as it is.
    Any,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number or a string, such as a Service's `targetPort`.
    IntegerOrString,
    /// A list of one shape.
    List(Box<Shape>),
    /// An object with free keys.
    Map(Box<Shape>),
    /// An object with these properties, in the order of the Rust type.
    Object(Vec<(&'static str, Shape)>),
    /// Any text, enum values included.
    String,
}

impl Shape {
    /// Every property below this shape, such as `spec.rules[].matches[].path.type`.
    /// Map values are written as `{}`.
    #[must_use]
    pub fn paths(&self) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        self.collect("", &mut paths);
        paths
    }

    fn collect(&self, prefix: &str, paths: &mut BTreeSet<String>) {
        match self {
            Self::Any | Self::Boolean | Self::Integer | Self::IntegerOrString | Self::String => {}
            Self::List(element) => element.collect(&format!("{prefix}[]"), paths),
            Self::Map(value) => value.collect(&format!("{prefix}{{}}"), paths),
            Self::Object(properties) => {
                for (name, shape) in properties {
                    let path = if prefix.is_empty() {
                        (*name).to_owned()
                    } else {
                        format!("{prefix}.{name}")
                    };
                    shape.collect(&path, paths);
                    paths.insert(path);
                }
            }
        }
    }
}
