//! Findings: the one explanation that lint, explain, status and events print.

use std::{fmt, sync::Arc};

use ir::{ObjectRef, Origin};

use crate::code::{Code, Severity};

/// One finding about one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub code: Code,
    /// The object and field at fault. When the finding shows in a status, it is that of
    /// `origin.object`, at `target`.
    pub origin: Origin,
    pub target: Target,
    /// One sentence in lower case without a full stop; names object and field and what to do.
    pub message: String,
    /// Other places that matter, each with the reason.
    pub related: Vec<(Origin, String)>,
    /// What it does to traffic, such as "this share answers 500".
    pub effect: Option<String>,
    /// A likely remedy, such as the nearest name.
    pub hint: Option<String>,
}

/// Which part of the status of the origin's object shows the finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// None: the finding is for lint and explain.
    Nothing,
    Class,
    Gateway,
    ListenerSet,
    /// A listener of the origin's object, by name.
    Listener(Arc<str>),
    /// Every parent of the route that is ours.
    Route,
    /// The parent with this position in `spec.parentRefs`.
    RouteParent(usize),
    /// Every ancestor of the policy that is ours.
    Policy,
    /// One ancestor (a Gateway) of the policy.
    PolicyAncestor(Arc<ObjectRef>),
}

impl Diagnostic {
    pub fn new(code: Code, origin: Origin, target: Target, message: impl Into<String>) -> Self {
        Self {
            code,
            origin,
            target,
            message: message.into(),
            related: Vec::new(),
            effect: None,
            hint: None,
        }
    }

    #[must_use]
    pub fn with_effect(mut self, effect: impl Into<String>) -> Self {
        self.effect = Some(effect.into());
        self
    }

    #[must_use]
    pub fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    #[must_use]
    pub fn with_related(mut self, origin: Origin, why: impl Into<String>) -> Self {
        self.related.push((origin, why.into()));
        self
    }

    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// The message with hint and effect, as a status condition shows it.
    pub fn sentence(&self) -> String {
        let mut text = self.message.clone();
        if let Some(hint) = &self.hint {
            text.push_str("; ");
            text.push_str(hint);
        }
        if let Some(effect) = &self.effect {
            text.push_str(" (");
            text.push_str(effect);
            text.push(')');
        }
        text
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}: {}", self.code, self.severity(), self.origin, self.sentence())
    }
}
