//! Bytes both ways between a client and an endpoint.
//!
//! A worker has one space to read into, shared by all its relays: what was read is written on at
//! once, and only what the other side does not take is kept with the connection. An idle
//! connection therefore holds no buffer.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    l4::stall::Stall,
    observe::reason::Reason,
    stream::Stream,
    timer::Slot,
    upstream::stream::UpstreamStream,
    worker::{Phase, Worker},
};

/// Most that is read at one time, and most that is kept of one direction.
pub(crate) const SPACE: usize = 64 * 1024;
/// A kept piece up to this size leaves its memory for the next one.
const KEEP: usize = 4 * 1024;

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
    stall: Stall,
}

impl Direction {
    fn new(head: Vec<u8>) -> Self {
        Self { kept: head, sent: 0, half: Half::Open, moved: 0, stall: Stall::default() }
    }

    /// Moves what can be moved.
    fn pump(
        &mut self,
        cx: &mut Context<'_>,
        space: &mut [u8],
        source: &mut (impl AsyncRead + Unpin),
        target: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Broken> {
        loop {
            if !self.write_kept(cx, target)? {
                return Ok(());
            }
            match self.half {
                Half::Ended => return Ok(()),
                Half::Ending => match Pin::new(&mut *target).poll_shutdown(cx) {
                    Poll::Pending => return Ok(()),
                    Poll::Ready(Err(_)) => return Err(Broken::Target),
                    Poll::Ready(Ok(())) => self.half = Half::Ended,
                },
                Half::Open => {
                    let mut read = ReadBuf::new(space);
                    match Pin::new(&mut *source).poll_read(cx, &mut read) {
                        Poll::Pending => {
                            return flushed(Pin::new(&mut *target).poll_flush(cx));
                        }
                        Poll::Ready(Err(_)) => return Err(Broken::Source),
                        Poll::Ready(Ok(())) if read.filled().is_empty() => {
                            self.half = Half::Ending;
                        }
                        Poll::Ready(Ok(())) => self.write(cx, read.filled(), target)?,
                    }
                }
            }
        }
    }

    /// Writes bytes that were just read; what is not taken is kept.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        target: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Broken> {
        let taken = match Pin::new(target).poll_write(cx, bytes) {
            Poll::Pending => 0,
            Poll::Ready(Ok(taken)) if taken > 0 => taken,
            Poll::Ready(Ok(_) | Err(_)) => return Err(Broken::Target),
        };
        self.count(taken);
        self.kept.extend_from_slice(bytes.get(taken..).unwrap_or_default());
        Ok(())
    }

    /// True when nothing is kept any more.
    fn write_kept(
        &mut self,
        cx: &mut Context<'_>,
        target: &mut (impl AsyncWrite + Unpin),
    ) -> Result<bool, Broken> {
        while let Some(rest) = self.kept.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match Pin::new(&mut *target).poll_write(cx, rest) {
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

    /// Notes whether bytes wait for the target, which just took `taken`; true when that changed.
    fn note(&mut self, worker: &Worker, taken: u64) -> bool {
        let waits = self.sent < self.kept.len();
        self.stall.note(waits, taken > 0, &worker.clock)
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

/// Copies until both sides ended, nothing moved for too long, one side took nothing for too long,
/// or one side failed. `heads` were read already: from the client, and from the endpoint. `count`
/// hears of what was written, up and down. `None` is a good end; at any other the caller decides
/// whether the sides may take what they have for the whole.
pub(crate) async fn relay(
    worker: &Worker,
    timer: &Slot,
    client: &mut Stream,
    endpoint: &mut UpstreamStream,
    heads: [Vec<u8>; 2],
    mut count: impl FnMut(u64, u64),
) -> Option<Reason> {
    timer.arm(worker.limits.tunnel_idle);
    let [mut up, mut down] = heads.map(Direction::new);
    poll_fn(|cx| {
        let mut space = worker.relay_space.borrow_mut();
        let size = space.len().max(SPACE);
        space.resize(size, 0);
        let upward = up.pump(cx, &mut space, client, endpoint);
        let downward = down.pump(cx, &mut space, endpoint, client);
        let (received, sent) = (std::mem::take(&mut up.moved), std::mem::take(&mut down.moved));
        count(received, sent);
        match (upward, downward) {
            (Err(Broken::Source), _) | (_, Err(Broken::Target)) => {
                return Poll::Ready(Some(Reason::ClientGone));
            }
            (Err(Broken::Target), _) | (_, Err(Broken::Source)) => {
                return Poll::Ready(Some(Reason::UpstreamReset));
            }
            (Ok(()), Ok(())) => {}
        }
        let waits = [up.note(worker, received), down.note(worker, sent)];
        let changed = received > 0 || sent > 0 || waits.contains(&true);
        poll_end(worker, timer, (&up, &down), changed)
    })
    .await
}

/// `changed` says that time begins anew for what comes next.
fn poll_end(
    worker: &Worker,
    timer: &Slot,
    (up, down): (&Direction, &Direction),
    changed: bool,
) -> Poll<Option<Reason>> {
    let ended = |direction: &Direction| direction.half == Half::Ended;
    if ended(up) && ended(down) {
        return Poll::Ready(None);
    }
    let longest = worker.limits.tunnel_write_idle;
    let stalled = [up, down].into_iter().filter_map(|one| one.stall.deadline(longest)).min();
    if timer.expired() && stalled.is_some_and(|deadline| deadline <= worker.clock.now()) {
        return Poll::Ready(Some(Reason::Stalled));
    }
    if changed {
        timer.arm_until(worker.limits.tunnel_idle, stalled);
    } else if timer.expired() {
        return Poll::Ready(Some(Reason::IdleTimeout));
    }
    if worker.phase() == Phase::Closing && (ended(up) || ended(down)) {
        return Poll::Ready(None);
    }
    Poll::Pending
}
