//! What is wrong with a field, in the API server's words.

use std::fmt;

/// The kind of a violation: the API server's field error types, with CEL rules, unknown fields
/// and the like told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ViolationKind {
    /// A field that must be there is not.
    Required,
    /// A value of another JSON type, or text that is not of the field's format.
    TypeInvalid,
    /// A value that breaks a bound, a pattern or a check.
    Invalid,
    /// Text that is too long.
    TooLong,
    /// A list or map with too many entries.
    TooMany,
    /// A value that the field's enum does not list.
    NotSupported,
    /// An entry of a list that must not occur twice.
    Duplicate,
    /// A field that must not be set here.
    Forbidden,
    /// A CEL rule that did not hold.
    Rule,
    /// A field that the schema does not know; the API server drops it, kubectl refuses it.
    UnknownField,
    /// The CEL rules were not evaluated, because of the errors before.
    RulesSkipped,
    /// The object's version is deprecated.
    Deprecated,
}

impl ViolationKind {
    /// Whether an error of this kind keeps the API server from evaluating CEL rules.
    pub(super) fn blocks_rules(self) -> bool {
        match self {
            Self::Required
            | Self::TypeInvalid
            | Self::TooLong
            | Self::TooMany
            | Self::NotSupported => true,
            Self::Invalid
            | Self::Duplicate
            | Self::Forbidden
            | Self::Rule
            | Self::UnknownField
            | Self::RulesSkipped
            | Self::Deprecated => false,
        }
    }

    /// The API server's name of this type of error.
    fn label(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::TypeInvalid | Self::Invalid | Self::Rule | Self::RulesSkipped => "Invalid value",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::UnknownField => "Unknown field",
            Self::Deprecated => "Deprecated",
        }
    }
}

/// One error or warning about one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field, such as `spec.rules[0].filters`. Empty for the object as a whole.
    pub path: String,
    /// What kind of error it is.
    pub kind: ViolationKind,
    /// The API server's text after the field, such as
    /// `Unsupported value: "X": supported values: "A", "B"`.
    pub message: String,
    /// The end of `message`: what is wrong, without the kind and the value. May be empty.
    pub detail: String,
    /// The value as the message shows it.
    pub value: Option<String>,
    /// The known name that an unknown field may have meant.
    pub hint: Option<String>,
}

impl Violation {
    /// `value` is printed as it is: quote it before.
    pub(super) fn new(
        path: &str,
        kind: ViolationKind,
        value: Option<String>,
        detail: impl Into<String>,
    ) -> Self {
        let detail = detail.into();
        let mut message = kind.label().to_owned();
        for part in value.iter().chain(Some(&detail).filter(|detail| !detail.is_empty())) {
            message.push_str(": ");
            message.push_str(part);
        }
        Self { path: path.to_owned(), kind, message, detail, value, hint: None }
    }

    /// A note whose text stands alone, without the kind before it.
    pub(super) fn note(path: &str, kind: ViolationKind, text: String) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            detail: text.clone(),
            message: text,
            value: None,
            hint: None,
        }
    }
}

impl fmt::Display for Violation {
    /// The line that the API server prints for this error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = matches!(self.kind, ViolationKind::UnknownField | ViolationKind::Deprecated);
        if whole {
            f.write_str(&self.message)
        } else if self.path.is_empty() {
            write!(f, "<nil>: {}", self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}
