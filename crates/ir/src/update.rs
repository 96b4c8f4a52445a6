//! What a data plane is told, and what it answers.

use std::sync::Arc;

use thiserror::Error;

use crate::{EndpointMap, PortKey, Revision, Table};

/// One atomic change. The table is always whole; the endpoints only when they changed too.
#[derive(Clone, Debug)]
pub struct Update {
    pub table: Arc<Table>,
    pub endpoints: Option<Arc<EndpointMap>>,
}

/// The data plane serves `revision` on every port but those that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    pub revision: Revision,
    /// One for each port of the table, in the table's order.
    pub ports: Vec<PortAck>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortAck {
    pub key: PortKey,
    pub result: Result<(), BindFailure>,
}

/// Why a port could not be bound.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BindFailure {
    #[error("in use by another process")]
    InUse,
    #[error("the process lacks the privilege for it")]
    Denied,
    /// The address itself is of no use here, whatever the port.
    #[error("not an address of this machine")]
    NotLocal,
    /// In the words of the operating system.
    #[error("{0}")]
    Other(String),
}
