//! What the data plane tells about itself: reasons, metrics, access log.

pub mod access_log;
pub mod l4;
pub mod metrics;
pub mod prometheus;
pub mod reason;
