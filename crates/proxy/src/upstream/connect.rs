//! Opening a connection to an endpoint.

use std::{io, net::SocketAddr};

use tokio::net::TcpSocket;

use crate::upstream::stream::UpstreamStream;

/// Connects without delayed small writes. The caller bounds the time.
///
/// # Errors
/// Those of `socket(2)` and `connect(2)`.
pub(crate) async fn connect(address: SocketAddr) -> io::Result<UpstreamStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    Ok(UpstreamStream::Plain(socket.connect(address).await?))
}
