//! Every object Portcullis reads or writes: the Gateway API's kinds, and those of Kubernetes that
//! they refer to, as plain Rust types.
//!
//! It must never do I/O, look at a clock or the environment, or decide what an object means:
//! that is `translate`'s work. Reading never fails as a whole: [`Object::decode`] yields an object
//! and a list of fields that were not usable. Enums are open, and absent fields stay absent;
//! accessors of the same name apply the documented default.
//!
//! Start reading at [`object`] (an object of any kind), then [`gateway`] and [`http_route`].
//! [`decode`] says how reading works, [`conversion`] how old versions become new ones, [`kinds`]
//! has the table of kinds and versions.

pub mod backend_tls_policy;
pub mod condition;
pub mod conversion;
pub mod core_kinds;
pub mod decode;
pub mod discovery;
pub mod duration;
pub mod filters;
pub mod gateway;
pub mod gateway_class;
pub mod gateway_parameters;
pub mod grpc_route;
pub mod hostname;
pub mod http_route;
pub mod kinds;
pub mod l4_routes;
pub mod labels;
pub mod limits;
pub mod listener;
pub mod listener_set;
pub mod meta;
pub mod near;
pub mod object;
pub mod reference;
pub mod reference_grant;
pub mod resource;
pub mod route;
pub mod schema;
pub mod shape;
pub mod timestamp;
pub mod x_kinds;

mod object_macro;
mod open_enum;

pub use backend_tls_policy::*;
pub use condition::*;
pub use conversion::{Conversion, ConversionNote};
pub use core_kinds::*;
pub use decode::{Decode, DecodeIssue, Decoder};
pub use discovery::*;
pub use filters::*;
pub use gateway::*;
pub use gateway_class::*;
pub use gateway_parameters::*;
pub use grpc_route::*;
pub use http_route::*;
pub use kinds::{KINDS, KindInfo};
pub use l4_routes::*;
pub use labels::*;
pub use listener::*;
pub use listener_set::*;
pub use meta::*;
pub use object::{Decoded, Object, OtherObject};
pub use reference::*;
pub use reference_grant::*;
pub use resource::Resource;
pub use route::*;
pub use timestamp::Timestamp;
pub use x_kinds::*;
