//! The stream from the controller to the proxies of a Gateway.
//!
//! The controller runs a [`Server`] and publishes one [`Config`] for each Gateway. Each proxy runs
//! a [`Client`], proves its Gateway with an [`Identity`] that the controller's [`Authority`]
//! issued, and receives that Gateway's entities and nothing else: first those that it does not
//! hold, then each change. It acknowledges each revision once it serves it, keeps the last one on
//! disk, and refuses older ones.
//!
//! ```text
//! controller                                              proxy
//! ─────────────────────────────────────────────────────────────────────────────────
//! Server::start(listen, authority, role)                  Client::start(controllers, identity)
//! server.publish(&uid, Config { revision, ir, endpoints })    client.next() -> Update
//! server.publish_endpoints(&uid, endpoints)                   (assemble, apply)
//! events.recv() -> Connected, Acked, Refused, Disconnected <─ client.ack(ack)
//! ```
//!
//! The bytes are our own: length-prefixed messages on mutually authenticated TLS 1.3.
//! The decision record `docs/decisions/link-transport.md` says why there is no RPC framework.
//!
//! This crate must never read Kubernetes objects, decide what is served, or hold anything without
//! a bound from [`limits`].
//!
//! Start reading at [`server`], then [`client`]; `wire::lists` names every field that is carried.

pub mod authority;
pub mod client;
mod digest;
mod frame;
pub mod limits;
mod message;
pub mod name;
mod secret;
pub mod server;
mod tls;
pub mod wire;

use std::{
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use tokio::net::TcpListener;

pub use authority::{Authority, AuthorityError, Identity, Lifetimes};
pub use client::{Client, ClientError, ClientOptions, LinkStatus, Source, Update};
pub use name::{GatewayUid, ProxyName};
pub use secret::SecretBytes;
pub use server::{
    Config, Event, PublishError, Role, Server, ServerError, ServerOptions, SessionId,
};
pub use tls::TlsError;

/// Listens at an address; `[::]` means every address, also on a machine without IPv6.
///
/// # Errors
/// When it cannot be bound.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let error = match TcpListener::bind(address).await {
        Ok(listener) => return Ok(listener),
        Err(error) => error,
    };
    let taken = [ErrorKind::AddrInUse, ErrorKind::PermissionDenied].contains(&error.kind());
    if taken || address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        return Err(error);
    }
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
}
