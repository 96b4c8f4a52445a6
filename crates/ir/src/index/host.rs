//! Hostnames: one hash for an exact name, one for each label of a wildcard's suffix.

use std::sync::Arc;

use super::HashMap;
use crate::HostPattern;

/// Numbers by hostname pattern.
#[derive(Debug, Default)]
pub(crate) struct HostIndex {
    exact: HashMap<Arc<str>, u32>,
    /// By suffix with its leading dot.
    wildcard: HashMap<Arc<str>, u32>,
    wildcard_bytes_max: usize,
    any: Option<u32>,
}

impl HostIndex {
    /// Room for this many names.
    pub(crate) fn reserve(&mut self, names: usize) {
        self.exact.reserve(names);
    }

    /// Gives back room that was not needed.
    pub(crate) fn shrink(&mut self) {
        self.exact.shrink_to_fit();
    }

    /// The number that the pattern has, or gets now.
    pub(crate) fn insert(&mut self, pattern: Option<&HostPattern>, number: u32) -> u32 {
        match pattern {
            None => *self.any.get_or_insert(number),
            Some(HostPattern::Exact(name)) => *self.exact.entry(Arc::clone(name)).or_insert(number),
            Some(HostPattern::Wildcard(suffix)) => {
                self.wildcard_bytes_max = self.wildcard_bytes_max.max(suffix.len());
                *self.wildcard.entry(Arc::clone(suffix)).or_insert(number)
            }
        }
    }

    /// Of the most specific pattern that takes the host.
    pub(crate) fn best(&self, host: &str) -> Option<u32> {
        self.each(host).next()
    }

    /// Of all patterns that take the host: the exact name, wildcards from the longest, no name.
    pub(crate) fn each(&self, host: &str) -> impl Iterator<Item = u32> {
        let exact = if self.exact.is_empty() { None } else { self.exact.get(host).copied() };
        exact.into_iter().chain(self.wildcards(host)).chain(self.any)
    }

    fn wildcards(&self, host: &str) -> impl Iterator<Item = u32> {
        // A label must remain in front of the suffix, hence the 1.
        let first = host.len().saturating_sub(self.wildcard_bytes_max).max(1);
        let tail =
            if self.wildcard.is_empty() { "" } else { host.get(first..).unwrap_or_default() };
        tail.bytes().enumerate().filter(|(_, byte)| *byte == b'.').filter_map(move |(at, _)| {
            tail.get(at..).and_then(|suffix| self.wildcard.get(suffix)).copied()
        })
    }
}
