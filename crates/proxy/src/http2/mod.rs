//! HTTP/2 towards clients and backends, on top of the crate `http2`.
//!
//! Inside the proxy a message has one form: a head as HTTP/1.1 lines, and body bytes. [`head`]
//! turns HTTP/2 fields into that form and back, so that there is one parser, one matcher, one set
//! of filters and one serialiser, whichever protocol either side speaks. [`server`] drives a
//! client's connection, [`tasks`] serve its requests, each a [`stream`]; [`backend`] and [`pool`]
//! are the same towards endpoints; [`websocket`] is the one upgrade that HTTP/2 knows. [`shared`]
//! is what a driver and the holders of streams have in common, and [`wire`] the socket below.
//! [`bridge`] is all of it without sockets, for the fuzz targets.

pub(crate) mod backend;
pub(crate) mod bridge;
pub(crate) mod head;
pub(crate) mod pool;
pub(crate) mod server;
mod shared;
pub(crate) mod stream;
pub(crate) mod tasks;
pub(crate) mod websocket;
pub(crate) mod wire;
