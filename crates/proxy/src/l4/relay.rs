//! Bytes both ways between a client and an endpoint.
//!
//! A worker has one space to read into, shared by all its relays: what was read is written on at
//! once, and only what the other side does not take is kept with the connection. An idle
//! connection therefore holds no buffer.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    observe::{l4::Opened, reason::Reason},
    stream::Stream,
    timer::Slot,
    upstream::stream::UpstreamStream,
    worker::{Phase, Worker},
};

/// Most that is read at one time, and most that is kept of one direction.
pub(crate) const SPACE: usize = 64 * 1024;
/// A kept piece up to this size leaves its memory for the next one.
const KEEP: usize = 4 * 1024;

/// One side of a relay.
trait Side {
    fn read(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>>;
    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    fn shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

macro_rules! side {
    ($stream:ident) => {
        impl Side for $stream {
            fn read(&mut self, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
                self.poll_read(cx, space)
            }

            fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                self.poll_write(cx, bytes)
            }

            fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_flush(cx)
            }

            fn shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_shutdown(cx)
            }
        }
    };
}

side!(Stream);
side!(UpstreamStream);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Open,
    /// The source ended; its end is to be passed on.
    Ending,
    Ended,
}

/// Which side of a direction failed.
enum Broken {
    Source,
    Target,
}

/// One direction.
struct Direction {
    /// Read and not taken yet, from `sent` on.
    kept: Vec<u8>,
    sent: usize,
    half: Half,
    /// Written, and not counted yet.
    moved: u64,
}

impl Direction {
    fn new(head: Vec<u8>) -> Self {
        Self { kept: head, sent: 0, half: Half::Open, moved: 0 }
    }

    /// Moves what can be moved.
    fn pump(
        &mut self,
        cx: &mut Context<'_>,
        space: &mut [u8],
        source: &mut impl Side,
        target: &mut impl Side,
    ) -> Result<(), Broken> {
        loop {
            if !self.write_kept(cx, target)? {
                return Ok(());
            }
            match self.half {
                Half::Ended => return Ok(()),
                Half::Ending => match target.shutdown(cx) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(Err(_)) => return Err(Broken::Target),
                    Poll::Ready(Ok(())) => self.half = Half::Ended,
                },
                Half::Open => match source.read(cx, space) {
                    Poll::Pending => return flushed(target.flush(cx)),
                    Poll::Ready(Err(_)) => return Err(Broken::Source),
                    Poll::Ready(Ok(0)) => self.half = Half::Ending,
                    Poll::Ready(Ok(read)) => {
                        self.write(cx, space.get(..read).unwrap_or_default(), target)?;
                    }
                },
            }
        }
    }

    /// Writes bytes that were just read; what is not taken is kept.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        target: &mut impl Side,
    ) -> Result<(), Broken> {
        let taken = match target.write(cx, bytes) {
            Poll::Pending => 0,
            Poll::Ready(Ok(taken)) if taken > 0 => taken,
            Poll::Ready(Ok(_) | Err(_)) => return Err(Broken::Target),
        };
        self.count(taken);
        self.kept.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        Ok(())
    }

    /// True when nothing is kept any more.
    fn write_kept(&mut self, cx: &mut Context<'_>, target: &mut impl Side) -> Result<bool, Broken> {
        while let Some(rest) = self.kept.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match target.write(cx, rest) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Ok(taken)) if taken > 0 => {
                    self.sent = self.sent.saturating_add(taken);
                    self.count(taken);
                }
                Poll::Ready(Ok(_) | Err(_)) => return Err(Broken::Target),
            }
        }
        if self.sent > 0 {
            self.sent = 0;
            self.kept.clear();
            if self.kept.capacity() > KEEP {
                self.kept = Vec::new();
            }
        }
        Ok(true)
    }

    fn count(&mut self, bytes: usize) {
        self.moved = self.moved.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

fn flushed(flushed: Poll<io::Result<()>>) -> Result<(), Broken> {
    match flushed {
        Poll::Ready(Err(_)) => Err(Broken::Target),
        Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
    }
}

/// What was moved.
#[derive(Clone, Copy, Default)]
pub(crate) struct Moved {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

/// Copies until both sides ended, nothing moved for too long, or one side failed; then the other
/// side is reset, so that it does not take what it has for the whole. `head` was read from the
/// client already. `None` is a good end.
pub(crate) async fn relay(
    worker: &Worker,
    timer: &Slot,
    mut client: Stream,
    head: Vec<u8>,
    mut endpoint: UpstreamStream,
    opened: &Opened,
) -> (Moved, Option<Reason>) {
    let idle = worker.limits.tunnel_idle;
    timer.arm(idle);
    let mut up = Direction::new(head);
    let mut down = Direction::new(Vec::new());
    let mut moved = Moved::default();
    let reason = poll_fn(|cx| {
        let mut space = worker.relay_space.borrow_mut();
        let size = space.len().max(SPACE);
        space.resize(size, 0);
        let upward = up.pump(cx, &mut space, &mut client, &mut endpoint);
        let downward = down.pump(cx, &mut space, &mut endpoint, &mut client);
        let (received, sent) = (std::mem::take(&mut up.moved), std::mem::take(&mut down.moved));
        moved.received = moved.received.saturating_add(received);
        moved.sent = moved.sent.saturating_add(sent);
        opened.add(received, sent);
        match (upward, downward) {
            (Err(Broken::Source), _) | (_, Err(Broken::Target)) => {
                return Poll::Ready(Some(Reason::ClientGone));
            }
            (Err(Broken::Target), _) | (_, Err(Broken::Source)) => {
                return Poll::Ready(Some(Reason::UpstreamReset));
            }
            (Ok(()), Ok(())) => {}
        }
        poll_end(worker, timer, idle, (&up, &down), received > 0 || sent > 0)
    })
    .await;
    if reason.is_some() {
        client.reset();
        endpoint.reset();
    }
    (moved, reason)
}

fn poll_end(
    worker: &Worker,
    timer: &Slot,
    idle: Duration,
    (up, down): (&Direction, &Direction),
    moved: bool,
) -> Poll<Option<Reason>> {
    let ended = |direction: &Direction| direction.half == Half::Ended;
    if ended(up) && ended(down) {
        return Poll::Ready(None);
    }
    if moved {
        timer.arm(idle);
    } else if timer.expired() {
        return Poll::Ready(Some(Reason::IdleTimeout));
    }
    if worker.phase() == Phase::Closing && (ended(up) || ended(down)) {
        return Poll::Ready(None);
    }
    Poll::Pending
}
