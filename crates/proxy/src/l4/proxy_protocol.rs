//! The PROXY protocol, versions 1 and 2: who the client is, said before the first byte
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use ir::ProxyProtocol;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// Longest line of version 1, with its end.
const V1_MOST: usize = 107;
/// Longest header of version 2 that is read; its type-length-values are not looked at.
const V2_MOST: usize = 2064;
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
const V1_START: &[u8] = b"PROXY ";

/// A connection as its first proxy saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
}

/// Outcome of looking at the bytes so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Partial,
    /// The header's length, and whom it names; `None` where the peer speaks for itself.
    Complete(usize, Option<Hop>),
    Invalid,
}

/// Looks for a whole header at the front of `bytes`.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    if starts_like(bytes, &SIGNATURE) {
        parse_v2(bytes).unwrap_or(Parsed::Invalid)
    } else if starts_like(bytes, V1_START) {
        parse_v1(bytes)
    } else {
        Parsed::Invalid
    }
}

fn starts_like(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(a, b)| a == b)
}

fn parse_v1(bytes: &[u8]) -> Parsed {
    let line = bytes.get(..V1_MOST).unwrap_or(bytes);
    let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() < V1_MOST { Parsed::Partial } else { Parsed::Invalid };
    };
    let text = line.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let text = text.and_then(|line| line.strip_prefix(V1_START));
    let Some(text) = text.and_then(|text| std::str::from_utf8(text).ok()) else {
        return Parsed::Invalid;
    };
    let length = end.saturating_add(1);
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return Parsed::Complete(length, None);
    }
    match v1_hop(text) {
        Some(hop) => Parsed::Complete(length, Some(hop)),
        None => Parsed::Invalid,
    }
}

