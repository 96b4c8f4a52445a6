//! HTTP/2 towards clients and backends, on top of the crate `h2`.
//!
//! Inside the proxy a message has one form: a head as HTTP/1.1 lines, and body bytes. [`head`]
//! turns HTTP/2 fields into that form and back, so that there is one parser, one matcher, one set
//! of filters and one serialiser, whichever protocol either side speaks. [`server`] drives a
//! client's connection, [`tasks`] serve its requests, each a [`stream`]; [`backend`] and [`pool`]
//! are the same towards endpoints; [`websocket`] is the one upgrade that HTTP/2 knows. [`wire`]
//! joins the writes of many streams and meters what the peer sends ([`frames`]). [`bridge`] is all
//! of it without sockets, for the fuzz targets.

pub(crate) mod backend;
pub(crate) mod bridge;
mod frames;
pub(crate) mod head;
pub(crate) mod pool;
pub(crate) mod server;
pub(crate) mod stream;
pub(crate) mod tasks;
pub(crate) mod websocket;
pub(crate) mod wire;

/// Reports an error of the crate `h2` as one of the byte stream that it stands for.
pub(crate) fn io_error(error: h2::Error) -> std::io::Error {
    if error.is_io() {
        error.into_io().unwrap_or_else(|| std::io::ErrorKind::ConnectionReset.into())
    } else {
        std::io::Error::new(std::io::ErrorKind::ConnectionReset, error)
    }
}
