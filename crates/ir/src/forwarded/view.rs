//! A request with the forwarding fields that we vouch for.

use std::{borrow::Cow, net::IpAddr};

use super::{Forwarded, is_forwarding_field, judge};
use crate::{
    ListenerIndex, ListenerTable, PortTable, RequestView, Table, TrustedPeers, exec::Edge,
};

/// How a request reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival<'a> {
    pub peer: IpAddr,
    pub tls: bool,
    /// The host as received, with its port; empty when there is none.
    pub authority: &'a str,
    /// The listener's port as its object says.
    pub listener_port: u16,
}

/// A request whose forwarding fields are those that a backend gets: matches, filters and the
/// backend see the same, whatever the client wrote.
///
/// A field of an untrusted peer does not exist; in its place is what we write. Reading any other
/// field costs a comparison of names and no allocation.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a, V> {
    view: &'a V,
    arrival: Arrival<'a>,
    forwarded: Forwarded,
}

impl<'a, V: RequestView> Judged<'a, V> {
    pub fn new(view: &'a V, trust: &TrustedPeers, arrival: Arrival<'a>) -> Self {
        let mut forwarded = judge(trust, arrival.peer, arrival.tls, None, None);
        if forwarded.trusted {
            let list = view.header("x-forwarded-for");
            let scheme = view.header("x-forwarded-proto");
            let (list, scheme) = (list.as_deref(), scheme.as_deref());
            forwarded = judge(trust, arrival.peer, arrival.tls, list, scheme);
        }
        Self { view, arrival, forwarded }
    }

    pub fn forwarded(&self) -> Forwarded {
        self.forwarded
    }

    /// What redirects are built from.
    pub fn edge(&self) -> Edge<'a> {
        let secure = self.forwarded.secure;
        let told = self.trusted("x-forwarded-port");
        let told = told.and_then(|port| std::str::from_utf8(&port).ok()?.trim().parse().ok());
        let usual = if secure == self.arrival.tls {
            self.arrival.listener_port
        } else if secure {
            443
        } else {
            80
        };
        Edge {
            scheme: if secure { "https" } else { "http" },
            host: self.arrival.authority,
            listener_port: told.unwrap_or(usual),
        }
    }

    /// The forwarding fields of the request to a backend, in a fixed order.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, Cow<'_, [u8]>)> {
        super::FORWARDING_FIELDS
            .into_iter()
            .filter_map(|name| self.forwarding_field(name).map(|value| (name, value)))
    }

    fn trusted(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        if self.forwarded.trusted { self.view.header(name) } else { None }
    }

    fn forwarding_field(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let is = |field: &str| field.eq_ignore_ascii_case(name);
        let text = |text: String| Some(Cow::Owned(text.into_bytes()));
        if is("x-real-ip") {
            return text(self.forwarded.client.to_string());
        }
        let told = self.trusted(name);
        if is("x-forwarded-for") {
            let peer = self.arrival.peer.to_canonical().to_string();
            return match told {
                None => text(peer),
                Some(list) => {
                    let mut list = list.into_owned();
                    list.extend_from_slice(b", ");
                    list.extend_from_slice(peer.as_bytes());
                    Some(Cow::Owned(list))
                }
            };
        }
        if told.is_some() || is("forwarded") {
            return told;
        }
        if is("x-forwarded-proto") {
            let scheme: &[u8] = if self.arrival.tls { b"https" } else { b"http" };
            Some(Cow::Borrowed(scheme))
        } else if is("x-forwarded-port") {
            text(self.arrival.listener_port.to_string())
        } else {
            let host = self.arrival.authority.as_bytes();
            (!host.is_empty()).then_some(Cow::Borrowed(host))
        }
    }
}

impl<V: RequestView> RequestView for Judged<'_, V> {
    fn method(&self) -> &str {
        self.view.method()
    }

    fn host(&self) -> &str {
        self.view.host()
    }

    fn path(&self) -> &str {
        self.view.path()
    }

    fn query(&self) -> Option<&str> {
        self.view.query()
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        if is_forwarding_field(name) { self.forwarding_field(name) } else { self.view.header(name) }
    }
}

