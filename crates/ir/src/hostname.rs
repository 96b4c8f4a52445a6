//! Host names as listeners and routes write them.

use std::{cmp::Ordering, fmt, sync::Arc};

/// An exact host name, or one with a leading wildcard label.
///
/// Always lower case and without a trailing dot. A wildcard stands for one or more labels and
/// never for the apex (Gateway API, `Hostname`): `*.example.com` matches `a.b.example.com`, not
/// `example.com`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    Exact(Arc<str>),
    /// The part behind `*`, with its leading dot: `.example.com`.
    Wildcard(Arc<str>),
}

impl HostPattern {
    /// Reads `example.com` or `*.example.com`; the syntax was validated before.
    pub fn new(text: &str) -> Self {
        let text = text.trim_end_matches('.').to_ascii_lowercase();
        match text.strip_prefix('*') {
            Some(suffix) if suffix.starts_with('.') => Self::Wildcard(suffix.into()),
            _ => Self::Exact(text.into()),
        }
    }

    /// Whether `host` (lower case, without port and trailing dot) is covered.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => host == &**name,
            Self::Wildcard(suffix) => host.len() > suffix.len() && host.ends_with(&**suffix),
        }
    }

    /// Whether some host is covered by both.
    pub fn intersects(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a), b) => b.matches(a),
            (a, Self::Exact(b)) => a.matches(b),
            (Self::Wildcard(a), Self::Wildcard(b)) => a.ends_with(&**b) || b.ends_with(&**a),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "*{suffix}"),
        }
    }
}

/// More specific first: exact names, then wildcards with the longer suffix, then by text.
impl Ord for HostPattern {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) | (Self::Wildcard(a), Self::Wildcard(b)) => {
                b.len().cmp(&a.len()).then_with(|| a.cmp(b))
            }
            (Self::Exact(_), Self::Wildcard(_)) => Ordering::Less,
            (Self::Wildcard(_), Self::Exact(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for HostPattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
