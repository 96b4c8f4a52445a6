//! The flows of one port in one worker, with room for a fixed number.

use std::{collections::hash_map::RandomState, net::IpAddr, rc::Rc};

use hashbrown::HashMap;

use crate::{
    l4::udp::{FlowKey, flow::Flow},
    observe::reason::Reason,
    random::Random,
};

/// Flows that are compared when one must go. Looking at all would let a flood buy work.
const SAMPLE: usize = 8;

/// Keys come from the network: the hash has a secret.
pub(crate) struct Flows {
    by_key: HashMap<FlowKey, Rc<Flow>, RandomState>,
    /// Every key once, for random choice.
    list: Vec<FlowKey>,
    by_source: HashMap<IpAddr, usize, RandomState>,
    most: usize,
    most_per_source: usize,
}

impl Flows {
    pub(crate) fn new(most: usize, most_per_source: usize) -> Self {
        Self {
            by_key: HashMap::with_hasher(RandomState::new()),
            list: Vec::new(),
            by_source: HashMap::with_hasher(RandomState::new()),
            most,
            most_per_source,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn get(&self, key: &FlowKey) -> Option<Rc<Flow>> {
        self.by_key.get(key).cloned()
    }

    pub(crate) fn keys_where(&self, wanted: impl Fn(&Flow) -> bool) -> Vec<FlowKey> {
        let fits = |key: &&FlowKey| self.by_key.get(*key).is_some_and(|flow| wanted(flow));
        self.list.iter().filter(fits).copied().collect()
    }

    /// Makes sure that a flow may be added; the key is that of one that must go for it.
    ///
    /// # Errors
    /// When one address has as many flows as it may.
    pub(crate) fn room_for(
        &self,
        key: &FlowKey,
        random: &Random,
    ) -> Result<Option<FlowKey>, Reason> {
        let source = self.by_source.get(&key.client.ip()).copied().unwrap_or_default();
        if source >= self.most_per_source {
            return Err(Reason::Shed);
        }
        if self.list.len() < self.most {
            return Ok(None);
        }
        let sample = (0..SAMPLE).filter_map(|_| self.list.get(random.below(self.list.len())));
        let worth = |key: &&FlowKey| self.by_key.get(*key).map(|flow| flow.worth());
        sample.min_by_key(worth).copied().map(Some).ok_or(Reason::Shed)
    }

    pub(crate) fn insert(&mut self, key: FlowKey, flow: Rc<Flow>) {
        flow.place.set(self.list.len());
        self.list.push(key);
        self.by_key.insert(key, flow);
        let source = self.by_source.entry(key.client.ip()).or_default();
        *source = source.saturating_add(1);
    }

    pub(crate) fn remove(&mut self, key: &FlowKey) -> Option<Rc<Flow>> {
        let flow = self.by_key.remove(key)?;
        let place = flow.place.get();
        if place < self.list.len() {
            self.list.swap_remove(place);
        }
        if let Some(moved) = self.list.get(place).and_then(|moved| self.by_key.get(moved)) {
            moved.place.set(place);
        }
        let ip = key.client.ip();
        if let Some(source) = self.by_source.get_mut(&ip) {
            *source = source.saturating_sub(1);
            if *source == 0 {
                self.by_source.remove(&ip);
            }
        }
        Some(flow)
    }
}
