//! Portcullis in a Kubernetes cluster: it watches objects, translates them with the same pure
//! function as everything else, makes what Gateways need there, and reports.
//!
//! It must never carry traffic, decide what an object means (`translate` does), or write an object
//! or a part of one that is not ours.
//!
//! Start reading at [`engine`] (the loop that owns everything), then [`watch`] and [`objects`]
//! (what comes in), [`status`] and [`plane`] (what goes out), [`leader`] (who may write), and
//! [`remote`] and [`provision`] (Gateways with pods of their own).

pub mod cluster;
pub mod discovery;
pub mod engine;
pub mod events;
pub mod leader;
pub mod limits;
pub mod metrics;
pub mod objects;
pub mod plane;
pub mod provision;
pub mod remote;
pub mod selectors;
pub mod status;
pub mod watch;

pub use cluster::{Cluster, ConnectError};
pub use engine::{ControllerError, Options, View, run};
pub use leader::{Leadership, LeaseOptions};
pub use metrics::Counters;
pub use plane::{DataPlane, Publication};
pub use remote::{Remote, RemoteError, RemoteOptions};
