//! Files in, snapshot out.
//!
//! Reads YAML and JSON as kubectl does, keeps the place of every field for diagnostics, validates
//! each object as an API server would, keeps the last good state of an object that is broken now,
//! and hands the whole to the translation as one snapshot.
//!
//! It must never talk to a cluster, know the data plane, or decide what a route means.
//!
//! Start reading at [`Store::load`], then [`Reader`] (what it is given) and [`yaml::read`].
//! [`names`] looks up the host names of backends.

pub mod backend;
pub mod demo;
pub mod files;
pub mod issue;
pub mod limits;
pub mod names;
pub mod store;
pub mod watch;
pub mod yaml;

pub use backend::{BackendOverride, BackendOverrideError, ENDPOINTS_ANNOTATION};
pub use files::{Contents, FileContent, Reader};
pub use issue::{Place, SourceIssue};
pub use store::{Load, ObjectState, Reference, Settings, Store, references};
pub use watch::Watcher;
