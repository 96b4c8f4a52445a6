//! What carries the traffic, as the controller sees it.

use std::{collections::BTreeSet, sync::Arc};

use ir::{EndpointMap, IrSet, ObjectRef, Revision};
use translate::{Facts, Snapshot, Translation};

use crate::leader::Leadership;

/// A configuration, whole.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    pub revision: Revision,
    pub ir: &'a Arc<IrSet>,
    pub endpoints: &'a Arc<EndpointMap>,
    pub translation: &'a Translation,
    /// The objects that it was made of.
    pub snapshot: &'a Snapshot,
}

/// The data planes of all Gateways. It decides what each of them is told.
pub trait DataPlane {
    /// Makes a configuration current. Returns once it is known to whom it matters, which need not
    /// be when it serves: that is told by [`Self::facts`].
    fn publish(&mut self, publication: Publication<'_>) -> impl Future<Output = ()>;

    /// Makes other endpoints current within the configuration that was published last.
    fn publish_endpoints(&mut self, endpoints: &Arc<EndpointMap>) -> impl Future<Output = ()>;

    /// Everything was translated anew, which need not change any configuration. Comes before the
    /// publication, if there is one.
    fn translated(&mut self, _translation: &Translation, _snapshot: &Snapshot) {}

    /// Returns when [`Self::facts`] tells something else, or [`Self::catch_up`] is due. May be
    /// dropped at any time.
    fn changed(&mut self) -> impl Future<Output = ()>;

    /// Does what is due, such as binding a port again that was taken.
    fn catch_up(&mut self) -> impl Future<Output = ()>;

    /// What running tells about the configuration that was published last.
    fn facts(&self) -> Facts;

    /// Gateways of which it is too early to tell anything: their status stays as it is.
    fn unsettled(&self) -> BTreeSet<Arc<ObjectRef>> {
        BTreeSet::new()
    }

    /// Who issues configurations has changed.
    fn follow(&mut self, leadership: &Leadership);
}
