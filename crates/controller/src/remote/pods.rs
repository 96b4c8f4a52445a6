//! The pods of one Gateway: what they were told, and what they answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use ir::{Ack, EndpointMap, IrSet, PortKey, Revision};
use link::{Event, GatewayUid, SessionId};
use translate::{GatewayFacts, PortFact};

use crate::limits::{ACK_PATIENCE, RECONNECT_PATIENCE};
use crate::provision::Report;

pub(super) struct Pods {
    pub(super) uid: GatewayUid,
    /// Why the last configuration was not sent.
    pub(super) refused: Option<String>,
    told: Option<Told>,
    /// Of each connected pod.
    acks: BTreeMap<SessionId, Option<Ack>>,
    /// The newest revision that some pod holds.
    held: Revision,
}

struct Told {
    ir: Arc<IrSet>,
    endpoints: Arc<EndpointMap>,
    /// As pods know it.
    revision: Revision,
    /// Of the publication that it came with.
    epoch: u64,
    at: Instant,
}

impl Pods {
    pub(super) fn new(uid: GatewayUid) -> Self {
        Self { uid, refused: None, told: None, acks: BTreeMap::new(), held: Revision::default() }
    }

    pub(super) fn ir(&self) -> Option<Arc<IrSet>> {
        self.told.as_ref().map(|told| Arc::clone(&told.ir))
    }

    pub(super) fn revision(&self) -> Revision {
        self.told.as_ref().map(|told| told.revision).unwrap_or_default()
    }

    /// Whether pods were told this already, by the leader that we are now.
    pub(super) fn serves(&self, ir: &IrSet, revision: Revision) -> bool {
        self.refused.is_none()
            && self
                .told
                .as_ref()
                .is_some_and(|told| told.epoch == revision.epoch && *told.ir == *ir)
    }

    pub(super) fn has_endpoints(&self, endpoints: &EndpointMap) -> bool {
        self.told.as_ref().is_some_and(|told| *told.endpoints == *endpoints)
    }

    /// A revision that no pod refuses: `wanted`, or the one after what they hold. They can hold a
    /// newer one when the lease was made anew, which begins its count again.
    pub(super) fn next(&self, wanted: Revision) -> Revision {
        let newest = self.held.max(self.revision());
        if wanted > newest {
            return wanted;
        }
        Revision { epoch: newest.epoch, sequence: newest.sequence.saturating_add(1) }
    }

    pub(super) fn told(&mut self, ir: Arc<IrSet>, endpoints: Arc<EndpointMap>, revision: Revision) {
        self.refused = None;
        self.told =
            Some(Told { ir, endpoints, revision, epoch: revision.epoch, at: Instant::now() });
    }

    pub(super) fn told_endpoints(&mut self, endpoints: Arc<EndpointMap>) {
        if let Some(told) = &mut self.told {
            told.endpoints = endpoints;
        }
    }

