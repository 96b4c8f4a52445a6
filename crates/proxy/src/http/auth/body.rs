//! The request's body, read ahead for a service that wants to see it.

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use http1::{BodyDecoder, BodyEvent, BodyFraming};

use crate::{
    http::{connection::Connection, local::Answer, record::Record, scratch::Scratch},
    observe::reason::Reason,
};

/// Bytes of framing that a body may have beyond one for each of its own.
const FRAMING: usize = 16 * 1024;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The whole body of the request, which stays in `scratch.input` for the backend.
///
/// # Errors
/// The answer to a request whose body is larger than `most` bytes, broken, or does not come.
pub(super) async fn read(
    connection: &mut Connection,
    scratch: &mut Scratch,
    most: usize,
    record: &mut Record<'_>,
) -> Result<Vec<u8>, Answer> {
    let framing = scratch.request_body.framing();
    let mut decoder = BodyDecoder::new();
    decoder.start_request(framing);
    let most_bytes = u64::try_from(most).unwrap_or(u64::MAX);
    if decoder.remaining().is_some_and(|length| length > most_bytes) {
        return Err(Answer::of(Reason::ContentTooLarge));
    }
    let mut ahead = Ahead { decoder, used: 0, content: Vec::new(), most };
    if framing != BodyFraming::None && scratch.request.expect_continue() {
        invite(connection).await?;
    }
    let started = connection.worker.clock.now();
    connection.timer.arm(connection.worker.limits.body_idle);
    let read = poll_fn(|cx| ahead.poll(cx, connection, scratch, started)).await;
    match read {
        Ok(()) => Ok(ahead.content),
        Err(Stop::Answer(answer)) => Err(answer),
        Err(Stop::Broken(error)) => {
            record.detail = error.reason.label();
            Err(Answer { status: error.status, ..Answer::closing(Reason::BadBody) })
        }
    }
}

enum Stop {
    Answer(Answer),
    Broken(http1::BodyError),
}

/// Tells a client that waits for it to send its body.
async fn invite(connection: &mut Connection) -> Result<(), Answer> {
    let gone = || Answer::closing(Reason::ClientGone);
    if let Some(client) = connection.stream.http2() {
        return client.send_interim(CONTINUE).map_err(|_| gone());
    }
    let mut left = CONTINUE;
    connection.timer.arm(connection.worker.limits.write_idle);
    poll_fn(|cx| {
        while !left.is_empty() {
            match connection.stream.poll_write(cx, left) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(gone())),
                Poll::Ready(Ok(written)) => left = left.get(written..).unwrap_or_default(),
                Poll::Pending if connection.timer.expired() => return Poll::Ready(Err(gone())),
                Poll::Pending => return Poll::Pending,
            }
        }
        connection.stream.poll_flush(cx).map_err(|_| gone())
    })
    .await
}

/// Decodes what is in the input without taking it from there.
struct Ahead {
    decoder: BodyDecoder,
    /// Bytes of the input that are decoded.
    used: usize,
    content: Vec<u8>,
    most: usize,
}

impl Ahead {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        scratch: &mut Scratch,
        started: std::time::Instant,
    ) -> Poll<Result<(), Stop>> {
        let worker = std::rc::Rc::clone(&connection.worker);
        let limits = &worker.limits;
        let largest = self.most.saturating_mul(2).saturating_add(FRAMING);
        let stop = |answer| Poll::Ready(Err(Stop::Answer(answer)));
        loop {
            if self.decode(scratch, &limits.head)? {
                return Poll::Ready(Ok(()));
            }
            if connection.stream.http2().is_some_and(|client| client.ended()) {
                return Poll::Ready(Ok(()));
            }
            let input = &mut scratch.input;
            if input.len() > largest {
                return stop(Answer::closing(Reason::ContentTooLarge));
            }
            if !input.has_space() {
                let head = input.kept().len();
                input.grow(limits.buffer_initial, largest.saturating_add(head).saturating_mul(2));
            }
            match connection.stream.poll_read(cx, input.space()) {
                Poll::Ready(Ok(0)) if connection.stream.is_http2() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(0) | Err(_)) => return stop(Answer::closing(Reason::ClientGone)),
                Poll::Ready(Ok(count)) => {
                    input.filled(count);
                    connection.received(count);
                    // The longer it took so far, the less time the rest has.
                    let waited = worker.clock.now().saturating_duration_since(started);
                    let patience = limits.body_idle.saturating_mul(2).saturating_sub(waited);
                    connection.timer.arm(patience.min(limits.body_idle));
                }
                Poll::Pending if connection.timer.expired() => {
                    return stop(Answer::closing(Reason::BodyTimeout));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether the body has come to its end.
    fn decode(&mut self, scratch: &Scratch, limits: &http1::Limits) -> Result<bool, Stop> {
        loop {
            let unread = scratch.input.unread();
            let rest = unread.get(self.used..).unwrap_or_default();
            match self.decoder.decode(rest, limits).map_err(Stop::Broken)? {
                BodyEvent::Data { start, end } => {
                    self.content.extend_from_slice(rest.get(start..end).unwrap_or_default());
                    self.used = self.used.saturating_add(end);
                    if self.content.len() > self.most {
                        return Err(Stop::Answer(Answer::closing(Reason::ContentTooLarge)));
                    }
                }
                BodyEvent::NeedMore => {
                    self.used = unread.len();
                    return Ok(false);
                }
                BodyEvent::End { .. } => return Ok(true),
            }
        }
    }
}
