//! The pure translation from objects to IR, diagnostics and statuses.
//!
//! `translate` is total and deterministic: the same snapshot and settings give the same answer,
//! byte for byte, on any machine. It must never do I/O, read a clock or the environment, draw
//! random numbers, or depend on hash order. Every finding is a [`Diagnostic`]; conditions are born
//! in [`condition`] alone.
//!
//! Start reading at [`snapshot`] and [`settings`] for the input, then [`diagnostic`].

pub mod code;
pub mod condition;
pub mod diagnostic;
pub mod settings;
pub mod snapshot;

pub use code::{Code, Severity};
// The words of every finding; layers above name objects with them without using the data plane's
// crate.
pub use ir::{ObjectRef, Origin};

pub use diagnostic::{Diagnostic, Target};
pub use settings::{AddressPool, BackendAddresses, Capabilities, Settings};
pub use snapshot::{Issues, ObjMap, Snapshot};
