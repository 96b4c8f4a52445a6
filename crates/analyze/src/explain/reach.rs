//! How the endpoints of a backend are reached, beyond its name.

use std::{borrow::Cow, sync::Arc, time::Duration};

use ir::{
    Authorities, BackendProtocol, Balance, Cluster, Locality, Origin, ProxyProtocol, RetryBudget,
    SessionPersistence, SessionPlace, SubjectAltName, Table, UpstreamTls,
};
use serde_json::{Value, json};

use super::json::origin;

/// Everything about the way to a backend that its objects decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    pub protocol: BackendProtocol,
    /// `None` is plaintext.
    pub tls: Option<Secured>,
    pub session: Option<Arc<SessionPersistence>>,
    pub balance: Balance,
    pub proxy_protocol: Option<ProxyProtocol>,
    pub locality: Locality,
    pub retry_budget: Option<RetryBudget>,
}

/// TLS towards a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secured {
    /// The policy or backend that asks for it.
    pub origin: Origin,
    pub server_name: Arc<str>,
    /// The objects that hold the authorities; `None` is those that the machine trusts.
    pub authorities: Option<Vec<String>>,
    /// Names of which the certificate must have one; empty is the server name.
    pub names: Vec<String>,
    /// The Secret with the certificate that is shown when the backend asks for one.
    pub client_certificate: Option<String>,
}

impl Reach {
    pub(super) fn new(
        table: &Table,
        cluster: &Cluster,
        session: Option<&Arc<SessionPersistence>>,
    ) -> Self {
        Self {
            protocol: cluster.protocol,
            tls: cluster.tls.as_ref().map(|tls| Secured::new(table, tls)),
            session: session.cloned(),
            balance: cluster.balance,
            proxy_protocol: cluster.proxy_protocol,
            locality: cluster.locality,
            retry_budget: cluster.retry_budget,
        }
    }

    /// What is not as it is by default, one phrase each.
    pub(super) fn phrases(&self) -> Vec<String> {
        let mut phrases = Vec::new();
        match self.protocol {
            BackendProtocol::Http1 | BackendProtocol::Tcp | BackendProtocol::Udp => {}
            BackendProtocol::Http2 => phrases.push("by HTTP/2".to_owned()),
            BackendProtocol::Negotiated => {
                phrases.push("by HTTP/2 or HTTP/1.1, as the handshake agrees".to_owned());
            }
        }
        phrases.extend(self.tls.as_ref().map(Secured::phrase));
        phrases.extend(self.session.as_ref().map(|session| session_phrase(session)));
        match self.balance {
            Balance::RoundRobin => {}
            Balance::LeastRequest => {
                phrases.push("to the endpoint with fewer requests in flight".to_owned());
            }
        }
        match self.locality {
            Locality::Any => {}
            Locality::PreferZone => phrases.push("endpoints of the own zone first".to_owned()),
            Locality::PreferNode => phrases.push("endpoints of the own node first".to_owned()),
        }
        if let Some(version) = self.proxy_protocol {
            phrases.push(format!("with a PROXY protocol header, version {}", number(version)));
        }
        phrases.extend(self.retry_budget.as_ref().map(budget_phrase));
        phrases
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "protocol": match self.protocol {
                BackendProtocol::Http1 => "HTTP/1.1",
                BackendProtocol::Http2 => "HTTP/2",
                BackendProtocol::Negotiated => "HTTP/2 or HTTP/1.1",
                BackendProtocol::Tcp => "TCP",
                BackendProtocol::Udp => "UDP",
            },
            "tls": self.tls.as_ref().map(Secured::to_json),
            "session": self.session.as_ref().map(|session| session_json(session)),
            "balance": match self.balance {
                Balance::RoundRobin => "RoundRobin",
                Balance::LeastRequest => "LeastRequest",
            },
            "ownZoneFirst": self.locality == Locality::PreferZone,
            "ownNodeFirst": self.locality == Locality::PreferNode,
            "proxyProtocol": self.proxy_protocol.map(number),
            "retryBudget": self.retry_budget.map(|budget| json!({
                "percent": budget.percent,
                "interval": time(budget.interval),
                "minRetries": budget.min_retries,
                "minInterval": time(budget.min_interval),
            })),
        })
    }
}

