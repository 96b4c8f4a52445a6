//! The matches of one hostname by path: exact, then regular expression, then prefix, then gRPC
//! calls of any service, then everything.

use std::{cmp::Reverse, sync::Arc};

use super::{HashMap, prefix::PrefixTree, regexes::Regexes};
use crate::{CallMatch, Match, PathMatch, Pattern};

/// One match of one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Number of the rule in its listener.
    pub(crate) rule: u32,
    /// Position in the rule's matches.
    pub(crate) matched: u32,
    /// There is more to examine than the path.
    pub(crate) conditional: bool,
}

/// Positions in [`PathIndex::slots`], from `start` to before `end`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

/// A slot on its way into an index.
#[derive(Clone, Copy)]
pub(crate) struct Draft<'m> {
    slot: Slot,
    matched: &'m Match,
    path_rank: PathRank<'m>,
}

/// Exact before regular expression before prefix, the longer first; then gRPC calls by method
/// alone, which come after every service, and the prefix of every path. Expressions of one length
/// are equals, so that the other criteria decide; exact paths and prefixes of one length either
/// are the same text or never match the same path, so their text only brings equals together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PathRank<'m> {
    Exact(&'m str),
    /// In characters: the expression and nothing, or service and method.
    Regex(Reverse<usize>, Reverse<usize>),
    Prefix(Reverse<usize>, &'m str),
    /// In characters of the method.
    AnyService(Reverse<u32>),
    Everything,
}

impl<'m> PathRank<'m> {
    pub(crate) fn of(path: &'m PathMatch) -> Self {
        match path {
            PathMatch::Exact(path) => Self::Exact(path),
            PathMatch::Regex(pattern) => {
                Self::Regex(Reverse(pattern.text().chars().count()), Reverse(0))
            }
            PathMatch::Call(CallMatch { service_chars: 0, method_chars, .. }) => {
                Self::AnyService(Reverse(*method_chars))
            }
            PathMatch::Call(CallMatch { service_chars, method_chars, .. }) => {
                Self::Regex(Reverse(*service_chars as usize), Reverse(*method_chars as usize))
            }
            PathMatch::Prefix(prefix) if prefix.is_empty() => Self::Everything,
            PathMatch::Prefix(prefix) => Self::Prefix(Reverse(prefix.len()), prefix),
        }
    }
}

/// What precedes within one path: a method, more headers, more query parameters.
pub(crate) fn condition_rank(matched: &Match) -> (bool, Reverse<usize>, Reverse<usize>) {
    (matched.method.is_none(), Reverse(matched.headers.len()), Reverse(matched.query.len()))
}

impl<'m> Draft<'m> {
    pub(crate) fn new(rule: u32, number: u32, matched: &'m Match) -> Self {
        let conditional =
            matched.method.is_some() || !matched.headers.is_empty() || !matched.query.is_empty();
        Self {
            slot: Slot { rule, matched: number, conditional },
            matched,
            path_rank: PathRank::of(&matched.path),
        }
    }

    fn pattern(&self) -> Option<(Slot, &'m Pattern)> {
        match &self.matched.path {
            PathMatch::Regex(pattern) | PathMatch::Call(CallMatch { pattern, .. }) => {
                Some((self.slot, pattern))
            }
            PathMatch::Exact(_) | PathMatch::Prefix(_) => None,
        }
    }

    fn is_any_service(&self) -> bool {
        matches!(self.path_rank, PathRank::AnyService(_))
    }

    fn precedence(&self) -> impl Ord + use<'m> {
        (self.path_rank, condition_rank(self.matched), self.slot.rule, self.slot.matched)
    }
}

#[derive(Debug, Default)]
pub(crate) struct PathIndex {
    /// In order of precedence.
    pub(crate) slots: Vec<Slot>,
    exact: HashMap<Arc<str>, Span>,
    regexes: Option<Box<Regexes>>,
    prefixes: PrefixTree,
    any_service: Option<Box<Regexes>>,
    everything: Option<Span>,
}

impl PathIndex {
    pub(crate) fn build(mut drafts: Vec<Draft<'_>>) -> Self {
        drafts.sort_by_cached_key(Draft::precedence);
        let mut index = Self {
            slots: drafts.iter().map(|draft| draft.slot).collect(),
            regexes: Regexes::build(
                drafts
                    .iter()
                    .filter_map(|draft| draft.pattern().filter(|_| !draft.is_any_service())),
            ),
            any_service: Regexes::build(
                drafts
                    .iter()
                    .filter_map(|draft| draft.pattern().filter(|_| draft.is_any_service())),
            ),
            ..Self::default()
        };
        let mut start = 0_u32;
        for group in drafts.chunk_by(|a, b| a.path_rank == b.path_rank) {
            let end = start.saturating_add(u32::try_from(group.len()).unwrap_or(u32::MAX));
            let span = Span { start, end };
            start = end;
            match group.first().map(|draft| &draft.matched.path) {
                Some(PathMatch::Exact(path)) => {
                    index.exact.insert(Arc::clone(path), span);
                }
                Some(PathMatch::Prefix(prefix)) if prefix.is_empty() => {
                    index.everything = Some(span);
                }
                Some(PathMatch::Prefix(prefix)) => index.prefixes.insert(prefix, span),
                Some(PathMatch::Regex(_) | PathMatch::Call(_)) | None => {}
            }
        }
        index.prefixes.finish(drafts.iter().filter_map(|draft| match &draft.matched.path {
            PathMatch::Prefix(prefix) => Some(prefix).filter(|prefix| !prefix.is_empty()),
            PathMatch::Exact(_) | PathMatch::Regex(_) | PathMatch::Call(_) => None,
        }));
        index
    }

    /// The first slot, by precedence, whose path matches and whose other conditions hold.
    pub(crate) fn find(&self, path: &str, holds: impl Fn(Slot) -> bool) -> Option<Slot> {
        let holds = |slot: Slot| !slot.conditional || holds(slot);
        let first = |span: Span| self.span(span).iter().copied().find(|slot| holds(*slot));
        let exact = if self.exact.is_empty() { None } else { self.exact.get(path) };
        exact
            .and_then(|span| first(*span))
            .or_else(|| self.regexes.as_ref().and_then(|regexes| regexes.find(path, holds)))
            .or_else(|| self.prefixes.each(path).find_map(first))
            .or_else(|| self.any_service.as_ref().and_then(|calls| calls.find(path, holds)))
            .or_else(|| self.everything.and_then(first))
    }

    /// All slots whose path matches, in order of precedence.
    pub(crate) fn each(&self, path: &str) -> impl Iterator<Item = Slot> {
        let exact = self.exact.get(path).into_iter().flat_map(|span| self.span(*span)).copied();
        let regexes = self.regexes.iter().flat_map(move |regexes| regexes.each(path));
        let prefixes = self.prefixes.each(path).flat_map(|span| self.span(span)).copied();
        let calls = self.any_service.iter().flat_map(move |calls| calls.each(path));
        let everything = self.everything.into_iter().flat_map(|span| self.span(span)).copied();
        exact.chain(regexes).chain(prefixes).chain(calls).chain(everything)
    }

    fn span(&self, span: Span) -> &[Slot] {
        self.slots.get(span.start as usize..span.end as usize).unwrap_or_default()
    }
}
