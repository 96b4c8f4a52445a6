//! Listening sockets: one per port and worker, shared through `SO_REUSEPORT`.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
};

use ir::{BindAddress, PortKey, Transport};
use socket2::{Domain, Protocol, Socket, Type};

/// Bytes for a peer that the kernel takes and has not sent.
pub(crate) const UNSENT_MOST: u32 = 64 * 1024;

/// A socket of one worker.
pub(crate) enum Bound {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

/// Checks that no other process listens on the port.
///
/// `SO_REUSEPORT` would let two processes of one user share a port without an error, each with
/// half of the traffic; so a new port is bound once without it, and given back.
///
/// # Errors
/// Those of `bind(2)`.
pub(crate) fn probe(key: &PortKey) -> io::Result<()> {
    if key.port == 0 {
        return Ok(());
    }
    open(key, false).map(drop)
}

/// Binds, and listens where there are connections, once for each worker.
///
/// # Errors
/// Those of `bind(2)` and `listen(2)`.
pub(crate) fn bind_all(key: &PortKey, workers: usize, backlog: i32) -> io::Result<Vec<Bound>> {
    (0..workers)
        .map(|_| {
            let socket = open(key, true)?;
            socket.set_nonblocking(true)?;
            Ok(match key.transport {
                Transport::Tcp => {
                    // Connections inherit it. It bounds what the kernel takes of a response for a
                    // client that does not read; it would take megabytes. Bytes that it took also
                    // look as if the client had.
                    socket.set_tcp_notsent_lowat(UNSENT_MOST)?;
                    socket.listen(backlog)?;
                    Bound::Tcp(socket.into())
                }
                Transport::Udp => Bound::Udp(socket.into()),
            })
        })
        .collect()
}

fn open(key: &PortKey, shared: bool) -> io::Result<Socket> {
    let PortKey { address, port, transport } = *key;
    match address {
        BindAddress::Ip(ip) => open_at(SocketAddr::new(ip, port), transport, shared),
        BindAddress::Any => {
            let dual = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
            open_at(dual, transport, shared).or_else(|error| {
                if error.kind() == io::ErrorKind::AddrInUse
                    || error.kind() == io::ErrorKind::PermissionDenied
                {
                    return Err(error);
                }
                // A machine without IPv6.
                let ipv4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
                open_at(ipv4, transport, shared)
            })
        }
    }
}

fn open_at(address: SocketAddr, transport: Transport, shared: bool) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    // For UDP it would let two processes share the port without an error.
    socket.set_reuse_address(transport == Transport::Tcp)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if let IpAddr::V6(ip) = address.ip() {
        socket.set_only_v6(!ip.is_unspecified())?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}
