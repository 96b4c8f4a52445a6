//! The pure translation from objects to IR, diagnostics and statuses.
//!
//! [`translate()`] is total and deterministic: the same snapshot and settings give the same answer,
//! byte for byte, on any machine. It must never do I/O, read a clock or the environment, draw
//! random numbers, or depend on hash order. Every finding is a [`Diagnostic`]; conditions are born
//! in [`condition`] alone, references followed in `refs` and permitted in [`grants`] alone.
//!
//! Start reading at [`snapshot`] and [`settings`] for the input, then [`translator`] for the way
//! through, `gateways` and `routes` for the stages. [`finish()`] adds what only running tells,
//! [`merge()`] lays a status into a live one, [`endpoints`] is the path of its own that endpoints
//! take.

mod certificate;
pub mod code;
pub mod condition;
pub mod diagnostic;
mod edge;
pub mod endpoints;
mod external_auth;
pub mod finish;
mod gateways;
pub mod grants;
mod hint;
mod kinds;
pub mod limits;
pub mod merge;
pub mod plan;
mod policy;
mod refs;
mod routes;
mod session;
pub mod settings;
pub mod snapshot;
pub mod status;
pub mod support;
mod tls_options;
pub mod translator;
mod trust;
mod world;
mod x_backend;

pub use code::{Code, Severity};
pub use diagnostic::{Diagnostic, Target};
pub use edge::{ANNOTATION_PREFIX, EDGE_KEYS};
pub use endpoints::endpoint_map;
pub use finish::{
    AddressFact, Facts, GatewayFacts, GivenAddress, PortFact, finish, runtime_diagnostics,
};
pub use ir::ObjectRef;
pub use merge::{merge, render};
pub use plan::{AddressRequest, Plan, PlannedPort, Reach};
pub use refs::{LOAD_BALANCING, OUTLIER_EJECTION, PROXY_PROTOCOL};
pub use settings::{AddressPool, BackendAddresses, Capabilities, Placement, Settings};
pub use snapshot::{Issues, ObjMap, Snapshot};
pub use status::{Condition, Status, StatusBody, Statuses};
pub use support::{FieldSupport, Support, field_support};
pub use tls_options::TLS_OPTIONS;
pub use translator::{Translation, Translator, translate};