impl Secured {
    fn new(table: &Table, tls: &UpstreamTls) -> Self {
        let authorities = match &tls.authorities {
            Authorities::System => None,
            Authorities::Bundles(ids) => {
                let bundles = ids.iter().filter_map(|id| table.trust_bundles.get(id));
                Some(bundles.map(|bundle| bundle.origin.object.to_string()).collect())
            }
        };
        let shown = tls.client_certificate.as_ref().and_then(|id| table.certificates.get(id));
        Self {
            origin: tls.origin.clone(),
            server_name: Arc::clone(&tls.server_name),
            authorities,
            names: tls.subject_alt_names.iter().map(|name| name_of(name).into_owned()).collect(),
            client_certificate: shown.map(|shown| shown.origin.object.to_string()),
        }
    }

    fn phrase(&self) -> String {
        let mut text = format!("by TLS as {}", self.server_name);
        if !self.names.is_empty() {
            text.push_str(&format!(", whose certificate is for {}", self.names.join(" or ")));
        }
        match self.authorities.as_deref() {
            None => text.push_str(", verified by the authorities of the machine"),
            Some([]) => text.push_str(", verified by no authority, so every handshake fails"),
            Some(named) => text.push_str(&format!(", verified by {}", named.join(", "))),
        }
        if let Some(secret) = &self.client_certificate {
            text.push_str(&format!(", showing {secret}"));
        }
        text
    }

    fn to_json(&self) -> Value {
        json!({
            "origin": origin(&self.origin),
            "serverName": &*self.server_name,
            "authorities": self.authorities.as_ref().map_or_else(|| "System".into(), |a| json!(a)),
            "subjectAltNames": self.names,
            "clientCertificate": self.client_certificate,
        })
    }
}

fn name_of(name: &SubjectAltName) -> Cow<'_, str> {
    match name {
        SubjectAltName::Hostname(name) => Cow::Borrowed(name),
        SubjectAltName::Uri(uri) => Cow::Borrowed(uri),
    }
}

fn session_phrase(session: &SessionPersistence) -> String {
    let name = session.name.as_str();
    let mut text = match &session.place {
        SessionPlace::Cookie { path, .. } => format!("session by cookie {name} for {path}"),
        SessionPlace::Header => format!("session by header {name}"),
    };
    if let Some(most) = session.absolute_timeout {
        text.push_str(&format!(", for {}", time(most)));
    }
    if let Some(idle) = session.idle_timeout {
        text.push_str(&format!(", ended by {} without a request", time(idle)));
    }
    text
}

fn session_json(session: &SessionPersistence) -> Value {
    let (place, path) = match &session.place {
        SessionPlace::Cookie { path, .. } => ("Cookie", Some(&**path)),
        SessionPlace::Header => ("Header", None),
    };
    json!({
        "origin": origin(&session.origin),
        "type": place,
        "name": session.name.as_str(),
        "path": path,
        "absoluteTimeout": session.absolute_timeout.map(time),
        "idleTimeout": session.idle_timeout.map(time),
    })
}

fn budget_phrase(budget: &RetryBudget) -> String {
    format!(
        "retries at most {} % of the requests of {}, or {} in {}",
        budget.percent,
        time(budget.interval),
        budget.min_retries,
        time(budget.min_interval)
    )
}

fn number(version: ProxyProtocol) -> u8 {
    match version {
        ProxyProtocol::V1 => 1,
        ProxyProtocol::V2 => 2,
    }
}

pub(super) fn time(duration: Duration) -> String {
    api::duration::format(duration)
}
