//! The stream from the controller, as a page and as metrics.

use std::{
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};

use ir::Revision;
use link::LinkStatus;
use serde_json::{Value, json};
use tokio::sync::watch;

/// Where the health and admin endpoints of a proxy look.
#[derive(Clone)]
pub(crate) struct LinkFeed {
    pub(super) gateway: Rc<str>,
    pub(super) status: watch::Receiver<LinkStatus>,
}

impl LinkFeed {
    pub(crate) fn page(&self, serves: Option<Revision>) -> Value {
        json(&self.gateway, &self.status.borrow(), serves)
    }

    pub(crate) fn metrics(&self) -> String {
        metrics(&self.status.borrow())
    }
}

fn json(gateway: &str, status: &LinkStatus, serves: Option<Revision>) -> Value {
    let LinkStatus {
        controller,
        holds,
        connections,
        failures,
        refused,
        entities,
        error,
        identity_until,
        retracted,
    } = status;
    let until = identity_until.and_then(|until| jiff::Timestamp::try_from(until).ok());
    json!({
        "gateway": gateway,
        "controller": controller,
        "holds": holds.map(|revision| revision.to_string()),
        "serves": serves.map(|revision| revision.to_string()),
        "connections": connections,
        "failures": failures,
        "refusedRevisions": refused,
        "entitiesReceived": entities,
        "lastError": error,
        "retracted": retracted,
        "identityUntil": until.map(|until| until.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
    })
}

fn metrics(status: &LinkStatus) -> String {
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |at| at.as_secs());
    let rows = [
        (
            "link_connected",
            "gauge",
            "Whether there is a stream to a controller.",
            u64::from(status.controller.is_some()),
        ),
        (
            "link_connections_total",
            "counter",
            "Streams to a controller that were opened.",
            status.connections,
        ),
        (
            "link_failures_total",
            "counter",
            "Streams that broke or could not be opened.",
            status.failures,
        ),
        (
            "link_refused_revisions_total",
            "counter",
            "Revisions that were refused, being older than what is held.",
            status.refused,
        ),
        (
            "link_entities_total",
            "counter",
            "Entities that were received or removed.",
            status.entities,
        ),
        (
            "link_identity_expiry_seconds",
            "gauge",
            "When the identity in use ends, in seconds since 1970.",
            status.identity_until.map_or(0, seconds),
        ),
    ];
    rows.iter()
        .map(|(name, kind, help, value)| {
            format!(
                "# HELP portcullis_{name} {help}\n# TYPE portcullis_{name} {kind}\n\
                 portcullis_{name} {value}\n"
            )
        })
        .collect()
}
