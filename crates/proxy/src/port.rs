//! Listening sockets: one per port and worker, shared through `SO_REUSEPORT`.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
};

use ir::BindAddress;
use socket2::{Domain, Protocol, Socket, Type};

/// Checks that no other process listens on the port.
///
/// `SO_REUSEPORT` would let two processes of one user share a port without an error, each with
/// half of the traffic; so a new port is bound once without it, and given back.
///
/// # Errors
/// Those of `bind(2)`.
pub(crate) fn probe(address: BindAddress, port: u16) -> io::Result<()> {
    if port == 0 {
        return Ok(());
    }
    open(address, port, false).map(drop)
}

/// Binds and listens, once for each worker.
///
/// # Errors
/// Those of `bind(2)` and `listen(2)`.
pub(crate) fn bind_all(
    address: BindAddress,
    port: u16,
    workers: usize,
    backlog: i32,
) -> io::Result<Vec<TcpListener>> {
    (0..workers)
        .map(|_| {
            let socket = open(address, port, true)?;
            socket.listen(backlog)?;
            socket.set_nonblocking(true)?;
            Ok(socket.into())
        })
        .collect()
}

fn open(address: BindAddress, port: u16, shared: bool) -> io::Result<Socket> {
    match address {
        BindAddress::Ip(ip) => open_at(SocketAddr::new(ip, port), shared),
        BindAddress::Any => {
            let dual = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
            open_at(dual, shared).or_else(|error| {
                if error.kind() == io::ErrorKind::AddrInUse
                    || error.kind() == io::ErrorKind::PermissionDenied
                {
                    return Err(error);
                }
                // A machine without IPv6.
                open_at(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port), shared)
            })
        }
    }
}

fn open_at(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if let IpAddr::V6(ip) = address.ip() {
        socket.set_only_v6(!ip.is_unspecified())?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}