    /// Takes in an answer; `true` when the configuration must be told again, as a newer revision.
    pub(super) fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Connected { session, holds, .. } => {
                self.acks.insert(session, None);
                let holds = holds.unwrap_or_default();
                self.held = self.held.max(holds);
                holds > self.revision()
            }
            Event::Acked { session, ack, .. } => {
                self.held = self.held.max(ack.revision);
                self.acks.insert(session, Some(ack));
                false
            }
            Event::Refused { holds, .. } => {
                self.held = self.held.max(holds);
                holds >= self.revision()
            }
            Event::Disconnected { session, .. } => {
                self.acks.remove(&session);
                false
            }
        }
    }

    /// Until when it is too early to judge: pods need a moment to take over a revision, and longer
    /// to come back to a controller that leads since `since`. A Gateway without pods needs none.
    pub(super) fn patience(&self, report: Option<&Report>, since: Instant) -> Option<Instant> {
        let Some(report) = report else { return Some(since + RECONNECT_PATIENCE) };
        let ready = usize::try_from(report.ready_pods).unwrap_or(usize::MAX);
        if self.acks.values().flatten().count() < ready {
            return Some(since + RECONNECT_PATIENCE);
        }
        self.told.as_ref().filter(|_| ready > 0).map(|told| told.at + ACK_PATIENCE)
    }

    pub(super) fn facts(&self, report: &Report) -> GatewayFacts {
        let revision = self.revision();
        let mut ports: BTreeMap<PortKey, PortFact> = BTreeMap::new();
        let mut current = 0_usize;
        let mut behind = 0_usize;
        // A pod that never acknowledged anything is not ready yet: no traffic reaches it.
        for ack in self.acks.values().flatten() {
            if ack.revision < revision {
                behind = behind.saturating_add(1);
                continue;
            }
            current = current.saturating_add(1);
            for port in &ack.ports {
                let fact = ports.entry(port.key).or_insert(PortFact::Bound);
                if let Err(reason) = &port.result {
                    *fact = PortFact::Failed(reason.clone());
                }
            }
        }
        let acknowledged = self.told.is_some()
            && self.refused.is_none()
            && current > 0
            && behind == 0
            && report.ready_pods > 0;
        GatewayFacts {
            ports,
            acknowledged,
            obstacle: report.obstacle.clone().or_else(|| self.refused.clone()),
            addresses: report.addresses.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ir::{Ack, BindAddress, BindFailure, PortAck, PortKey, Revision, Transport};
    use link::{Event, GatewayUid, ProxyName};
    use translate::PortFact;

    use super::{Pods, Report};

    fn revision(epoch: u64, sequence: u64) -> Revision {
        Revision { epoch, sequence }
    }

    fn connected(holds: Option<Revision>) -> Event {
        Event::Connected {
            gateway: GatewayUid::new("uid").unwrap(),
            proxy: ProxyName::new("pod").unwrap(),
            session: Default::default(),
            holds,
        }
    }

    fn acked(revision: Revision, result: Result<(), BindFailure>) -> Event {
        let key = PortKey { address: BindAddress::Any, port: 8080, transport: Transport::Tcp };
        Event::Acked {
            gateway: GatewayUid::new("uid").unwrap(),
            proxy: ProxyName::new("pod").unwrap(),
            session: Default::default(),
            ack: Ack { revision, ports: vec![PortAck { key, result }] },
        }
    }

    fn told(revision: Revision) -> Pods {
        let mut pods = Pods::new(GatewayUid::new("uid").unwrap());
        pods.told(Arc::default(), Arc::default(), revision);
        pods
    }

    #[test]
    fn a_gateway_is_acknowledged_once_a_ready_pod_serves_the_revision() {
        let mut pods = told(revision(1, 5));
        let ready = Report { ready_pods: 1, ..Report::default() };
        assert!(!pods.facts(&ready).acknowledged);
        assert!(!pods.take(connected(None)));
        assert!(!pods.facts(&ready).acknowledged);
        pods.take(acked(revision(1, 4), Ok(())));
        assert!(!pods.facts(&ready).acknowledged, "the pod serves what was before");
        pods.take(acked(revision(1, 5), Err(BindFailure::InUse)));
        assert!(pods.facts(&ready).acknowledged);
        assert!(!pods.facts(&Report::default()).acknowledged, "no pod is ready");
        let port = pods.facts(&ready).ports.into_values().next();
        assert_eq!(port, Some(PortFact::Failed(BindFailure::InUse)));
    }

    #[test]
    fn pods_that_hold_something_newer_are_told_a_revision_after_it() {
        let mut pods = told(revision(0, 3));
        assert!(pods.take(connected(Some(revision(7, 9)))));
        assert_eq!(pods.next(revision(0, 4)), revision(7, 10));
        assert_eq!(pods.next(revision(8, 1)), revision(8, 1));
    }
}
