//! The request head as it goes to a backend.

use http1::{
    BodyFraming, Disposition, FieldIndex, Known, WriteError, write_content_length, write_field,
    write_head_end, write_request_line,
};
use ir::{Listener, Overlay, forwarded::Judged};

use crate::http::{connection::Connection, forwarded, request::View, scratch::Scratch};

/// Writes the head into `scratch.to_upstream`: fields are copied with edits, framing and
/// hop-by-hop fields are written anew.
///
/// # Errors
/// When a rewrite yields something that is not a request target or host.
pub(crate) fn write_head(
    connection: &Connection,
    listener: &Listener,
    scratch: &mut Scratch,
) -> Result<(), WriteError> {
    let Scratch { input, request, names, request_overlay: overlay, to_upstream, .. } = scratch;
    let bytes = input.kept();
    let fields = request.fields();
    to_upstream.clear();
    let out = &mut to_upstream.bytes;
    let path = overlay.path().unwrap_or(&names.path);
    let query = overlay.query_over(request.query().map(|query| query.of(bytes)));
    write_request_line(out, request.method_span().of(bytes), path.as_bytes(), query)?;
    let host = overlay.host().unwrap_or(&names.authority);
    write_field(out, b"host", host.as_bytes())?;
    let view = View::new(request, bytes, &names.host, &names.path);
    let arrival = forwarded::arrival(connection, &names.authority, listener.port);
    let judged = Judged::new(&view, &listener.http.trusted_peers, arrival);
    let trusted = judged.forwarded().trusted;
    copy_fields(out, fields, bytes, overlay, |known| forwarded::passes(known, trusted));
    let unedited = overlay.is_empty();
    let touched = |name: &str| !unedited && overlay.touches(name.as_bytes());
    forwarded::write(&judged, &arrival, names, touched, out);
    append_overlay(out, overlay);
    match request.framing() {
        BodyFraming::Length(length) => write_content_length(out, length),
        BodyFraming::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        BodyFraming::None | BodyFraming::UntilClose => {}
    }
    let upgrade = request.upgrade().map(|value| value.of(bytes)).filter(|value| !is_h2c(value));
    match (upgrade, request.te_trailers()) {
        (Some(protocol), _) => {
            out.extend_from_slice(b"connection: upgrade\r\n");
            write_field(out, b"upgrade", protocol)?;
        }
        (None, true) => out.extend_from_slice(b"te: trailers\r\nconnection: te\r\n"),
        (None, false) => {}
    }
    write_head_end(out);
    Ok(())
}

/// HTTP/2 is negotiated by ALPN or prior knowledge, never by an upgrade (RFC 9113 3.1): passed on
/// it would open a way around every rule.
pub(crate) fn is_h2c(protocols: &[u8]) -> bool {
    protocols.split(|byte| *byte == b',').any(|name| {
        let name = name.trim_ascii();
        name.eq_ignore_ascii_case(b"h2c") || name.eq_ignore_ascii_case(b"h2")
    })
}

/// Copies the fields that end-to-end recipients should see and that no filter replaced.
pub(crate) fn copy_fields(
    out: &mut Vec<u8>,
    fields: &FieldIndex,
    bytes: &[u8],
    overlay: &Overlay,
    passes: impl Fn(Known) -> bool,
) {
    let unedited = overlay.is_empty();
    for field in fields {
        if field.disposition != Disposition::Forward
            || field.known.is_some_and(|known| !passes(known))
            || !(unedited || overlay.keeps(field.name.of(bytes)))
        {
            continue;
        }
        // The parser checked name and value; in the usual form one copy is the same bytes.
        let usual = field.value.start == field.name.end.saturating_add(2)
            && bytes.get(field.name.end as usize + 1) == Some(&b' ');
        if usual {
            let line = http1::Span { start: field.name.start, end: field.value.end };
            out.extend_from_slice(line.of(bytes));
        } else {
            out.extend_from_slice(field.name.of(bytes));
            out.extend_from_slice(b": ");
            out.extend_from_slice(field.value.of(bytes));
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes the lines that filters set or added, but none that belong to the connection.
pub(crate) fn append_overlay(out: &mut Vec<u8>, overlay: &Overlay) {
    if overlay.is_empty() {
        return;
    }
    for (name, value) in overlay.fields() {
        let ours = matches!(
            Known::from_name(name.as_bytes()),
            Some(
                Known::Connection
                    | Known::ContentLength
                    | Known::Host
                    | Known::Http2Settings
                    | Known::KeepAlive
                    | Known::ProxyConnection
                    | Known::Te
                    | Known::TransferEncoding
                    | Known::Upgrade
            )
        );
        if !ours && write_field(out, name.as_bytes(), value).is_err() {
            tracing::debug!(name, "a filter's field cannot be written");
        }
    }
}
