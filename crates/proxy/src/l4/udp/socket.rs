//! A port's socket: datagrams with the address that was asked, replies from it.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
};

use ir::BindAddress;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::SockRef;
use tokio::io::Interest;

use crate::l4::udp::FlowKey;

/// A received datagram; its bytes are where they were asked to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram {
    pub(crate) length: usize,
    /// IPv4 as such, also on a socket for both.
    pub(crate) from: SocketAddr,
    pub(crate) asked: Option<IpAddr>,
}

pub(crate) struct PortSocket {
    socket: tokio::net::UdpSocket,
    /// Bound to every address: each datagram says which one was asked.
    any: bool,
    ipv6: bool,
}

impl PortSocket {
    pub(crate) fn new(socket: UdpSocket, address: BindAddress) -> io::Result<Self> {
        let ipv6 = socket.local_addr()?.is_ipv6();
        let any = address == BindAddress::Any;
        if any && ipv6 {
            // Holds for IPv4 within IPv6, too.
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        } else if any {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        let socket = tokio::net::UdpSocket::from_std(socket)?;
        Ok(Self { socket, any, ipv6 })
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// # Errors
    /// `WouldBlock` when nothing is there.
    pub(crate) fn receive(&self, space: &mut [u8]) -> io::Result<Datagram> {
        if self.any {
            return self.socket.try_io(Interest::READABLE, || receive_asked(&self.socket, space));
        }
        let (length, from) = self.socket.try_recv_from(space)?;
        Ok(Datagram { length, from: plain(from), asked: None })
    }

    /// Sends a reply from the address that was asked.
    pub(crate) fn send(&self, key: &FlowKey, payload: &[u8]) -> io::Result<()> {
        let to = match key.client {
            SocketAddr::V4(client) if self.ipv6 => {
                SocketAddr::new(client.ip().to_ipv6_mapped().into(), client.port())
            }
            SocketAddr::V4(_) | SocketAddr::V6(_) => key.client,
        };
        match key.asked {
            None => SockRef::from(&self.socket).send_to(payload, &to.into()).map(drop),
            Some(asked) => send_from(&self.socket, asked, to, payload),
        }
    }
}

fn plain(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        // With its scope.
        IpAddr::V6(_) => address,
    }
}

fn receive_asked(socket: &impl AsRawFd, space: &mut [u8]) -> io::Result<Datagram> {
    // Room for either kind of information, with its header.
    let mut control = [0u8; 64];
    let mut spaces = [IoSliceMut::new(space)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut spaces,
        Some(&mut control),
        MsgFlags::empty(),
    )?;
    let from = message.address.as_ref().and_then(socket_address);
    let asked = message.cmsgs()?.find_map(|message| {
        if let ControlMessageOwned::Ipv6PacketInfo(info) = message {
            Some(IpAddr::from(info.ipi6_addr.s6_addr))
        } else if let ControlMessageOwned::Ipv4PacketInfo(info) = message {
            // Not the header's, which may be a broadcast address.
            Some(IpAddr::from(info.ipi_spec_dst.s_addr.to_ne_bytes()))
        } else {
            None
        }
    });
    let from = from.ok_or(io::ErrorKind::InvalidData)?;
    Ok(Datagram { length: message.bytes, from: plain(from), asked })
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v6) = address.as_sockaddr_in6() {
        Some(SocketAddr::V6((*v6).into()))
    } else {
        address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()))
    }
}

fn send_from(
    socket: &impl AsRawFd,
    from: IpAddr,
    to: SocketAddr,
    payload: &[u8],
) -> io::Result<()> {
    let (fd, payload) = (socket.as_raw_fd(), [IoSlice::new(payload)]);
    let to = SockaddrStorage::from(to);
    match from {
        IpAddr::V6(ip) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
                ipi6_ifindex: 0,
            };
            let control = [ControlMessage::Ipv6PacketInfo(&info)];
            sendmsg(fd, &payload, &control, MsgFlags::empty(), Some(&to))?;
        }
        IpAddr::V4(ip) => {
            let address = libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: address,
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            let control = [ControlMessage::Ipv4PacketInfo(&info)];
            sendmsg(fd, &payload, &control, MsgFlags::empty(), Some(&to))?;
        }
    }
    Ok(())
}
