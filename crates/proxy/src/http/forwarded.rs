//! What backends are told about the client, and the id of the request.
//!
//! Who is believed is judged by [`ir::forwarded`]; here the result becomes bytes.

use http1::{FieldIndex, Known, write_field};
use ir::{
    RequestView,
    forwarded::{Arrival, Judged},
};

use crate::{
    http::{connection::Connection, local::make_request_id, scratch::Names},
    observe::access_log::push_decimal,
    random::Random,
};

/// Longest request id that is taken over, in bytes.
const REQUEST_ID_MOST: usize = 128;

/// How a request reached us.
pub(crate) fn arrival<'a>(
    connection: &Connection,
    authority: &'a str,
    listener_port: u16,
) -> Arrival<'a> {
    Arrival {
        peer: connection.peer.ip(),
        tls: connection.stream.is_tls(),
        authority,
        listener_port,
    }
}

/// Puts the id that a trusted peer gave the request, else a new one, into `out`.
pub(crate) fn request_id(
    trusted: bool,
    fields: &FieldIndex,
    bytes: &[u8],
    random: &Random,
    out: &mut String,
) {
    if trusted
        && let Some(id) = fields.value(Known::XRequestId, bytes)
        && (1..=REQUEST_ID_MOST).contains(&id.len())
        && let Ok(id) = std::str::from_utf8(id)
        && id.bytes().all(|byte| byte.is_ascii_graphic())
    {
        out.clear();
        out.push_str(id);
        return;
    }
    make_request_id(random, out);
}

/// Whether a field of the client's is passed on; the others are written by [`write()`], or dropped.
pub(crate) fn passes(known: Known, trusted: bool) -> bool {
    const REPLACED: [Known; 7] = [
        Known::Forwarded,
        Known::XForwardedFor,
        Known::XForwardedHost,
        Known::XForwardedPort,
        Known::XForwardedProto,
        Known::XRealIp,
        Known::XRequestId,
    ];
    !REPLACED.contains(&known) && (trusted || known != Known::XForwardedPrefix)
}

/// Writes the forwarding fields and the request id, but those that a filter touched.
pub(crate) fn write<V: RequestView>(
    judged: &Judged<'_, V>,
    arrival: &Arrival<'_>,
    names: &Names,
    touched: impl Fn(&str) -> bool,
    out: &mut Vec<u8>,
) {
    if judged.forwarded().trusted {
        for (name, value) in judged.fields() {
            if !touched(name) && write_field(out, name.as_bytes(), &value).is_err() {
                tracing::debug!(name, "a forwarding field cannot be written");
            }
        }
    } else {
        write_own(arrival, names, &touched, out);
    }
    if !touched("x-request-id") {
        push(out, b"x-request-id: ", names.request_id.as_bytes());
    }
}

/// What [`Judged::fields`] gives for an untrusted peer, without an allocation.
fn write_own(
    arrival: &Arrival<'_>,
    names: &Names,
    touched: &impl Fn(&str) -> bool,
    out: &mut Vec<u8>,
) {
    if !touched("x-forwarded-for") {
        push(out, b"x-forwarded-for: ", names.peer.as_bytes());
    }
    if !touched("x-forwarded-host") && !arrival.authority.is_empty() {
        push(out, b"x-forwarded-host: ", arrival.authority.as_bytes());
    }
    if !touched("x-forwarded-port") {
        out.extend_from_slice(b"x-forwarded-port: ");
        push_decimal(u64::from(arrival.listener_port), out);
        out.extend_from_slice(b"\r\n");
    }
    if !touched("x-forwarded-proto") {
        let scheme: &[u8] = if arrival.tls { b"https" } else { b"http" };
        push(out, b"x-forwarded-proto: ", scheme);
    }
    if !touched("x-real-ip") {
        push(out, b"x-real-ip: ", names.peer.as_bytes());
    }
}

fn push(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
