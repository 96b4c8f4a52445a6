//! Which listener, route, rule and backend a request takes, and why the others lost.
//!
//! The answer comes from [`ir::find()`] with a recorder and from the filters of [`ir::exec`]: what a
//! data plane would do, not a second opinion.

mod decide;
mod json;
mod reach;
mod relay;
mod request;
mod sent;
mod share;
mod text;
pub(crate) mod words;

use std::sync::Arc;

use ir::{
    EndpointMap, HostPattern, ObjectRef, Origin, PortKey, Retry, RuleIndex, Table, Timeouts,
    Verdict,
};

pub use reach::{Reach, Secured};
pub use request::{Request, RequestError, Scheme};
pub use sent::{Edit, Sent};

/// What to explain beside the request itself.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// Only this Gateway; `None` is each that listens on the port.
    pub gateway: Option<GatewayName>,
    /// Name every rule that was looked at.
    pub all: bool,
    /// With endpoints, a backend without any is said to answer 503.
    pub endpoints: Option<&'a EndpointMap>,
}

/// `[NAMESPACE/]NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayName {
    /// `None` is any namespace.
    pub namespace: Option<String>,
    pub name: String,
}

impl GatewayName {
    pub fn new(text: &str) -> Self {
        match text.split_once('/') {
            Some((namespace, name)) => {
                Self { namespace: Some(namespace.to_owned()), name: name.to_owned() }
            }
            None => Self { namespace: None, name: text.to_owned() },
        }
    }

    fn fits(&self, gateway: &ObjectRef) -> bool {
        *self.name == *gateway.name
            && self.namespace.as_deref().is_none_or(|namespace| *namespace == *gateway.namespace)
    }
}

/// The answer: one section for each Gateway that listens on the port.
#[derive(Clone, Debug)]
pub struct Explained {
    pub request: Request,
    /// In the order of the Gateways' addresses.
    pub sections: Vec<Section>,
    /// Why there is no section.
    pub nothing: Option<String>,
    /// Whether every rule is in [`Section::others`].
    pub all: bool,
}

#[derive(Clone, Debug)]
pub struct Section {
    pub gateway: Arc<ObjectRef>,
    /// The sockets that would answer alike.
    pub sockets: Vec<PortKey>,
    /// The listener that the request belongs to.
    pub listener: Option<ListenerPlace>,
    pub decision: Decision,
    /// The rules that do not take it: those that hold but rank lower, then those that came
    /// furthest.
    pub others: Vec<Other>,
    /// Rules that were left out of `others`, by why they failed.
    pub hidden: Hidden,
    /// What may surprise: one sentence each.
    pub hints: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerPlace {
    pub name: Arc<str>,
    pub origin: Origin,
    /// As in the object: HTTP, HTTPS, TLS, TCP or UDP.
    pub protocol: &'static str,
    pub port: u16,
    /// `None` takes every host.
    pub hostname: Option<HostPattern>,
    /// `None` asks clients for no certificate.
    pub clients: Option<Clients>,
    /// The filters that run before a rule is looked for, in words and in their order. What they
    /// answer or change is not known here.
    pub filters: Vec<String>,
}

/// Whose certificates a listener asks clients for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// The objects that hold the authorities; nobody is let in when empty.
    pub authorities: Vec<String>,
    /// Whether the handshake fails without a valid one.
    pub required: bool,
}

#[derive(Clone, Debug)]
pub enum Decision {
    /// A rule sends it to a backend.
    Forwarded { taken: Taken, shares: Vec<Share> },
    /// A rule makes us answer: a redirect, a CORS preflight, an error.
    Answered { taken: Taken, answer: Answer },
    /// A TLSRoute, TCPRoute or UDPRoute passes it on.
    Relayed(Relayed),
    /// No rule takes it.
    Refused { answer: Answer, closest: Option<Other> },
    /// The connection never carries a request that we read.
    Unread { why: String },
}

/// The route that takes a connection or a flow of datagrams.
#[derive(Clone, Debug)]
pub struct Relayed {
    pub route: Arc<ObjectRef>,
    /// The route's hostname that fits the server name, as written.
    pub host: Option<HostPattern>,
    /// The rule.
    pub origin: Origin,
    /// What happens to the bytes, in words.
    pub how: &'static str,
    pub shares: Vec<RelayShare>,
}

/// A backend and what it gets of all connections.
#[derive(Clone, Debug)]
pub struct RelayShare {
    pub origin: Origin,
    pub weight: u32,
    pub percent: f64,
    /// `namespace/name:port`, or why the share is closed.
    pub backend: Result<String, String>,
    /// `None` for a share that is closed.
    pub reach: Option<Reach>,
    pub endpoints: Option<usize>,
}

/// The rule that takes a request.
#[derive(Clone, Debug)]
pub struct Taken {
    pub index: RuleIndex,
    pub route: Arc<ObjectRef>,
    /// The route's hostname that fits, as written.
    pub host: Option<HostPattern>,
    /// Position in the route, counted from 0.
    pub rule: u32,
    /// Rules of the route.
    pub rules: usize,
    pub rule_name: Option<Arc<str>>,
    pub rule_origin: Origin,
    pub match_origin: Origin,
    /// The match in words.
    pub conditions: String,
    /// The rule's filters in words, in their order.
    pub filters: Vec<String>,
    pub timeouts: Timeouts,
    pub retry: Option<Retry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Such as `Location`.
    pub fields: Vec<(String, String)>,
    pub why: String,
}

/// A backend and what it gets.
#[derive(Clone, Debug)]
pub struct Share {
    /// In the order of the rule.
    pub origin: Origin,
    pub weight: u32,
    /// Of all requests that the rule takes.
    pub percent: f64,
    pub outcome: ShareOutcome,
    /// In words; they run after the rule's own.
    pub filters: Vec<String>,
}

#[derive(Clone, Debug)]
pub enum ShareOutcome {
    /// `namespace/name:port`, the request as this backend sees it, and how it gets there.
    Sent { backend: String, sent: Sent, reach: Box<Reach>, endpoints: Option<usize> },
    /// We answer instead.
    Answered(Answer),
}

/// A rule that does not take the request.
#[derive(Clone, Debug)]
pub struct Other {
    pub route: Arc<ObjectRef>,
    pub rule: u32,
    pub rule_name: Option<Arc<str>>,
    pub match_origin: Origin,
    pub conditions: String,
    pub host: Option<HostPattern>,
    pub listener: Arc<str>,
    pub verdict: Verdict,
    /// The verdict in words.
    pub why: String,
}

/// Numbers of rules left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// Rules of the listener for other paths.
    pub paths: usize,
    /// Rules of the listener for other hosts.
    pub hosts: usize,
    /// Rules of other listeners of the port.
    pub listeners: usize,
}

/// Explains one request against one table.
pub fn explain(table: &Table, request: &Request, options: &Options<'_>) -> Explained {
    decide::explain(table, request, options)
}

impl Explained {
    /// For programs. Keys are stable; more may come.
    pub fn to_json(&self) -> serde_json::Value {
        json::explained(self)
    }

    /// For people: plain text, no colours.
    pub fn to_text(&self) -> String {
        text::explained(self)
    }

    /// Whether every section ends at a backend or a redirect.
    pub fn is_routed(&self) -> bool {
        !self.sections.is_empty()
            && self.sections.iter().all(|section| match &section.decision {
                Decision::Forwarded { .. } | Decision::Answered { .. } | Decision::Relayed(_) => {
                    true
                }
                Decision::Refused { .. } | Decision::Unread { .. } => false,
            })
    }
}
