//! Validation like the API server: an object's verdict and its wording, without a cluster.
//!
//! The schemas of the Gateway API's CRDs are embedded as digests (`crates/api/schema/`), both
//! release channels, all versions that the CRDs list. [`Validator::validate`] does what
//! kube-apiserver 1.36 does with a custom resource on create, in its order: drop unknown fields,
//! drop nulls, fill defaults, check `metadata`, walk the structural schema, check list maps and
//! sets, and, unless an error so far forbids it, evaluate the CEL rules.
//!
//! It must never do I/O, look at a clock, or refuse an object that an API server admits.
//! Kubernetes' own kinds (Service, Secret, ...) have hand-written digests that know types and
//! fields but not the API server's hand-written checks.
//!
//! Start reading at [`Validator`], then `structure` (the walk) and `rules` (CEL).

mod defaults;
mod digest;
mod functions;
mod go_text;
mod list_type;
mod metadata;
mod names;
mod nearest;
mod prune;
mod registry;
mod rules;
mod structure;
mod validator;
mod violation;

pub use digest::Channel;
pub use registry::{Coverage, FieldInfo, RuleInfo, fields, kinds, rules as distinct_rules};
pub use validator::{UnknownFields, Validator, Verdict};
pub use violation::{Violation, ViolationKind};
