//! The backends of a rule, and what each of them gets.

use ir::{
    Backend, BackendEntry, ClusterId, Found, Overlay, Target,
    exec::{self, Flow},
    forwarded::Judged,
};

use super::{
    Reach, Share, ShareOutcome,
    decide::{Asked, answer, local},
    request::Head,
    sent, words,
};

/// A request behind the filters of its rule.
pub(super) struct OnItsWay<'a> {
    pub(super) asked: &'a Asked<'a>,
    pub(super) found: Found<'a>,
    pub(super) head: &'a Head<'a>,
    pub(super) view: &'a Judged<'a, Head<'a>>,
    pub(super) overlay: &'a Overlay,
}

impl OnItsWay<'_> {
    /// In the order of the rule.
    pub(super) fn shares(&self, backends: &[Backend]) -> Vec<Share> {
        let mut entries = self.found.entry.backends.iter();
        backends.iter().map(|backend| self.share(backend, entries.next())).collect()
    }

    fn share(&self, backend: &Backend, entry: Option<&BackendEntry>) -> Share {
        let outcome = match &backend.target {
            Target::Fail(reason) => {
                ShareOutcome::Answered(answer(500, words::fail(*reason).to_owned()))
            }
            Target::Cluster(cluster) => self.reached(backend, entry, cluster),
        };
        Share {
            origin: backend.origin.clone(),
            weight: backend.weight,
            percent: percent(backend.weight, self.found.entry.total_weight),
            outcome,
            filters: backend.filters.iter().map(words::filter).collect(),
        }
    }

    fn reached(
        &self,
        backend: &Backend,
        entry: Option<&BackendEntry>,
        cluster: &ClusterId,
    ) -> ShareOutcome {
        let mut overlay = self.overlay.clone();
        let flow = exec::apply_request_filters(
            &backend.filters,
            self.found.matched,
            self.view,
            &self.view.edge(),
            &mut overlay,
        );
        match flow {
            Err(error) => return ShareOutcome::Answered(answer(error.status(), error.to_string())),
            Ok(Flow::Respond(response)) => {
                return ShareOutcome::Answered(local(response, "a CORS preflight"));
            }
            Ok(Flow::Continue) => {}
        }
        let table = self.asked.table;
        // That of the table knows the Gateway's own certificate too.
        let served = entry.and_then(|entry| table.cluster(entry.cluster?)).unwrap_or(cluster);
        let reach = Reach::new(table, &served.0, backend.persistence.as_ref());
        ShareOutcome::Sent {
            backend: cluster.to_string(),
            sent: sent::sent(self.head, self.view, &overlay, &self.response(backend)),
            reach: Box::new(reach),
            endpoints: self
                .asked
                .options
                .endpoints
                .map(|map| map.get(&cluster.endpoints_key()).map_or(0, |set| set.endpoints.len())),
        }
    }

    fn response(&self, backend: &Backend) -> Overlay {
        let mut overlay = Overlay::default();
        let rule = &self.found.entry.rule.filters;
        let cors = exec::cors_grant(&backend.filters, self.view)
            .or_else(|| exec::cors_grant(rule, self.view));
        exec::apply_response_filters(&backend.filters, None, &mut overlay);
        exec::apply_response_filters(rule, cors.as_ref(), &mut overlay);
        overlay
    }
}

/// The part of `total` in percent. Weights sum up to far less than what 32 bits hold.
pub(super) fn percent(weight: u32, total: u64) -> f64 {
    let total = u32::try_from(total).unwrap_or(u32::MAX);
    if total == 0 { 0.0 } else { f64::from(weight) * 100.0 / f64::from(total) }
}
