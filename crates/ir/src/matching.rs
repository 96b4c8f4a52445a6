//! The conditions of a match, one by one.

use std::cell::OnceCell;

use crate::{
    CallMatch, HeaderMatch, HostPattern, Match, PathMatch, Predicate, QueryMatch, RequestView,
    ValueMatch, index::takes, query::Query,
};

/// A request while it is matched; the query is read once, when a condition asks for it.
pub(crate) struct Request<'v, V> {
    pub(crate) view: &'v V,
    query: OnceCell<Query<'v>>,
}

impl<'v, V: RequestView> Request<'v, V> {
    pub(crate) fn new(view: &'v V) -> Self {
        Self { view, query: OnceCell::new() }
    }

    /// Method, headers and query; whoever asks knows that the path matches.
    pub(crate) fn conditions_hold(&self, matched: &Match) -> bool {
        self.method_holds(matched)
            && matched.headers.iter().all(|wanted| self.header_holds(wanted))
            && matched.query.iter().all(|wanted| self.query_holds(wanted))
    }

    /// The first condition that does not hold: host, path, method, headers, query.
    pub(crate) fn first_failed(
        &self,
        host: Option<&HostPattern>,
        matched: &Match,
    ) -> Option<Predicate> {
        if !takes(host, self.view.host()) {
            let got = self.view.host().to_owned();
            return Some(Predicate::Host { wanted: host.cloned(), got });
        }
        if !path_holds(&matched.path, self.view.path()) {
            return Some(self.path_failed(matched));
        }
        self.first_condition_failed(matched)
    }

    /// As [`Self::first_failed`], for a match whose host and path hold.
    pub(crate) fn first_condition_failed(&self, matched: &Match) -> Option<Predicate> {
        if let Some(wanted) = matched.method.as_ref().filter(|_| !self.method_holds(matched)) {
            let got = self.view.method().to_owned();
            return Some(Predicate::Method { wanted: wanted.clone(), got });
        }
        if let Some(wanted) = matched.headers.iter().find(|wanted| !self.header_holds(wanted)) {
            let got = self.view.header(wanted.name.as_str());
            return Some(Predicate::Header {
                name: wanted.name.clone(),
                wanted: wanted.value.clone(),
                got: got.map(|value| String::from_utf8_lossy(&value).into_owned()),
            });
        }
        let wanted = matched.query.iter().find(|wanted| !self.query_holds(wanted))?;
        let got = self.query().get(&wanted.name);
        Some(Predicate::Query {
            name: wanted.name.clone(),
            wanted: wanted.value.clone(),
            got: got.map(|value| String::from_utf8_lossy(&value).into_owned()),
        })
    }

    pub(crate) fn path_failed(&self, matched: &Match) -> Predicate {
        Predicate::Path { wanted: matched.path.clone(), got: self.view.path().to_owned() }
    }

    fn method_holds(&self, matched: &Match) -> bool {
        matched.method.as_ref().is_none_or(|wanted| **wanted == *self.view.method())
    }

    fn header_holds(&self, wanted: &HeaderMatch) -> bool {
        let value = self.view.header(wanted.name.as_str());
        value.is_some_and(|value| value_holds(&wanted.value, &value))
    }

    fn query_holds(&self, wanted: &QueryMatch) -> bool {
        self.query().get(&wanted.name).is_some_and(|value| value_holds(&wanted.value, &value))
    }

    fn query(&self) -> &Query<'v> {
        self.query.get_or_init(|| Query::new(self.view.query().unwrap_or_default()))
    }
}

fn path_holds(wanted: &PathMatch, path: &str) -> bool {
    match wanted {
        PathMatch::Exact(exact) => **exact == *path,
        PathMatch::Prefix(prefix) => path
            .strip_prefix(&**prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        PathMatch::Regex(pattern) | PathMatch::Call(CallMatch { pattern, .. }) => {
            pattern.is_match(path)
        }
    }
}

/// An expression never matches a value that is not UTF-8.
fn value_holds(wanted: &ValueMatch, value: &[u8]) -> bool {
    match wanted {
        ValueMatch::Exact(exact) => exact.as_bytes() == value,
        ValueMatch::Regex(pattern) => {
            std::str::from_utf8(value).is_ok_and(|text| pattern.is_match(text))
        }
    }
}
