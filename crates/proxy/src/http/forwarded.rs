//! Who the client is, as far as it can be believed, and what backends are told about it.

use http1::{FieldIndex, Known, write_field};
use ir::{
    HttpSettings, Listener, Overlay,
    forwarded::{Forwarded, judge},
};

use crate::{
    http::{connection::Connection, local::make_request_id, scratch::Names},
    observe::access_log::push_decimal,
    random::Random,
};

/// Longest request id that is taken over, in bytes.
const REQUEST_ID_MOST: usize = 128;

/// The client of one request.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    tls: bool,
    judged: Forwarded,
    /// The port that a trusted peer reports.
    reported_port: Option<u16>,
}

impl Client {
    pub(crate) fn of(
        settings: &HttpSettings,
        connection: &Connection,
        fields: &FieldIndex,
        bytes: &[u8],
    ) -> Self {
        let trust = &settings.trusted_peers;
        let tls = connection.stream.is_tls();
        let peer = connection.peer.ip();
        let nobody = trust.hops == 0 && trust.networks.is_empty();
        if nobody {
            let judged = Forwarded { trusted: false, client: peer, secure: tls };
            return Self { tls, judged, reported_port: None };
        }
        let listed = joined(fields, Known::XForwardedFor, bytes);
        let scheme = joined(fields, Known::XForwardedProto, bytes);
        let judged = judge(trust, peer, tls, listed.as_deref(), scheme.as_deref());
        let port = fields.value(Known::XForwardedPort, bytes).filter(|_| judged.trusted);
        let reported_port = port.and_then(|port| std::str::from_utf8(port).ok()?.parse().ok());
        Self { tls, judged, reported_port }
    }

    /// Whether the peer may say who its client is.
    pub(crate) fn is_trusted(&self) -> bool {
        self.judged.trusted
    }

    /// As the client used it.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.judged.secure { "https" } else { "http" }
    }

    /// The port that the client connected to, for redirects.
    pub(crate) fn port(&self, listener: &Listener) -> u16 {
        if self.judged.secure == self.tls {
            return listener.port;
        }
        self.reported_port.unwrap_or(if self.judged.secure { 443 } else { 80 })
    }

    /// The id that a trusted peer gave the request, else a new one.
    pub(crate) fn request_id(
        &self,
        fields: &FieldIndex,
        bytes: &[u8],
        random: &Random,
        out: &mut String,
    ) {
        out.clear();
        if self.judged.trusted
            && let Some(id) = fields.value(Known::XRequestId, bytes)
            && (1..=REQUEST_ID_MOST).contains(&id.len())
            && let Ok(id) = std::str::from_utf8(id)
            && id.bytes().all(|byte| byte.is_ascii_graphic())
        {
            out.push_str(id);
            return;
        }
        make_request_id(random, out);
    }

    /// Whether a field of the client's is passed on; the others are written by
    /// [`Client::write`], or dropped.
    pub(crate) fn passes(&self, known: Known) -> bool {
        match known {
            Known::XForwardedFor | Known::XRealIp | Known::XRequestId => false,
            Known::XForwardedProto
            | Known::XForwardedHost
            | Known::XForwardedPort
            | Known::XForwardedPrefix
            | Known::Forwarded => self.judged.trusted,
            _ => true,
        }
    }

    /// Writes the forwarding fields that no filter set.
    pub(crate) fn write(&self, request: &Request<'_>, out: &mut Vec<u8>) {
        let Request { fields, bytes, names, overlay, .. } = *request;
        let trusted = self.judged.trusted;
        let free = |name: &str| overlay.is_empty() || !overlay.touches(name.as_bytes());
        let absent = |known: Known| free(known.name()) && !(trusted && fields.has(known));
        if free("x-forwarded-for") {
            out.extend_from_slice(b"x-forwarded-for: ");
            if trusted {
                for value in fields.values(Known::XForwardedFor, bytes) {
                    out.extend_from_slice(value);
                    out.extend_from_slice(b", ");
                }
            }
            out.extend_from_slice(names.peer.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if absent(Known::XForwardedProto) {
            let scheme: &[u8] = if self.tls { b"https" } else { b"http" };
            push(out, b"x-forwarded-proto: ", scheme);
        }
        if absent(Known::XForwardedHost)
            && let Some(host) = request.host
        {
            push(out, b"x-forwarded-host: ", host);
        }
        if absent(Known::XForwardedPort) {
            out.extend_from_slice(b"x-forwarded-port: ");
            push_decimal(u64::from(request.port), out);
            out.extend_from_slice(b"\r\n");
        }
        if free("x-real-ip") {
            if trusted {
                push(out, b"x-real-ip: ", self.judged.client.to_string().as_bytes());
            } else {
                push(out, b"x-real-ip: ", names.peer.as_bytes());
            }
        }
        if free("x-request-id")
            && write_field(out, b"x-request-id", names.request_id.as_bytes()).is_err()
        {
            tracing::debug!("a request id is not a field value");
        }
    }
}

/// What [`Client::write`] reads of a request.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) fields: &'a FieldIndex,
    pub(crate) bytes: &'a [u8],
    pub(crate) names: &'a Names,
    pub(crate) overlay: &'a Overlay,
    /// As received, with its port.
    pub(crate) host: Option<&'a [u8]>,
    /// The listener's port.
    pub(crate) port: u16,
}

fn push(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The combined value of a field (RFC 9110 5.3).
fn joined(fields: &FieldIndex, known: Known, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut values = fields.values(known, bytes);
    let mut all = values.next()?.to_vec();
    for value in values {
        all.extend_from_slice(b", ");
        all.extend_from_slice(value);
    }
    Some(all)
}
