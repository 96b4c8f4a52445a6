//! What each Gateway needs in its namespace: pods, the Services in front of them, and what goes
//! with these.
//!
//! [`desired()`] says what should be there, as a pure function of the Gateway and its
//! [`translate::Plan`]. [`Provisioner`] makes the cluster so, with server-side apply, and tells what
//! became of it: addresses, and what is in the way. It never takes over an object that has not
//! our owner reference, and removes only objects that carry our label.

mod address;
mod desired;
mod name;
mod object;
mod pod;
mod reconcile;
mod run;
mod service;

use std::collections::BTreeMap;
use std::sync::Arc;

use ir::ObjectRef;
use translate::{AddressFact, Plan};

pub use desired::desired;
pub use desired::owner_label;
pub use name::{base_name, label_value, owned_name, service_name};
pub use object::{KINDS, Kind, Object};
pub use run::{Identities, ProvisionError, Provisioner};

/// The field manager of what we apply.
pub const FIELD_MANAGER: &str = "portcullis-provisioner";

/// The label of everything that a controller made; its value tells controllers apart.
pub const OWNER_LABEL: &str = "portcullis.dev/controller";

/// Where a pod finds the Secret with its identity.
pub const IDENTITY_DIR: &str = "/var/run/portcullis/identity";

/// Where a pod keeps its last good configuration, in memory.
pub const STATE_DIR: &str = "/var/run/portcullis/state";

/// What is the same for all Gateways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The controller name that GatewayClasses have.
    pub controller_name: String,
    /// The image of proxies whose parameters name none.
    pub image: String,
    /// Of that image; `None` leaves it to Kubernetes.
    pub image_pull_policy: Option<String>,
    /// Where proxies find the controller: host and port.
    pub controller: String,
}

/// What to do about one Gateway of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    pub gateway: Arc<api::Gateway>,
    /// `None` leaves as it is what was made before.
    pub plan: Option<Plan>,
}

/// Every Gateway of ours. What was made for a Gateway that is not among them is removed.
pub type Orders = BTreeMap<Arc<ObjectRef>, Order>;

/// What became of a Gateway's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What is in the way; a sentence.
    pub obstacle: Option<String>,
    /// One for each request of the plan.
    pub addresses: Vec<AddressFact>,
    /// Pods that are ready.
    pub ready_pods: u32,
}

pub type Reports = BTreeMap<Arc<ObjectRef>, Report>;
