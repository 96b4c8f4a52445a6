//! Matches that never win, by subsumption: a match is dead where an earlier one, by the precedence
//! of the matcher, holds whenever it does.
//!
//! It claims nothing that is not certain: a match that it calls dead never wins [`ir::find()`].

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use ir::{
    CallMatch, Considered, Explanation, HostPattern, Listener, ListenerIndex, Match, PathMatch,
    PortTable, RequestView, RuleIndex, Table, find, path,
};

use crate::limits::{SHADOW_CANDIDATES_MAX, SHADOW_PATTERNS_MAX};

use super::{
    pattern::literal_prefix,
    subsume::{host_subsumes, intersection, says_the_same, subsumes},
};

/// One match of a rule, on one hostname of its route, at one listener.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placement {
    pub rule: RuleIndex,
    pub match_index: usize,
    /// As written on the route.
    pub host: Option<HostPattern>,
}

/// Why a placement never wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Death {
    /// An earlier match holds whenever it does.
    Covered {
        by: Placement,
        /// Both say the same.
        same: bool,
    },
    /// A more specific listener of the port takes every host of the placement.
    OtherListener(ListenerIndex),
    /// No request can fulfil it.
    Impossible(String),
}

/// Every placement of a table, with what keeps it from winning, if that is known.
pub fn placements(table: &Table) -> BTreeMap<Placement, Option<Death>> {
    let mut all = BTreeMap::new();
    let mut done: BTreeSet<ListenerIndex> = BTreeSet::new();
    for port in table.ports.values() {
        let mut by_listener: BTreeMap<ListenerIndex, Vec<Considered>> = BTreeMap::new();
        for considered in ranked(port, table) {
            by_listener.entry(considered.entry.listener).or_default().push(considered);
        }
        for (index, considered) in by_listener {
            let Some(entry) = table.listener(index) else { continue };
            if done.insert(index) {
                let listener = &*entry.listener;
                let others = port
                    .listeners()
                    .filter(|other| other.index != index)
                    .map(|other| (other.index, other.listener.hostname.as_ref()))
                    .collect();
                Ranking::new(listener, others, &considered).judge(&mut all);
            }
        }
    }
    all
}

/// Every match of the port; those of one listener and hostname in the order of precedence. It is
/// what the matcher itself tells a recorder.
fn ranked(port: &PortTable, table: &Table) -> Vec<Considered> {
    let mut explanation = Explanation::default();
    // Any request will do: every match is told, whether it holds or not.
    let _outcome = find(port, table, None, &Nobody, &mut explanation);
    explanation.considered
}

struct Nobody;

impl RequestView for Nobody {
    fn method(&self) -> &str {
        ""
    }

    fn host(&self) -> &str {
        ""
    }

    fn path(&self) -> &str {
        "/"
    }

    fn query(&self) -> Option<&str> {
        None
    }

    fn header(&self, _: &str) -> Option<Cow<'_, [u8]>> {
        None
    }
}

/// The matches of one listener.
struct Ranking<'a> {
    listener: &'a Listener,
    others: Vec<(ListenerIndex, Option<&'a HostPattern>)>,
    /// The most specific hostname first.
    buckets: Vec<Bucket<'a>>,
}

/// The matches of one hostname, in order of precedence, with an index by path.
struct Bucket<'a> {
    host: Option<&'a HostPattern>,
    matches: Vec<(&'a Considered, &'a Match)>,
    exact: BTreeMap<&'a str, Vec<usize>>,
    prefix: BTreeMap<&'a str, Vec<usize>>,
    regex: Vec<usize>,
}

impl<'a> Bucket<'a> {
    fn new(host: Option<&'a HostPattern>) -> Self {
        let (exact, prefix, regex) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Self { host, matches: Vec::new(), exact, prefix, regex }
    }

    fn push(&mut self, considered: &'a Considered, matched: &'a Match) {
        let position = self.matches.len();
        self.matches.push((considered, matched));
        match &matched.path {
            PathMatch::Exact(path) => self.exact.entry(path).or_default().push(position),
            PathMatch::Prefix(path) => self.prefix.entry(path).or_default().push(position),
            PathMatch::Regex(_) | PathMatch::Call(_) => self.regex.push(position),
        }
    }

    /// Positions of matches whose path may take all that `narrow` takes, each once, in order.
    fn candidates(&self, narrow: &PathMatch) -> Vec<usize> {
        let mut found: Vec<usize> = Vec::new();
        let text: Cow<'_, str> = match narrow {
            PathMatch::Exact(path) => {
                found.extend(self.exact.get(&**path).into_iter().flatten());
                Cow::Borrowed(path)
            }
            PathMatch::Prefix(path) => Cow::Borrowed(path),
            PathMatch::Regex(pattern) | PathMatch::Call(CallMatch { pattern, .. }) => {
                Cow::Owned(literal_prefix(pattern))
            }
        };
        let ends = text.match_indices('/').map(|(end, _)| end).chain([text.len()]);
        let mut last = None;
        for end in std::iter::once(0).chain(ends) {
            if last.replace(end) == Some(end) {
                continue;
            }
            let positions = text.get(..end).and_then(|prefix| self.prefix.get(prefix));
            found.extend(positions.into_iter().flatten());
        }
        found.extend(self.regex.iter().take(SHADOW_PATTERNS_MAX));
        found.sort_unstable();
        found
    }
}

