//! The response head as it goes to the client.

use http1::{
    BodyFraming, Known, ResponseHead, Version, WriteError, write_content_length, write_field,
    write_head_end, write_status_line,
};
use ir::Overlay;

use crate::http::forward::{append_overlay, copy_fields};

/// How the body is framed for the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    /// The bytes as they are: there is none, or its length is known, or the connection ends it.
    #[default]
    Identity,
    Chunked,
}

/// What decides the head beside the response itself.
pub(crate) struct Shape<'a> {
    pub(crate) client: Version,
    /// The connection closes after this response.
    pub(crate) close: bool,
    /// For a response without one (RFC 9110 6.6.1).
    pub(crate) date: &'a str,
}

/// The framing of a body for a client, and whether only closing ends it.
pub(crate) fn framing_for(body: BodyFraming, client: Version) -> (Framing, bool) {
    match (body, client) {
        (BodyFraming::None | BodyFraming::Length(_), _) => (Framing::Identity, false),
        (BodyFraming::Chunked | BodyFraming::UntilClose, Version::Http11) => {
            (Framing::Chunked, false)
        }
        (BodyFraming::Chunked | BodyFraming::UntilClose, Version::Http10) => {
            (Framing::Identity, true)
        }
    }
}

/// Writes a final response head.
///
/// # Errors
/// Never for a head that the codec accepted.
pub(crate) fn write_head(
    out: &mut Vec<u8>,
    response: &ResponseHead,
    bytes: &[u8],
    overlay: &Overlay,
    shape: &Shape<'_>,
) -> Result<(), WriteError> {
    let fields = response.fields();
    write_status_line(out, response.status(), response.reason().of(bytes))?;
    copy_fields(out, fields, bytes, overlay, |_| true);
    append_overlay(out, overlay);
    if !fields.has(Known::Date) && !shape.date.is_empty() {
        write_field(out, b"date", shape.date.as_bytes())?;
    }
    match response.framing() {
        BodyFraming::Length(length) => write_content_length(out, length),
        BodyFraming::Chunked | BodyFraming::UntilClose => {
            if shape.client == Version::Http11 {
                out.extend_from_slice(b"transfer-encoding: chunked\r\n");
            }
        }
        // For HEAD and 304 the length says what a GET would have got.
        BodyFraming::None if response.status() != 204 => {
            if let Some(length) = fields.value(Known::ContentLength, bytes) {
                write_field(out, b"content-length", length)?;
            }
        }
        BodyFraming::None => {}
    }
    match (shape.close, shape.client) {
        (true, _) => out.extend_from_slice(b"connection: close\r\n"),
        (false, Version::Http10) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (false, Version::Http11) => {}
    }
    write_head_end(out);
    Ok(())
}

/// Writes an interim response; they have neither framing nor filters.
///
/// # Errors
/// Never for a head that the codec accepted.
pub(crate) fn write_interim(
    out: &mut Vec<u8>,
    response: &ResponseHead,
    bytes: &[u8],
) -> Result<(), WriteError> {
    write_status_line(out, response.status(), response.reason().of(bytes))?;
    copy_fields(out, response.fields(), bytes, &Overlay::default(), |_| true);
    write_head_end(out);
    Ok(())
}

/// Writes the head of an answer to an upgrade.
///
/// # Errors
/// Never for a head that the codec accepted.
pub(crate) fn write_switch(
    out: &mut Vec<u8>,
    response: &ResponseHead,
    bytes: &[u8],
    overlay: &Overlay,
) -> Result<(), WriteError> {
    write_status_line(out, response.status(), response.reason().of(bytes))?;
    copy_fields(out, response.fields(), bytes, overlay, |_| true);
    append_overlay(out, overlay);
    let protocol = response.upgrade().map(|value| value.of(bytes)).unwrap_or_default();
    out.extend_from_slice(b"connection: upgrade\r\n");
    write_field(out, b"upgrade", protocol)?;
    write_head_end(out);
    Ok(())
}
