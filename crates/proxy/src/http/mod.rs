//! Requests and responses in their one inner form, and HTTP/1.1 towards clients and backends.
//!
//! A connection ([`connection`]) reads a head, [`request`] decides what becomes of it, [`attempt`]
//! picks endpoints until one answers, and [`exchange`] moves the bytes.

pub(crate) mod attempt;
pub(crate) mod auth;
pub(crate) mod connection;
mod download;
pub(crate) mod exchange;
pub(crate) mod forward;
pub(crate) mod forwarded;
pub(crate) mod grpc;
pub(crate) mod local;
pub(crate) mod mirror;
pub(crate) mod record;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod retry;
pub(crate) mod scratch;
mod tries;
pub(crate) mod upgrade;
mod upload;