fn v1_hop(text: &str) -> Option<Hop> {
    let mut words = text.split(' ');
    let family = words.next()?;
    let (source, destination) = (words.next()?, words.next()?);
    let (source_port, destination_port) = (words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let address = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let port = |text: &str| -> Option<u16> {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'));
        plain.then(|| text.parse().ok()).flatten()
    };
    Some(Hop {
        source: SocketAddr::new(address(source)?, port(source_port)?),
        destination: SocketAddr::new(address(destination)?, port(destination_port)?),
    })
}

/// `None` is invalid.
fn parse_v2(bytes: &[u8]) -> Option<Parsed> {
    let Some((fixed, rest)) = bytes.split_at_checked(16) else { return Some(Parsed::Partial) };
    let [.., version_command, family, high, low] = fixed else { return None };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let whole = length.saturating_add(16);
    if version_command >> 4 != 2 || whole > V2_MOST {
        return None;
    }
    let local = match version_command & 0xf {
        0 => true,
        1 => false,
        _ => return None,
    };
    let Some(body) = rest.get(..length) else { return Some(Parsed::Partial) };
    if local {
        return Some(Parsed::Complete(whole, None));
    }
    let hop = match family {
        0x11 => {
            let (addresses, _) = body.split_first_chunk::<12>()?;
            let [a, b, c, d, e, f, g, h, ports @ ..] = *addresses;
            hop_of(Ipv4Addr::new(a, b, c, d).into(), Ipv4Addr::new(e, f, g, h).into(), ports)
        }
        0x21 => {
            let (source, rest) = body.split_first_chunk::<16>()?;
            let (destination, rest) = rest.split_first_chunk::<16>()?;
            let (ports, _) = rest.split_first_chunk::<4>()?;
            hop_of(Ipv6Addr::from(*source).into(), Ipv6Addr::from(*destination).into(), *ports)
        }
        // Unspecified: the peer does not know, or may not say.
        0x00 => return Some(Parsed::Complete(whole, None)),
        _ => return None,
    };
    Some(Parsed::Complete(whole, Some(hop)))
}

fn hop_of(source: IpAddr, destination: IpAddr, [a, b, c, d]: [u8; 4]) -> Hop {
    Hop {
        source: SocketAddr::new(source, u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([c, d])),
    }
}

/// Reads a header and nothing behind it. `None` where the peer speaks for itself. The caller bounds
/// the time.
///
/// # Errors
/// `InvalidData` when there is no valid header, `UnexpectedEof` when the peer ended before its end.
pub(crate) async fn read(tcp: &mut TcpStream) -> io::Result<Option<Hop>> {
    let mut header = Vec::new();
    let mut ahead = [0u8; 512];
    loop {
        let seen = tcp.peek(&mut ahead).await?;
        if seen == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = header.len();
        header.extend_from_slice(ahead.get(..seen).unwrap_or_default());
        let (used, done) = match parse(&header) {
            Parsed::Partial => (seen, None),
            Parsed::Complete(length, hop) => (length.saturating_sub(before), Some(hop)),
            Parsed::Invalid => return Err(io::ErrorKind::InvalidData.into()),
        };
        tcp.read_exact(ahead.get_mut(..used).unwrap_or_default()).await?;
        if let Some(hop) = done {
            return Ok(hop);
        }
    }
}

/// The header for an endpoint; without a hop the connection is our own.
pub(crate) fn header(version: ProxyProtocol, hop: Option<Hop>) -> Vec<u8> {
    let hop = hop.map(same_family);
    match version {
        ProxyProtocol::V1 => v1(hop),
        ProxyProtocol::V2 => v2(hop),
    }
}

/// Both addresses in one family, since a header has one: IPv4 within IPv6 where they differ.
fn same_family(hop: Hop) -> Hop {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (source, destination) = (plain(hop.source), plain(hop.destination));
    if source.is_ipv4() == destination.is_ipv4() {
        return Hop { source, destination };
    }
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    Hop { source: mapped(source), destination: mapped(destination) }
}

fn v1(hop: Option<Hop>) -> Vec<u8> {
    let Some(Hop { source, destination }) = hop else { return b"PROXY UNKNOWN\r\n".to_vec() };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (source_port, destination_port) = (source.port(), destination.port());
    let (source, destination) = (source.ip(), destination.ip());
    format!("PROXY {family} {source} {destination} {source_port} {destination_port}\r\n")
        .into_bytes()
}

fn v2(hop: Option<Hop>) -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    let Some(Hop { source, destination }) = hop else {
        out.extend([0x20, 0, 0, 0]);
        return out;
    };
    let (family, length) = if source.is_ipv4() { (0x11, 12u8) } else { (0x21, 36) };
    out.extend([0x21, family, 0, length]);
    for address in [source, destination] {
        match address.ip() {
            IpAddr::V4(ip) => out.extend(ip.octets()),
            IpAddr::V6(ip) => out.extend(ip.octets()),
        }
    }
    out.extend(source.port().to_be_bytes());
    out.extend(destination.port().to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(source: &str, destination: &str) -> Hop {
        Hop { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
    }

    #[test]
    fn what_is_written_is_read_whatever_the_pieces() {
        let hops = [
            Some(hop("192.0.2.1:56324", "198.51.100.7:443")),
            Some(hop("[2001:db8::1]:1", "[2001:db8::2]:65535")),
            None,
        ];
        for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
            for hop in hops {
                let mut bytes = header(version, hop);
                let length = bytes.len();
                for end in 0..length {
                    assert_eq!(parse(&bytes[..end]), Parsed::Partial, "{end} of {bytes:?}");
                }
                bytes.extend(b"GET / HTTP/1.1\r\n");
                assert_eq!(parse(&bytes), Parsed::Complete(length, hop));
            }
        }
    }

    #[test]
    fn addresses_of_two_families_are_written_in_one() {
        let mixed = hop("192.0.2.1:1", "[2001:db8::2]:2");
        let bytes = header(ProxyProtocol::V2, Some(mixed));
        let expected = hop("[::ffff:192.0.2.1]:1", "[2001:db8::2]:2");
        assert_eq!(parse(&bytes), Parsed::Complete(bytes.len(), Some(expected)));
    }

    #[test]
    fn headers_that_break_the_rules_are_refused() {
        for line in [
            "GET / HTTP/1.1\r\n",
            "PROXY\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
            "PROXY TCP4 ::1 ::2 1 2\r\n",
            "PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
            "PROXY UNKNOWNS\r\n",
        ] {
            assert_eq!(parse(line.as_bytes()), Parsed::Invalid, "{line:?}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(200));
        assert_eq!(parse(long.as_bytes()), Parsed::Invalid);
        let good = header(ProxyProtocol::V2, Some(hop("1.2.3.4:1", "5.6.7.8:2")));
        for (position, value) in [(12, 0x31), (12, 0x22), (13, 0x12), (13, 0x31), (15, 11)] {
            let mut bad = good.clone();
            bad[position] = value;
            assert_eq!(parse(&bad), Parsed::Invalid, "{position} = {value:#x}");
        }
        let mut large = good;
        large[14] = 0xff;
        assert_eq!(parse(&large), Parsed::Invalid);
    }
}
