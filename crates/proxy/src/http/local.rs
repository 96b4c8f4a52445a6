//! Answers of our own: a status, the request id, and nothing about the inside.

use std::{borrow::Cow, future::poll_fn, rc::Rc, task::Poll};

use http1::{
    Method, Version, write_content_length, write_field, write_head_end, write_status_line,
};
use ir::Overlay;

use crate::{
    buffer::Outgoing,
    http::{
        connection::Connection, forward::append_overlay, grpc::Code, record::Record,
        scratch::Scratch,
    },
    http2::stream::ClientStream,
    observe::reason::Reason,
    random::Random,
    stream::{Multiplexed as _, Stream},
    worker::Worker,
};

/// An answer that no backend gave.
pub(crate) struct Answer {
    pub(crate) reason: Reason,
    pub(crate) status: u16,
    pub(crate) fields: Vec<(Cow<'static, str>, String)>,
    /// `None` is a short text about the status.
    pub(crate) body: Option<Vec<u8>>,
    /// The connection is not fit for another request.
    pub(crate) close: bool,
}

impl Answer {
    pub(crate) fn of(reason: Reason) -> Self {
        let status = if reason.status() == 0 { 500 } else { reason.status() };
        Self { reason, status, fields: Vec::new(), body: None, close: false }
    }

    pub(crate) fn closing(reason: Reason) -> Self {
        Self { close: true, ..Self::of(reason) }
    }
}

/// What the request says about the form of its answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shape {
    pub(crate) method: Method,
    pub(crate) version: Version,
}

/// Puts the answer into `scratch.to_client`.
pub(crate) fn write(
    worker: &Worker,
    scratch: &mut Scratch,
    answer: &Answer,
    record: &mut Record<'_>,
    shape: Shape,
) {
    record.reason = Some(answer.reason);
    record.status = answer.status;
    let Scratch { to_client, names, response_overlay, .. } = scratch;
    if names.request_id.is_empty() {
        make_request_id(&worker.random, &mut names.request_id);
    }
    to_client.clear();
    let out = &mut to_client.bytes;
    let written = if names.grpc && answer.status >= 400 {
        write_call(worker, out, answer, response_overlay, &names.request_id)
    } else {
        write_all(worker, out, answer, response_overlay, &names.request_id, shape)
    };
    if written.is_err() {
        out.clear();
        out.extend_from_slice(b"HTTP/1.1 500 Internal Server Error\r\n");
        out.extend_from_slice(b"content-length: 0\r\nconnection: close\r\n\r\n");
    }
}

/// The outcome of a gRPC call, in a head that is the whole response ("trailers-only").
fn write_call(
    worker: &Worker,
    out: &mut Vec<u8>,
    answer: &Answer,
    overlay: &Overlay,
    request_id: &str,
) -> Result<(), http1::WriteError> {
    write_status_line(out, 200, b"OK")?;
    worker.log.http_date(worker.clock.now(), |date| write_field(out, b"date", date.as_bytes()))?;
    append_overlay(out, overlay);
    write_field(out, b"x-request-id", request_id.as_bytes())?;
    write_field(out, b"content-type", b"application/grpc")?;
    let code = Code::of(answer.reason, answer.status);
    write_field(out, b"grpc-status", code.as_str().as_bytes())?;
    write_field(out, b"grpc-message", answer.reason.as_str().as_bytes())?;
    write_head_end(out);
    Ok(())
}

fn write_all(
    worker: &Worker,
    out: &mut Vec<u8>,
    answer: &Answer,
    overlay: &Overlay,
    request_id: &str,
    shape: Shape,
) -> Result<(), http1::WriteError> {
    let phrase = phrase(answer.status);
    write_status_line(out, answer.status, phrase.as_bytes())?;
    worker.log.http_date(worker.clock.now(), |date| write_field(out, b"date", date.as_bytes()))?;
    for (name, value) in &answer.fields {
        if overlay.is_empty() || overlay.keeps(name.as_bytes()) {
            write_field(out, name.as_bytes(), value.as_bytes())?;
        }
    }
    append_overlay(out, overlay);
    write_field(out, b"x-request-id", request_id.as_bytes())?;
    let bodyless = [204, 304].contains(&answer.status);
    let body = match &answer.body {
        Some(body) if !bodyless => Cow::Borrowed(body.as_slice()),
        None if answer.status >= 400 => {
            write_field(out, b"content-type", b"text/plain; charset=utf-8")?;
            let text = format!("{} {phrase}\nrequest id: {request_id}\n", answer.status);
            Cow::Owned(text.into_bytes())
        }
        Some(_) | None => Cow::Borrowed(&[][..]),
    };
    if !bodyless {
        write_content_length(out, u64::try_from(body.len()).unwrap_or(0));
    }
    if answer.close {
        write_field(out, b"connection", b"close")?;
    } else if shape.version == Version::Http10 {
        write_field(out, b"connection", b"keep-alive")?;
    }
    write_head_end(out);
    if shape.method != Method::Head {
        out.extend_from_slice(&body);
    }
    Ok(())
}

/// Sends what is in `scratch.to_client`; false when the client is gone or does not read.
pub(crate) async fn send(
    connection: &mut Connection,
    scratch: &mut Scratch,
    record: &mut Record<'_>,
) -> bool {
    let worker = Rc::clone(&connection.worker);
    connection.timer.arm(worker.limits.write_idle);
    if let Some(client) = connection.stream.http2()
        && !send_head(client, &mut scratch.to_client)
    {
        return false;
    }
    poll_fn(|cx| {
        loop {
            let pending = scratch.to_client.pending();
            if pending.is_empty() {
                return match connection.stream.poll_flush(cx) {
                    Poll::Ready(flushed) => Poll::Ready(flushed.is_ok()),
                    Poll::Pending if connection.timer.expired() => Poll::Ready(false),
                    Poll::Pending => Poll::Pending,
                };
            }
            let sent = match &mut connection.stream {
                Stream::Http2(client) => client.poll_send(cx, pending, true),
                stream @ (Stream::Plain(_) | Stream::Tls(_)) => stream.poll_write(cx, pending),
            };
            match sent {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(false),
                Poll::Ready(Ok(written)) => {
                    scratch.to_client.advance(written);
                    record.add_sent(written);
                    connection.timer.arm(worker.limits.write_idle);
                }
                Poll::Pending if connection.timer.expired() => return Poll::Ready(false),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

/// Sends the head at the front of `outgoing`; what follows is the body.
fn send_head(client: &mut ClientStream, outgoing: &mut Outgoing) -> bool {
    let end = outgoing.bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let head = end.map_or(outgoing.bytes.len(), |end| end.saturating_add(4));
    let ends = head >= outgoing.bytes.len();
    let lines = outgoing.bytes.get(..head).unwrap_or_default();
    let sent = client.send_head(lines, ends).is_ok();
    outgoing.sent = head;
    sent
}

/// A new random request id: 32 hexadecimal digits.
pub(crate) fn make_request_id(random: &Random, out: &mut String) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
    let bits = (u128::from(random.next()) << 64) | u128::from(random.next());
    let mut id = [0u8; 32];
    let (pairs, _) = id.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bits.to_be_bytes()) {
        *pair = [digit(byte >> 4), digit(byte & 0xf)];
    }
    out.clear();
    out.push_str(std::str::from_utf8(&id).unwrap_or_default());
}

pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
