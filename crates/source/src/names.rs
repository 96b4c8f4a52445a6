//! Host names of backends, looked up by the system's resolver.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Instant,
};

use tokio::task::JoinSet;
use translate::endpoints::Names;

use crate::limits::{NAME_ADDRESSES_MAX, NAME_INTERVAL, NAME_LOOKUPS, NAMES_MAX};

/// Keeps the addresses of the names that are asked for; the last good answer stays.
#[derive(Default)]
pub struct Resolver {
    wanted: BTreeSet<Arc<str>>,
    found: Names,
    /// When each name is due again.
    due: BTreeMap<Arc<str>, Instant>,
    busy: BTreeSet<Arc<str>>,
    tasks: JoinSet<(Arc<str>, Option<Vec<IpAddr>>)>,
}

impl Resolver {
    /// These names are needed from now on.
    pub fn want(&mut self, names: BTreeSet<Arc<str>>) {
        let now = Instant::now();
        self.wanted = names.into_iter().take(NAMES_MAX).collect();
        self.found.retain(|name, _| self.wanted.contains(name));
        self.due.retain(|name, _| self.wanted.contains(name));
        for name in &self.wanted {
            self.due.entry(Arc::clone(name)).or_insert(now);
        }
    }

    pub fn found(&self) -> &Names {
        &self.found
    }

    /// Returns when an answer differs from the one before. May be dropped at any time.
    pub async fn changed(&mut self) {
        loop {
            self.start();
            let due = self.due.iter().filter(|(name, _)| !self.busy.contains(*name));
            let due = due.map(|(_, at)| *at).min();
            let idle = self.tasks.len() < NAME_LOOKUPS;
            let wait = async {
                match due.filter(|_| idle) {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(answer) = self.tasks.join_next() => {
                    if let Ok((name, addresses)) = answer
                        && self.finish(name, addresses)
                    {
                        return;
                    }
                }
                () = wait => {}
            }
        }
    }

    fn start(&mut self) {
        let now = Instant::now();
        let due = self.due.iter().filter(|(name, at)| **at <= now && !self.busy.contains(*name));
        let free = NAME_LOOKUPS.saturating_sub(self.tasks.len());
        let names: Vec<Arc<str>> = due.map(|(name, _)| Arc::clone(name)).take(free).collect();
        for name in names {
            self.busy.insert(Arc::clone(&name));
            self.tasks.spawn(async move {
                // A dot at the end keeps the search domains of the pod away. A name of one label is
                // one of the machine's own, such as localhost, which no resolver knows with a dot.
                let complete = name.ends_with('.') || !name.contains('.');
                let host = if complete { name.to_string() } else { format!("{name}.") };
                let answer = tokio::net::lookup_host((host.as_str(), 0)).await.ok();
                let addresses = answer.map(|found| {
                    let mut all: Vec<IpAddr> = found.map(|address| address.ip()).collect();
                    all.sort();
                    all.dedup();
                    all.truncate(NAME_ADDRESSES_MAX);
                    all
                });
                (name, addresses)
            });
        }
    }

    fn finish(&mut self, name: Arc<str>, addresses: Option<Vec<IpAddr>>) -> bool {
        self.busy.remove(&name);
        if !self.wanted.contains(&name) {
            return false;
        }
        self.due.insert(Arc::clone(&name), Instant::now() + NAME_INTERVAL);
        let Some(addresses) = addresses else {
            tracing::debug!(%name, "the name cannot be looked up");
            return false;
        };
        let same = self.found.get(&name) == Some(&addresses);
        self.found.insert(name, addresses);
        !same
    }
}
