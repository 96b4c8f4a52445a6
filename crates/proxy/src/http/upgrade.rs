//! Connections that switched to another protocol: bytes both ways, nothing understood.

use std::{
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll},
};

use crate::{
    buffer::Buffer,
    http::{connection::Connection, record::Record, scratch::Scratch},
    upstream::stream::UpstreamStream,
    worker::{Phase, Worker},
};

/// One direction of a tunnel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Open,
    /// The source ended; its end is to be passed on.
    Ending,
    Ended,
}

/// Copies until both sides ended, nothing moved for too long, or one side failed. What either
/// side sent behind its head is in the buffers and goes first.
pub(crate) async fn tunnel(
    worker: &Rc<Worker>,
    connection: &mut Connection,
    scratch: &mut Scratch,
    mut upstream: UpstreamStream,
    record: &mut Record<'_>,
) {
    let idle = worker.limits.tunnel_idle;
    make_room(worker, scratch);
    connection.timer.arm(idle);
    let (mut up, mut down) = (Half::Open, Half::Open);
    let ended: io::Result<()> = poll_fn(|cx| {
        let mut moved = false;
        let Scratch { input, from_upstream, .. } = &mut *scratch;
        let stream = &mut connection.stream;
        loop {
            let before = moved;
            moved = false;
            let sent = copy(
                cx,
                input,
                &mut up,
                |cx, space| stream.poll_read(cx, space),
                &mut upstream,
                UpstreamStream::poll_write,
                UpstreamStream::poll_shutdown,
            )?;
            record.received = record.received.wrapping_add(sent);
            let received = copy(
                cx,
                from_upstream,
                &mut down,
                |cx, space| upstream.poll_read(cx, space),
                stream,
                |stream, cx, bytes| stream.poll_write(cx, bytes),
                |stream, cx| stream.poll_shutdown(cx),
            )?;
            record.sent = record.sent.wrapping_add(received);
            moved |= sent > 0 || received > 0;
            if !moved {
                moved = before;
                break;
            }
        }
        for flushed in [stream.poll_flush(cx), upstream.poll_flush(cx)] {
            if let Poll::Ready(Err(error)) = flushed {
                return Poll::Ready(Err(error));
            }
        }
        if up == Half::Ended && down == Half::Ended {
            return Poll::Ready(Ok(()));
        }
        if moved {
            connection.timer.arm(idle);
        } else if connection.timer.expired() {
            return Poll::Ready(Ok(()));
        }
        if worker.phase() == Phase::Closing && (up == Half::Ended || down == Half::Ended) {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    })
    .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a tunnel ended");
    }
}

/// A head that came in HTTP/2 left no room behind it.
fn make_room(worker: &Worker, scratch: &mut Scratch) {
    for buffer in [&mut scratch.input, &mut scratch.from_upstream] {
        if !buffer.has_space() {
            buffer.grow(worker.limits.buffer_initial, worker.limits.buffer_largest);
        }
    }
}

/// Moves what can be moved one way; returns how many bytes were written.
fn copy<T>(
    cx: &mut Context<'_>,
    buffer: &mut Buffer,
    half: &mut Half,
    mut read: impl FnMut(&mut Context<'_>, &mut [u8]) -> Poll<io::Result<usize>>,
    target: &mut T,
    mut write: impl FnMut(&mut T, &mut Context<'_>, &[u8]) -> Poll<io::Result<usize>>,
    mut shutdown: impl FnMut(&mut T, &mut Context<'_>) -> Poll<io::Result<()>>,
) -> io::Result<u64> {
    let mut total = 0u64;
    loop {
        while !buffer.is_empty() {
            match write(target, cx, buffer.unread()) {
                Poll::Pending => return Ok(total),
                Poll::Ready(written) => {
                    let written = written?;
                    if written == 0 {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                    buffer.consume(written);
                    total = total.saturating_add(u64::try_from(written).unwrap_or(0));
                }
            }
        }
        match *half {
            Half::Ended => return Ok(total),
            Half::Ending => match shutdown(target, cx) {
                Poll::Pending => return Ok(total),
                Poll::Ready(done) => {
                    done?;
                    *half = Half::Ended;
                }
            },
            Half::Open => match read(cx, buffer.space()) {
                Poll::Pending => return Ok(total),
                Poll::Ready(count) => match count? {
                    0 => *half = Half::Ending,
                    count => buffer.filled(count),
                },
            },
        }
    }
}
