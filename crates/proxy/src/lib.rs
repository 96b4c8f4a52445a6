//! The data plane: sockets in, requests matched by `ir`, sockets out.
//!
//! One thread per core, each with its own event loop, listeners, upstream pools and counters.
//! A revision reaches every worker as a message and is swapped between two requests; a request
//! holds the revision it began with to its end.
//!
//! What it must never do: read Kubernetes objects or YAML, decide a route by other means than
//! [`ir::find()`], forward a byte that was not parsed, wait for a lock on the way of a request, or
//! keep anything without a bound from [`Limits`].
//!
//! Where to start reading: [`handle`] (what the binary calls), `worker` (what a thread owns),
//! `http::connection` (the life of a connection), `http::attempt` (the life of a request),
//! `http::exchange` (how its bytes move), `http2` (how HTTP/2 gets there).

mod accept;
mod buffer;
mod cgroup;
pub mod handle;
mod http;
mod http2;
mod l4;
pub mod limits;
pub mod observe;
mod port;
mod pressure;
mod random;
mod reserve;
mod stream;
mod timer;
mod tls;
mod upstream;
mod worker;

pub use handle::{Proxy, ProxyConfig, ProxyHandle, StartError};
pub use limits::Limits;
pub use observe::{
    access_log::AccessLog,
    l4::L4Series,
    metrics::{Labels, MetricsSnapshot, Series, Total},
    prometheus::render_prometheus,
    reason::Reason,
};
pub use pressure::memory_of_group;
pub use upstream::endpoints::EndpointStatus;

/// Parsers of what clients send before anything is known of them, for the fuzz targets.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::http::auth::{Checked, checked};
    pub use crate::http2::bridge::{
        Message, Outcome, backend as http2_backend, client as http2_client,
    };
    use crate::{
        l4::proxy_protocol::{Parsed, parse},
        tls::client_hello::{Peek, peek},
    };

    /// The server name of a whole ClientHello; `None` when there is no whole one.
    pub fn client_hello(bytes: &[u8]) -> Option<Option<String>> {
        match peek(bytes) {
            Peek::Complete(hello) => Some(hello.server_name),
            Peek::Partial | Peek::Invalid => None,
        }
    }

    /// The length of a whole PROXY protocol header; `None` when there is no whole one.
    pub fn proxy_header(bytes: &[u8]) -> Option<usize> {
        match parse(bytes) {
            Parsed::Complete(length, _) => Some(length),
            Parsed::Partial | Parsed::Invalid => None,
        }
    }
}
