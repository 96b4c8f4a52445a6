//! What can be seen of a running process: logs, health, metrics and the admin endpoints.

pub(crate) mod log;
pub(crate) mod server;