/// The listener whose settings a request is read by: the handshake's, else the Host's.
pub fn listener_of<'t>(
    port: &'t PortTable,
    table: &'t Table,
    sni_listener: Option<ListenerIndex>,
    host: &str,
) -> Option<&'t ListenerTable> {
    match sni_listener {
        Some(index) => table.listener(index).map(|listener| &**listener),
        None => port.listener_for(host).map(|listener| &**listener),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Head(&'static [(&'static str, &'static str)]);

    impl RequestView for Head {
        fn method(&self) -> &str {
            "GET"
        }
        fn host(&self) -> &str {
            "shop.example.com"
        }
        fn path(&self) -> &str {
            "/"
        }
        fn query(&self) -> Option<&str> {
            None
        }
        fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
            let line = self.0.iter().find(|(line, _)| line.eq_ignore_ascii_case(name));
            line.map(|(_, value)| Cow::Borrowed(value.as_bytes()))
        }
    }

    const ARRIVAL: Arrival<'static> = Arrival {
        peer: IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)),
        tls: false,
        authority: "shop.example.com:8080",
        listener_port: 8080,
    };

    const CLAIMS: Head = Head(&[
        ("X-Forwarded-For", "203.0.113.7"),
        ("X-Forwarded-Proto", "https"),
        ("Forwarded", "for=203.0.113.7"),
        ("X-Real-IP", "203.0.113.7"),
        ("X-Tenant", "a"),
    ]);

    fn seen(judged: &Judged<'_, Head>, name: &str) -> Option<String> {
        judged.header(name).map(|value| String::from_utf8(value.into_owned()).unwrap())
    }

    #[test]
    fn what_a_stranger_claims_is_replaced_before_it_is_matched() {
        let judged = Judged::new(&CLAIMS, &TrustedPeers::default(), ARRIVAL);
        assert_eq!(seen(&judged, "X-Forwarded-Proto").as_deref(), Some("http"));
        assert_eq!(seen(&judged, "x-forwarded-for").as_deref(), Some("10.0.0.1"));
        assert_eq!(seen(&judged, "x-forwarded-host").as_deref(), Some("shop.example.com:8080"));
        assert_eq!(seen(&judged, "x-forwarded-port").as_deref(), Some("8080"));
        assert_eq!(seen(&judged, "x-real-ip").as_deref(), Some("10.0.0.1"));
        assert_eq!(seen(&judged, "forwarded"), None);
        assert_eq!(seen(&judged, "x-tenant").as_deref(), Some("a"));
        assert_eq!((judged.edge().scheme, judged.edge().listener_port), ("http", 8080));
    }

    #[test]
    fn a_trusted_peer_is_believed_and_added_to_the_list() {
        let trust = TrustedPeers { hops: 1, networks: Vec::new() };
        let judged = Judged::new(&CLAIMS, &trust, ARRIVAL);
        assert_eq!(seen(&judged, "x-forwarded-proto").as_deref(), Some("https"));
        assert_eq!(seen(&judged, "x-forwarded-for").as_deref(), Some("203.0.113.7, 10.0.0.1"));
        assert_eq!(seen(&judged, "x-real-ip").as_deref(), Some("203.0.113.7"));
        assert_eq!(seen(&judged, "forwarded").as_deref(), Some("for=203.0.113.7"));
        assert_eq!((judged.edge().scheme, judged.edge().listener_port), ("https", 443));
    }

    #[test]
    fn the_fields_for_a_backend_are_those_that_matches_saw() {
        let trust = TrustedPeers { hops: 1, networks: Vec::new() };
        let judged = Judged::new(&CLAIMS, &trust, ARRIVAL);
        for (name, value) in judged.fields() {
            assert_eq!(judged.header(name), Some(value));
        }
        assert_eq!(judged.fields().count(), 6);
    }
}
