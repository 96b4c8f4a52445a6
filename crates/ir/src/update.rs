//! What a data plane is told, and what it answers.

use std::sync::Arc;

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
    /// The reason why the port could not be bound, for a status message.
    pub result: Result<(), String>,
}
