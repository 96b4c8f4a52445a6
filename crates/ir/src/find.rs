//! The one matcher: which rule a request takes.

use std::sync::Arc;

use crate::{
    FieldName, HostPattern, ListenerIndex, ListenerTable, Match, PathMatch, PortTable, RequestView,
    RuleEntry, Table, ValueMatch,
};

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'t> {
    Found(Found<'t>),
    /// The Host belongs to another listener of the port than the one that the SNI chose: 421.
    Misdirected(&'t ListenerTable),
    /// No listener of the port takes the Host: 404.
    NoListener,
    /// The listener has no rule for the request: 404.
    NoRoute(&'t ListenerTable),
}

/// The rule that a request takes, and the match that selected it.
#[derive(Clone, Copy, Debug)]
pub struct Found<'t> {
    pub listener: &'t ListenerTable,
    pub entry: &'t Arc<RuleEntry>,
    pub matched: &'t Match,
}

/// Told of every match of the port's routes, and why it won or lost.
pub trait Recorder {
    /// `false` compiles every trace of the recorder away.
    const ACTIVE: bool;

    fn candidate(&mut self, candidate: Candidate<'_>, verdict: Verdict);
}

/// Records nothing and costs nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Recorder for Silent {
    const ACTIVE: bool = false;

    fn candidate(&mut self, _: Candidate<'_>, _: Verdict) {}
}

/// One (route hostname, rule, match) that a request could have taken.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'t> {
    pub entry: &'t Arc<RuleEntry>,
    pub matched: &'t Match,
    /// Position in the rule's `matches`.
    pub match_index: usize,
    /// As written on the route; `None` takes every host of the listener.
    pub host: Option<&'t HostPattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first condition that does not hold, in the order of [`Predicate`].
    Failed(Predicate),
    /// Holds, but another one precedes it, by the first criterion in which they differ.
    Outranked(Rank),
    Won,
}

/// A condition that does not hold, in the order in which they are examined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    /// The request belongs to another listener of the port.
    Listener,
    Host {
        wanted: Option<HostPattern>,
        got: String,
    },
    Path {
        wanted: PathMatch,
        got: String,
    },
    Method {
        wanted: Arc<str>,
        got: String,
    },
    /// `got` is `None` when the field is absent.
    Header {
        name: FieldName,
        wanted: ValueMatch,
        got: Option<String>,
    },
    /// `got` is decoded; `None` when the parameter is absent.
    Query {
        name: Arc<str>,
        wanted: ValueMatch,
        got: Option<String>,
    },
}

/// The criteria of precedence, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// The more specific hostname, as written on the route.
    Host,
    /// Exact, then the longer regular expression, then the longer prefix.
    Path,
    /// A method is named.
    Method,
    /// More header conditions.
    Headers,
    /// More query conditions.
    Query,
    /// The older route.
    Age,
    /// The first by namespace and name.
    Name,
    /// The first rule of the route.
    Rule,
    /// The first match of the rule.
    Match,
}

/// A recorder that keeps everything it is told.
#[derive(Clone, Debug, Default)]
pub struct Explanation {
    /// Those of the request's listener first, in order of precedence; then other listeners.
    pub considered: Vec<Considered>,
}

#[derive(Clone, Debug)]
pub struct Considered {
    pub entry: Arc<RuleEntry>,
    pub match_index: usize,
    pub host: Option<HostPattern>,
    pub verdict: Verdict,
}

impl Considered {
    pub fn matched(&self) -> Option<&Match> {
        self.entry.rule.matches.get(self.match_index)
    }
}

impl Recorder for Explanation {
    const ACTIVE: bool = true;

    fn candidate(&mut self, candidate: Candidate<'_>, verdict: Verdict) {
        self.considered.push(Considered {
            entry: Arc::clone(candidate.entry),
            match_index: candidate.match_index,
            host: candidate.host.cloned(),
            verdict,
        });
    }
}

/// The rule that came nearest on a miss.
#[derive(Clone, Debug)]
pub struct Closest<'t> {
    pub entry: &'t Arc<RuleEntry>,
    pub match_index: usize,
    /// What would have to differ.
    pub predicate: Predicate,
}

/// Picks the rule for a request. `sni_listener` is the listener that the handshake chose, `None`
/// on a port without TLS. The precedence is the Gateway API's (`HTTPRouteRule.matches`).
pub fn find<'t, V: RequestView, R: Recorder>(
    _port: &'t PortTable,
    _table: &'t Table,
    _sni_listener: Option<ListenerIndex>,
    _view: &V,
    _recorder: &mut R,
) -> Outcome<'t> {
    Outcome::NoListener
}

/// The hint on a miss: bounded work inside the most specific hostname that has rules.
pub fn closest<'t, V: RequestView>(
    _port: &'t PortTable,
    _table: &'t Table,
    _sni_listener: Option<ListenerIndex>,
    _view: &V,
) -> Option<Closest<'t>> {
    None
}
