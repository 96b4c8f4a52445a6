//! Both sides of HTTP/2 over bytes in memory, for the fuzz targets: the same settings, the same
//! translation of heads and the same reading of bodies as over a socket, without one.

use std::{
    cell::Cell,
    future::Future,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use h2::{RecvStream, client::ResponseFuture, server::SendResponse};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    http2::{frames::Meter, head, pool, server, stream::Body},
    limits::Limits,
};

/// Most of a body that is looked at.
const BODY_MOST: usize = 1 << 20;
/// Turns of a connection; each takes at least one piece of the input.
const TURNS_MOST: usize = 1 << 16;

/// A message that came out of a connection.
#[derive(Debug, Default)]
pub struct Message {
    /// The head as HTTP/1.1 lines; `None` when it was refused before there were any.
    pub head: Option<Vec<u8>>,
    /// Bytes of its body that were read.
    pub body: usize,
    /// The trailers that would be passed on.
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether it came to its end.
    pub whole: bool,
}

/// What a connection made of its input.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The requests of a client, or the interim and final answers of a backend.
    pub messages: Vec<Message>,
    /// Bytes that we sent.
    pub sent: usize,
}

/// A socket whose peer sends `input`, in pieces, and then ends; what we send is counted.
struct Memory<'a> {
    input: &'a [u8],
    piece: usize,
    sent: Rc<Cell<usize>>,
}

impl AsyncRead for Memory<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.input.len().min(self.piece).min(space.remaining());
        let (piece, rest) = self.input.split_at_checked(count).unwrap_or((self.input, &[]));
        space.put_slice(piece);
        self.input = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.sent.set(self.sent.get().saturating_add(bytes.len()));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Runs the meter over what a peer sends, in the same pieces.
fn meter(mut meter: Meter, input: &[u8], piece: usize, limits: &Limits) {
    for (second, bytes) in (0..).zip(input.chunks(piece)) {
        meter.received(bytes, second, limits);
    }
}

/// A request in progress on a client's connection.
struct Exchange {
    message: Message,
    body: Option<Body>,
    answer: SendResponse<Bytes>,
}

/// A client's connection, preface included, that ends with `input`.
pub fn client(input: &[u8], piece: usize) -> Outcome {
    let limits = Limits::default();
    let piece = piece.max(1);
    meter(Meter::of_client(), input, piece, &limits);
    let sent = Rc::new(Cell::new(0));
    let mut exchanges: Vec<Exchange> = Vec::new();
    let memory = Memory { input, piece, sent: Rc::clone(&sent) };
    let context = &mut Context::from_waker(Waker::noop());
    let mut handshake = pin!(server::builder(&limits).handshake(memory));
    let Poll::Ready(Ok(mut connection)) = handshake.as_mut().poll(context) else {
        return Outcome::default();
    };
    for _ in 0..TURNS_MOST {
        match connection.poll_accept(context) {
            Poll::Ready(Some(Ok((request, answer)))) => {
                exchanges.push(begin(request, answer, &limits));
            }
            Poll::Ready(Some(Err(_)) | None) => break,
            Poll::Pending => {}
        }
        exchanges.iter_mut().for_each(|exchange| proceed(exchange, context));
    }
    exchanges.iter_mut().for_each(|exchange| proceed(exchange, context));
    let messages = exchanges.into_iter().map(|exchange| exchange.message).collect();
    Outcome { messages, sent: sent.get() }
}

fn begin(request: Request<RecvStream>, answer: SendResponse<Bytes>, limits: &Limits) -> Exchange {
    let (parts, body) = request.into_parts();
    let mut lines = Vec::new();
    let key = || "dGhlIHNhbXBsZSBub25jZQ==".to_owned();
    let read = head::read_request(&parts, body.is_end_stream(), key, limits, &mut lines);
    let head = read.is_ok().then_some(lines);
    Exchange {
        message: Message { head, ..Message::default() },
        body: Some(Body::new(body)),
        answer,
    }
}

fn proceed(exchange: &mut Exchange, context: &mut Context<'_>) {
    let Some(body) = &mut exchange.body else { return };
    if read_body(body, &mut exchange.message, context) {
        exchange.body = None;
        // A client that is gone takes no answer.
        drop(exchange.answer.send_response(Response::new(()), true));
    }
}

/// Reads what there is; true when nothing more comes.
fn read_body(body: &mut Body, message: &mut Message, context: &mut Context<'_>) -> bool {
    let mut space = [0; 4096];
    while message.body < BODY_MOST {
        match body.poll_read(context, &mut space) {
            Poll::Ready(Ok(0)) => {
                message.whole = true;
                let owned = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
                message.trailers = body.trailers().map(owned).collect();
                return true;
            }
            Poll::Ready(Ok(count)) => message.body = message.body.saturating_add(count),
            Poll::Ready(Err(_)) => return true,
            Poll::Pending => return false,
        }
    }
    true
}

/// A backend's connection, from its SETTINGS on, that ends with `input`; one GET was sent.
pub fn backend(input: &[u8], piece: usize) -> Outcome {
    let limits = Limits::default();
    let piece = piece.max(1);
    meter(Meter::default(), input, piece, &limits);
    let sent = Rc::new(Cell::new(0));
    let mut messages = Vec::new();
    let memory = Memory { input, piece, sent: Rc::clone(&sent) };
    let context = &mut Context::from_waker(Waker::noop());
    let mut handshake = pin!(pool::builder(&limits).handshake::<_, Bytes>(memory));
    let Poll::Ready(Ok((mut send, mut connection))) = handshake.as_mut().poll(context) else {
        return Outcome::default();
    };
    let lines = b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n";
    let Some(request) = head::to_request(lines, false) else { return Outcome::default() };
    let Ok((mut response, _)) = send.send_request(request, true) else {
        return Outcome::default();
    };
    let mut body = None;
    for _ in 0..TURNS_MOST {
        let ended = Pin::new(&mut connection).poll(context).is_ready();
        if body.is_none() {
            body = read_heads(&mut response, &mut messages, context);
        }
        let message = messages.last_mut();
        let read = body.as_mut().zip(message).is_some_and(|(b, m)| read_body(b, m, context));
        if ended || read {
            break;
        }
    }
    Outcome { messages, sent: sent.get() }
}

/// Reads the interim heads, and the final one, whose body it gives.
fn read_heads(
    response: &mut ResponseFuture,
    messages: &mut Vec<Message>,
    context: &mut Context<'_>,
) -> Option<Body> {
    let most = usize::try_from(Limits::default().interim_responses).unwrap_or(usize::MAX);
    let keep = |parts: &http::response::Parts, messages: &mut Vec<Message>| {
        let mut lines = Vec::new();
        head::read_response(parts, &mut lines);
        messages.push(Message { head: Some(lines), ..Message::default() });
    };
    while messages.len() < most {
        match response.poll_informational(context) {
            Poll::Ready(Some(Ok(interim))) => keep(&interim.into_parts().0, messages),
            Poll::Ready(Some(Err(_)) | None) | Poll::Pending => break,
        }
    }
    match Pin::new(response).poll(context) {
        Poll::Ready(Ok(answer)) => {
            let (parts, body) = answer.into_parts();
            keep(&parts, messages);
            Some(Body::new(body))
        }
        Poll::Ready(Err(_)) | Poll::Pending => None,
    }
}
