//! Traffic whose bytes are not understood: TCP, TLS that is passed through, TLS that is terminated
//! to a stream of bytes, and flows of datagrams.

pub(crate) mod plan;
pub(crate) mod proxy_protocol;
pub(crate) mod record;
pub(crate) mod relay;
mod stall;
pub(crate) mod tcp;
pub(crate) mod udp;
