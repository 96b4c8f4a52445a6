//! ListenerSet, and XListenerSet, which became it.

use crate::condition::Condition;
use crate::listener::{Listener, ListenerStatus};
use crate::meta::ObjectMeta;
use crate::object_macro::object;
use crate::reference::ParentGatewayReference;

object! {
    /// Listeners that someone else than a Gateway's owner adds to the Gateway.
    pub struct ListenerSet {
        metadata: ObjectMeta = "metadata",
        spec: ListenerSetSpec = "spec",
        status: Option<ListenerSetStatus> = "status",
    }
}

object! {
    /// What the author of a ListenerSet asks for.
    pub struct ListenerSetSpec {
        parent_ref: ParentGatewayReference = "parentRef",
        listeners: Vec<Listener> = "listeners" always,
    }
}

object! {
    /// What the controller of the Gateway reports.
    pub struct ListenerSetStatus {
        conditions: Vec<Condition> = "conditions",
        listeners: Vec<ListenerStatus> = "listeners",
    }
}
