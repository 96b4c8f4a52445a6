//! TLS towards clients and endpoints. No rustls type leaves this module but in `Stream` and
//! `UpstreamStream`.

pub(crate) mod accept;
pub(crate) mod client_hello;
pub(crate) mod config;
pub(crate) mod provider;
pub(crate) mod replay;
pub(crate) mod resolver;
pub(crate) mod trust;
pub(crate) mod upstream;
