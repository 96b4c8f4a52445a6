//! Indexes over hostnames and paths: what makes [`find`](crate::find()) cost the same for one
//! route and for thousands.
//!
//! Hash maps are only looked up, never walked, and their seed is fixed: nothing of their order can
//! reach an answer.

mod host;
mod path;
mod prefix;
mod regexes;

use std::sync::Arc;

use crate::{HostPattern, HttpRoute, ListenerId};

pub(crate) use host::HostIndex;
pub(crate) use path::{Draft, PathIndex, PathRank, Slot, condition_rank};

pub(crate) type HashMap<K, V> = hashbrown::HashMap<K, V, foldhash::fast::FixedState>;

/// The routes of one listener. Rules are numbered in the order of `routes`, from 0, so that an
/// equal list of routes means an equal index wherever its rules stand in the table.
#[derive(Debug, Default)]
pub(crate) struct RouteIndex {
    /// What it was built from, oldest first.
    pub(crate) routes: Vec<Arc<HttpRoute>>,
    /// Positions in `buckets`.
    pub(crate) hosts: HostIndex,
    pub(crate) buckets: Vec<Bucket>,
}

/// The matches of one hostname, as routes write it.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) host: Option<HostPattern>,
    pub(crate) paths: PathIndex,
}

impl RouteIndex {
    /// `routes` lie oldest first.
    pub(crate) fn build(listener: &ListenerId, routes: Vec<Arc<HttpRoute>>) -> Self {
        let mut hosts = HostIndex::default();
        hosts.reserve(routes.len());
        let mut drafts: Vec<(Option<HostPattern>, Vec<Draft<'_>>)> =
            Vec::with_capacity(routes.len());
        let mut rule = 0_u32;
        for route in &routes {
            let mut buckets: Vec<usize> = Vec::new();
            for host in route_hosts(route, listener) {
                let next = u32::try_from(drafts.len()).unwrap_or(u32::MAX);
                let position = hosts.insert(host.as_ref(), next);
                if position == next {
                    drafts.push((host.clone(), Vec::new()));
                }
                let position = position as usize;
                if !buckets.contains(&position) {
                    buckets.push(position);
                }
            }
            for entry in &route.rules {
                for (number, matched) in (0_u32..).zip(&entry.matches) {
                    for bucket in &buckets {
                        if let Some((_, list)) = drafts.get_mut(*bucket) {
                            list.push(Draft::new(rule, number, matched));
                        }
                    }
                }
                rule = rule.saturating_add(1);
            }
        }
        hosts.shrink();
        let buckets = drafts
            .into_iter()
            .map(|(host, list)| Bucket { host, paths: PathIndex::build(list) })
            .collect();
        Self { routes, hosts, buckets }
    }

    /// The buckets that take a host, most specific first.
    pub(crate) fn buckets_for(&self, host: &str) -> impl Iterator<Item = &Bucket> {
        self.hosts.each(host).filter_map(|position| self.buckets.get(position as usize))
    }

    /// All buckets: those that take the host, most specific first, then the others.
    pub(crate) fn ordered_buckets(&self, host: &str) -> Vec<&Bucket> {
        let mut buckets: Vec<&Bucket> = self.buckets.iter().collect();
        buckets.sort_by(|a, b| {
            let misses = |bucket: &Bucket| !takes(bucket.host.as_ref(), host);
            misses(a)
                .cmp(&misses(b))
                .then_with(|| a.host.is_none().cmp(&b.host.is_none()))
                .then_with(|| a.host.cmp(&b.host))
        });
        buckets
    }
}

/// Whether a route's hostname takes a host.
pub(crate) fn takes(pattern: Option<&HostPattern>, host: &str) -> bool {
    pattern.is_none_or(|pattern| pattern.matches(host))
}

fn route_hosts<'r>(
    route: &'r HttpRoute,
    listener: &'r ListenerId,
) -> impl Iterator<Item = &'r Option<HostPattern>> {
    route
        .attachments
        .iter()
        .filter(move |attachment| attachment.listener == *listener)
        .flat_map(|attachment| &attachment.hosts)
}
