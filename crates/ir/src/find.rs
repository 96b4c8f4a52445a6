//! The one matcher: which rule a request takes.

use std::sync::Arc;

use crate::{
    FieldName, HostPattern, ListenerIndex, ListenerTable, Match, PathMatch, PortTable, RequestView,
    RuleEntry, RuleIndex, Table, ValueMatch, explain, index::Slot, matching::Request,
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

impl Outcome<'_> {
    /// Whether the candidate is what was found.
    pub(crate) fn is(&self, candidate: &Candidate<'_>) -> bool {
        match self {
            Self::Found(found) => {
                found.entry.index == candidate.entry.index
                    && std::ptr::eq(found.matched, candidate.matched)
            }
            Self::Misdirected(_) | Self::NoListener | Self::NoRoute(_) => false,
        }
    }
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
/// on a port without TLS.
///
/// A request belongs to the most specific listener for its Host and never falls through to a less
/// specific one. Within it the most specific hostname with a rule that matches wins, then the
/// precedence of the Gateway API (`HTTPRouteRule.matches`), see [`Rank`]. Allocates nothing, but
/// for a field that `view` has to join and a query of very many parameters.
pub fn find<'t, V: RequestView, R: Recorder>(
    port: &'t PortTable,
    table: &'t Table,
    sni_listener: Option<ListenerIndex>,
    view: &V,
    recorder: &mut R,
) -> Outcome<'t> {
    let request = Request::new(view);
    let outcome = decide(port, table, sni_listener, &request);
    if R::ACTIVE {
        explain::record(port, table, outcome, &request, recorder);
    }
    outcome
}

/// The hint on a miss: bounded work inside the most specific hostname that has rules.
pub fn closest<'t, V: RequestView>(
    port: &'t PortTable,
    table: &'t Table,
    sni_listener: Option<ListenerIndex>,
    view: &V,
) -> Option<Closest<'t>> {
    let request = Request::new(view);
    match decide(port, table, sni_listener, &request) {
        Outcome::NoRoute(listener) => explain::closest(listener, table, &request),
        Outcome::Found(_) | Outcome::Misdirected(_) | Outcome::NoListener => None,
    }
}

fn decide<'t, V: RequestView>(
    port: &'t PortTable,
    table: &'t Table,
    sni_listener: Option<ListenerIndex>,
    request: &Request<'_, V>,
) -> Outcome<'t> {
    let host = request.view.host();
    let Some(listener) = port.listener_for(host) else { return Outcome::NoListener };
    if sni_listener.is_some_and(|chosen| chosen != listener.index) {
        return Outcome::Misdirected(listener);
    }
    let path = request.view.path();
    let holds = |slot: Slot| {
        listener.candidate(table, slot).is_some_and(|(_, matched)| request.conditions_hold(matched))
    };
    listener
        .routes
        .buckets_for(host)
        .find_map(|bucket| bucket.paths.find(path, holds))
        .and_then(|slot| listener.candidate(table, slot))
        .map_or(Outcome::NoRoute(listener), |(entry, matched)| {
            Outcome::Found(Found { listener, entry, matched })
        })
}

impl ListenerTable {
    /// The rule and the match that a slot of this listener stands for.
    pub(crate) fn candidate<'t>(
        &self,
        table: &'t Table,
        slot: Slot,
    ) -> Option<(&'t Arc<RuleEntry>, &'t Match)> {
        let entry = table.rule(RuleIndex(self.first_rule.checked_add(slot.rule)?))?;
        let matched = entry.rule.matches.get(slot.matched as usize)?;
        Some((entry, matched))
    }
}
