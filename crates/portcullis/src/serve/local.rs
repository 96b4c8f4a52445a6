//! The data plane of this process, and what it was told last.

use std::{
    cell::RefCell,
    net::IpAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use ir::{BindAddress, EndpointMap, IrSet, Revision, Update};
use proxy::ProxyHandle;
use translate::{Facts, PortFact};

use super::Published;

/// Time between two tries to bind a port that another process held.
const PORT_RETRY: Duration = Duration::from_secs(5);

/// Brings configurations to the workers and keeps what they answer.
pub(crate) struct Local {
    published: Rc<RefCell<Published>>,
    proxy: Rc<ProxyHandle>,
    ir: Arc<IrSet>,
    endpoints: Arc<EndpointMap>,
    facts: Facts,
    /// Where Gateways that listen on every address are reached.
    machine_addresses: Vec<IpAddr>,
    sequence: u64,
    /// When ports that could not be bound are tried again.
    retry_at: Option<Instant>,
}

impl Local {
    pub(crate) fn new(
        proxy: Rc<ProxyHandle>,
        published: Rc<RefCell<Published>>,
        machine_addresses: Vec<IpAddr>,
    ) -> Self {
        Self {
            published,
            proxy,
            ir: Arc::default(),
            endpoints: Arc::default(),
            facts: Facts::default(),
            machine_addresses,
            sequence: 0,
            retry_at: None,
        }
    }

    /// Makes a configuration current, as one revision.
    pub(crate) async fn publish(&mut self, ir: &Arc<IrSet>, endpoints: &Arc<EndpointMap>) {
        let before = std::mem::replace(&mut self.ir, Arc::clone(ir));
        self.endpoints = Arc::clone(endpoints);
        self.apply().await;
        // The old objects are freed once the new ones serve.
        drop(before);
    }

    /// Makes other endpoints current within the revision that serves.
    pub(crate) async fn publish_endpoints(&mut self, endpoints: &Arc<EndpointMap>) {
        if self.endpoints != *endpoints {
            self.proxy.endpoints(endpoints).await;
        }
        self.endpoints = Arc::clone(endpoints);
        self.published.borrow_mut().endpoints = Arc::clone(endpoints);
    }

    /// Sends the present table as a new revision.
    async fn apply(&mut self) {
        self.sequence = self.sequence.saturating_add(1);
        let previous = Arc::clone(&self.published.borrow().table);
        let table = ir::assemble(&self.ir, self.revision(), Some(&previous));
        let table = Arc::new(table);
        let endpoints = Some(Arc::clone(&self.endpoints));
        let assembled = Instant::now();
        let ack = self.proxy.apply(Update { table: Arc::clone(&table), endpoints }).await;
        tracing::debug!(elapsed = ?assembled.elapsed(), "every worker swapped its table");
        self.retry_at =
            ack.ports.iter().any(|port| port.result.is_err()).then(|| Instant::now() + PORT_RETRY);
        {
            let mut published = self.published.borrow_mut();
            published.table = table;
            published.endpoints = Arc::clone(&self.endpoints);
            published.revision = Some(ack.revision);
            published.reloads = published.reloads.saturating_add(1);
        }
        drop(previous);
        self.facts = Facts::from_ack(&ack);
        self.facts.machine_addresses = self.machine_addresses.clone();
    }

    /// Waits until ports that could not be bound should be tried again; forever if there are none.
    pub(crate) async fn retry_due(&self) {
        match self.retry_at {
            Some(at) => tokio::time::sleep_until(at.into()).await,
            None => std::future::pending().await,
        }
    }

    /// Tries them again.
    pub(crate) async fn retry(&mut self) {
        self.apply().await;
    }

    /// Whether a configuration was published.
    pub(crate) fn serves(&self) -> bool {
        self.sequence > 0
    }

    pub(crate) fn revision(&self) -> Revision {
        Revision { epoch: 0, sequence: self.sequence }
    }

    pub(crate) fn ir(&self) -> &Arc<IrSet> {
        &self.ir
    }

    /// What the workers answered last.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether another process, or the operating system, keeps a listener from the port.
    pub(crate) fn is_refused(&self, address: BindAddress, port: u16) -> bool {
        self.facts.ports.iter().any(|(key, fact)| {
            (key.address, key.port) == (address, port) && matches!(fact, PortFact::Failed(_))
        })
    }
}
