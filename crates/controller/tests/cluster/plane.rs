//! A data plane that serves whatever it is told at once, and remembers it.

use std::sync::Arc;

use controller::{DataPlane, Leadership, Publication};
use ir::{EndpointMap, IrSet, Revision};
use parking_lot::Mutex;
use tokio::sync::watch;
use translate::{Facts, PortFact};

/// What was published, oldest first.
#[derive(Clone, Default)]
pub(crate) struct Published {
    all: Arc<Mutex<Vec<Arc<IrSet>>>>,
    changed: Arc<watch::Sender<()>>,
}

impl Published {
    pub(crate) fn all(&self) -> Vec<Arc<IrSet>> {
        self.all.lock().clone()
    }

    /// Waits until the configuration of now is so.
    pub(crate) async fn until(&self, so: impl Fn(&IrSet) -> bool) {
        let mut changed = self.changed.subscribe();
        let wait = async {
            while !self.all().last().is_some_and(|ir| so(ir)) {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.unwrap();
    }
}

#[derive(Default)]
pub(crate) struct Plane {
    pub(crate) published: Published,
    facts: Facts,
}

impl DataPlane for Plane {
    async fn publish(&mut self, publication: Publication<'_>) {
        let table = ir::assemble(publication.ir, Revision::default(), None);
        self.facts = Facts {
            ports: table.ports.keys().map(|port| (*port, PortFact::Bound)).collect(),
            acknowledged: true,
            ..Facts::default()
        };
        self.published.all.lock().push(Arc::clone(publication.ir));
        self.published.changed.send_replace(());
    }

    async fn publish_endpoints(&mut self, _endpoints: &Arc<EndpointMap>) {}

    async fn changed(&mut self) {
        std::future::pending().await
    }

    async fn catch_up(&mut self) {}

    fn facts(&self) -> Facts {
        self.facts.clone()
    }

    fn follow(&mut self, _leadership: &Leadership) {}
}
