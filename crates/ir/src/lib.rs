//! What a data plane executes, and the one matcher that picks the rule for a request.
//!
//! This crate is plain data and pure functions: it never does I/O, never reads a clock, and knows
//! neither the Kubernetes objects it came from nor the sockets it will serve.
//! [`IrSet`] is what translation produces, one entity for each object a user wrote;
//! [`assemble()`] turns it into the [`Table`] that workers read; [`find()`] is the matcher.
//!
//! Start reading at [`set`], then [`route`], then [`find()`].

pub mod assemble;
pub mod certificate;
pub mod cluster;
mod cors;
pub mod dump;
pub mod endpoint;
mod escape;
pub mod exec;
mod explain;
pub mod field;
pub mod filter;
pub mod find;
pub mod forwarded;
pub mod host;
pub mod hostname;
mod index;
pub mod l4;
pub mod limits;
pub mod listener;
mod matching;
pub mod object;
pub mod origin;
pub mod overlay;
pub mod path;
pub mod pattern;
mod query;
pub mod request;
pub mod route;
pub mod session;
pub mod set;
mod slice;
pub mod table;
pub mod tls;
pub mod update;

pub use assemble::assemble;
pub use certificate::{Certificate, CertificateId, PrivateKey};
pub use cluster::{
    BackendProtocol, Balance, Cluster, ClusterId, Locality, Outlier, ProxyProtocol, RetryBudget,
};
pub use dump::{dump, dump_table};
pub use endpoint::{Endpoint, EndpointMap, EndpointSet, EndpointState, EndpointsKey};
pub use field::{FieldName, FieldValue};
pub use filter::{
    AuthProtocol, Cors, CorsOrigin, ExternalAuth, Filter, Fraction, HeaderModifier, Mirror,
    PathModifier, Redirect, Rewrite,
};
pub use find::{
    Candidate, Closest, Considered, Explanation, Found, Outcome, Predicate, Rank, Recorder, Silent,
    Verdict, closest, find,
};
pub use hostname::HostPattern;
pub use l4::{L4Considered, explain_l4};
pub use listener::{
    BindAddress, ConnectionSettings, EscapedSlashes, Gateway, HttpSettings, Listener, ListenerId,
    Protocol, TrustedPeers,
};
pub use object::ObjectRef;
pub use origin::Origin;
pub use overlay::Overlay;
pub use pattern::{Pattern, PatternError};
pub use request::RequestView;
pub use route::{
    Action, Attachment, Backend, CallMatch, FailReason, HeaderMatch, HttpRoute, L4Route, Match,
    PathMatch, QueryMatch, Retry, RouteKind, Rule, Target, Timeouts, ValueMatch,
};
pub use session::{CookieLifetime, SessionPersistence, SessionPlace};
pub use set::IrSet;
pub use table::{
    BackendEntry, ClusterIndex, L4Entry, L4Index, ListenerIndex, ListenerTable, PortKey, PortKind,
    PortTable, Revision, RuleEntry, RuleIndex, Table, Transport,
};
pub use tls::{
    Authorities, CipherSuite, ClientValidation, ClientValidationMode, SubjectAltName, TlsOptions,
    TlsTermination, TlsVersion, TrustBundle, TrustBundleId, UpstreamTls,
};
pub use update::{Ack, BindFailure, PortAck, Update};
