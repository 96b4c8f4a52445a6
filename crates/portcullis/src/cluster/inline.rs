//! All Gateways served by this process.

use std::sync::Arc;

use controller::{DataPlane, Leadership, Publication};
use ir::EndpointMap;
use translate::Facts;

use crate::serve::Local;

/// Every replica of such a controller serves, whoever leads.
pub(super) struct Inline {
    local: Local,
}

impl Inline {
    pub(super) fn new(local: Local) -> Self {
        Self { local }
    }
}

impl DataPlane for Inline {
    async fn publish(&mut self, publication: Publication<'_>) {
        if self.local.serves() && self.local.ir() == publication.ir {
            self.local.publish_endpoints(publication.endpoints).await;
        } else {
            self.local.publish(publication.ir, publication.endpoints).await;
        }
    }

    async fn publish_endpoints(&mut self, endpoints: &Arc<EndpointMap>) {
        self.local.publish_endpoints(endpoints).await;
    }

    async fn changed(&mut self) {
        self.local.retry_due().await;
    }

    async fn catch_up(&mut self) {
        self.local.retry().await;
    }

    fn facts(&self) -> Facts {
        self.local.facts().clone()
    }

    fn follow(&mut self, _leadership: &Leadership) {}
}