impl<'a> Ranking<'a> {
    fn new(
        listener: &'a Listener,
        others: Vec<(ListenerIndex, Option<&'a HostPattern>)>,
        considered: &'a [Considered],
    ) -> Self {
        let mut by_host: BTreeMap<(bool, Option<&HostPattern>), Bucket<'a>> = BTreeMap::new();
        for one in considered {
            let Some(matched) = one.matched() else { continue };
            let host = one.host.as_ref();
            // Every host is the least specific of all.
            let bucket = by_host.entry((host.is_none(), host)).or_insert_with(|| Bucket::new(host));
            bucket.push(one, matched);
        }
        Self { listener, others, buckets: by_host.into_values().collect() }
    }

    fn judge(&self, all: &mut BTreeMap<Placement, Option<Death>>) {
        let own = self.listener.hostname.as_ref();
        let mut whole: Vec<&Bucket<'a>> = Vec::new();
        for bucket in &self.buckets {
            let taken = self.taken_by_another(bucket.host);
            let takes_listener = host_subsumes(bucket.host, own);
            for (position, (considered, matched)) in bucket.matches.iter().enumerate() {
                let death = taken
                    .map(Death::OtherListener)
                    .or_else(|| impossible(matched, self.listener).map(Death::Impossible))
                    .or_else(|| {
                        let earlier = if takes_listener { whole.as_slice() } else { &[] };
                        covered(earlier, bucket, position, considered, matched)
                    });
                all.insert(placement(considered), death);
            }
            if takes_listener {
                whole.push(bucket);
            }
        }
    }

    /// The more specific listener that takes all hosts of `host` at this listener.
    fn taken_by_another(&self, host: Option<&HostPattern>) -> Option<ListenerIndex> {
        let own = self.listener.hostname.as_ref();
        let hosts = intersection(host, own);
        let takes = |other: Option<&HostPattern>| {
            host_subsumes(other, hosts) && host_subsumes(own, other) && other != own
        };
        self.others.iter().find(|(_, other)| takes(*other)).map(|(index, _)| *index)
    }
}

fn placement(considered: &Considered) -> Placement {
    Placement {
        rule: considered.entry.index,
        match_index: considered.match_index,
        host: considered.host.clone(),
    }
}

/// The first match that precedes and covers this one; one of another rule if there is any.
fn covered(
    earlier: &[&Bucket<'_>],
    own: &Bucket<'_>,
    position: usize,
    considered: &Considered,
    matched: &Match,
) -> Option<Death> {
    let mut within: Option<Death> = None;
    let buckets = earlier.iter().map(|bucket| (*bucket, usize::MAX));
    for (bucket, end) in buckets.chain([(own, position)]) {
        let candidates = bucket.candidates(&matched.path).into_iter();
        for candidate in candidates.take_while(|at| *at < end).take(SHADOW_CANDIDATES_MAX) {
            let Some((other, wide)) = bucket.matches.get(candidate) else { continue };
            if !subsumes(wide, matched) {
                continue;
            }
            let same = bucket.host == own.host && says_the_same(wide, matched);
            let death = Death::Covered { by: placement(other), same };
            if other.entry.index != considered.entry.index {
                return Some(death);
            }
            within.get_or_insert(death);
        }
    }
    within
}

/// Why no request at this listener can fulfil the match.
fn impossible(matched: &Match, listener: &Listener) -> Option<String> {
    let (PathMatch::Exact(text) | PathMatch::Prefix(text)) = &matched.path else {
        return contradiction(matched);
    };
    if !text.is_empty() {
        match path::normalize(text, &listener.http) {
            Ok(canonical) if canonical == **text => {}
            Ok(canonical) => {
                return Some(format!(
                    "path {text} is always requested as {canonical}, which is what is matched"
                ));
            }
            Err(error) => return Some(format!("path {text} is refused with 400: {error}")),
        }
    }
    contradiction(matched)
}

fn contradiction(matched: &Match) -> Option<String> {
    let headers = matched.headers.iter().enumerate().find_map(|(position, header)| {
        let mut later = matched.headers.iter().skip(position.saturating_add(1));
        later
            .any(|other| other.name == header.name && exclude(&other.value, &header.value))
            .then(|| format!("header {} cannot have two values", header.name))
    });
    headers.or_else(|| {
        matched.query.iter().enumerate().find_map(|(position, query)| {
            let mut later = matched.query.iter().skip(position.saturating_add(1));
            later
                .any(|other| other.name == query.name && exclude(&other.value, &query.value))
                .then(|| format!("query parameter {} cannot have two values", query.name))
        })
    })
}

fn exclude(one: &ir::ValueMatch, other: &ir::ValueMatch) -> bool {
    match (one, other) {
        (ir::ValueMatch::Exact(one), ir::ValueMatch::Exact(other)) => one != other,
        (ir::ValueMatch::Exact(exact), ir::ValueMatch::Regex(pattern))
        | (ir::ValueMatch::Regex(pattern), ir::ValueMatch::Exact(exact)) => {
            !pattern.is_match(exact)
        }
        (ir::ValueMatch::Regex(_), ir::ValueMatch::Regex(_)) => false,
    }
}
