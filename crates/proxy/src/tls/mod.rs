//! TLS towards clients. No rustls type leaves this module but in `Stream`.

pub(crate) mod accept;
pub(crate) mod client_hello;
pub(crate) mod config;
pub(crate) mod replay;
pub(crate) mod resolver;
