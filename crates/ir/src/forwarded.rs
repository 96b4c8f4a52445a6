//! Whose word about the client is believed: `X-Forwarded-*`, `Forwarded` and `X-Real-IP`.
//!
//! From a peer that is not trusted these fields do not exist: neither a match nor a backend sees
//! what the client wrote there, only what we write ourselves. That is why the judgement is here,
//! beside the matcher, and not where bytes are written.

mod view;

use std::net::IpAddr;

use crate::TrustedPeers;

pub use view::{Arrival, Judged, listener_of};

/// Fields that a client cannot set unless its peer is trusted; lower case.
pub const FORWARDING_FIELDS: [&str; 6] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
];

/// Whether `name` (any case) is one of [`FORWARDING_FIELDS`].
pub fn is_forwarding_field(name: &str) -> bool {
    FORWARDING_FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
}

/// What is known of a request's way here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Whether the peer's forwarding fields are kept and matched.
    pub trusted: bool,
    /// The client's address: the peer's own, or the one that trusted proxies name.
    pub client: IpAddr,
    /// Whether the client used https, as far as we know.
    pub secure: bool,
}

/// Judges the forwarding fields of a request from `peer`, received by TLS or not.
///
/// `forwarded_for` and `forwarded_proto` are the combined values of `X-Forwarded-For` and
/// `X-Forwarded-Proto`, if present.
pub fn judge(
    trust: &TrustedPeers,
    peer: IpAddr,
    tls: bool,
    forwarded_for: Option<&[u8]>,
    forwarded_proto: Option<&[u8]>,
) -> Forwarded {
    let peer = peer.to_canonical();
    let trusted = trust.hops > 0 || in_networks(trust, peer);
    if !trusted {
        return Forwarded { trusted, client: peer, secure: tls };
    }
    Forwarded {
        trusted,
        client: client(trust, peer, forwarded_for.unwrap_or_default()),
        secure: scheme(forwarded_proto.unwrap_or_default()).unwrap_or(tls),
    }
}

/// Walks the list from the right: each address was written by the proxy to its right. It stops at
/// the first one that is not trusted, or that is no address.
fn client(trust: &TrustedPeers, peer: IpAddr, list: &[u8]) -> IpAddr {
    let mut client = peer;
    let mut hops = trust.hops;
    for entry in list.rsplit(|&byte| byte == b',') {
        if !(hops > 0 || in_networks(trust, client)) {
            break;
        }
        let Some(address) = address(entry) else { break };
        client = address;
        hops = hops.saturating_sub(1);
    }
    client
}

fn in_networks(trust: &TrustedPeers, address: IpAddr) -> bool {
    trust.networks.iter().any(|network| network.contains(&address))
}

/// An address as proxies write it: bare, or with a port (`1.2.3.4:5`, `[::1]:5`, `[::1]`).
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(address) = text.parse::<std::net::SocketAddr>() {
        return Some(address.ip().to_canonical());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// The scheme that the nearest proxy saw: the last in the list.
fn scheme(list: &[u8]) -> Option<bool> {
    let last = list.rsplit(|&byte| byte == b',').next()?.trim_ascii();
    if last.eq_ignore_ascii_case(b"https") {
        Some(true)
    } else if last.eq_ignore_ascii_case(b"http") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn networks(list: &[&str]) -> TrustedPeers {
        TrustedPeers { hops: 0, networks: list.iter().map(|net| net.parse().unwrap()).collect() }
    }

    fn judged(trust: &TrustedPeers, list: &str, proto: &str) -> Forwarded {
        judge(trust, ip("10.0.0.1"), false, Some(list.as_bytes()), Some(proto.as_bytes()))
    }

    #[test]
    fn nobody_is_believed_by_default() {
        let judged = judged(&TrustedPeers::default(), "203.0.113.7", "https");
        assert_eq!(judged, Forwarded { trusted: false, client: ip("10.0.0.1"), secure: false });
    }

    #[test]
    fn a_trusted_network_is_walked_until_the_first_stranger() {
        let trust = networks(&["10.0.0.0/8"]);
        let judged = judged(&trust, "6.6.6.6, 203.0.113.7, 10.9.9.9", "https");
        assert_eq!(judged, Forwarded { trusted: true, client: ip("203.0.113.7"), secure: true });
    }

    #[test]
    fn hops_count_proxies_whatever_their_address() {
        let trust = TrustedPeers { hops: 1, networks: Vec::new() };
        assert_eq!(judged(&trust, "6.6.6.6, 203.0.113.7", "http").client, ip("203.0.113.7"));
        let trust = TrustedPeers { hops: 2, networks: Vec::new() };
        assert_eq!(judged(&trust, "6.6.6.6, 203.0.113.7", "http").client, ip("6.6.6.6"));
    }

    #[test]
    fn what_is_no_address_ends_the_walk() {
        let trust = networks(&["10.0.0.0/8"]);
        assert_eq!(judged(&trust, "1.2.3.4, unknown, 10.1.1.1", "").client, ip("10.1.1.1"));
        assert_eq!(judged(&trust, "[2001:db8::1]:443", "").client, ip("2001:db8::1"));
        assert_eq!(judged(&trust, "", "gopher").client, ip("10.0.0.1"));
    }

    #[test]
    fn the_nearest_proxy_says_the_scheme() {
        let trust = networks(&["10.0.0.0/8"]);
        assert!(judged(&trust, "", "http, https").secure);
        assert!(!judged(&trust, "", "https, http").secure);
    }
}
