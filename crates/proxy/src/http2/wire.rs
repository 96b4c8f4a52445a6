//! The byte stream under an HTTP/2 connection: writes are collected until the connection's task
//! has heard all its streams, and then leave together.
//!
//! A write is late by less than one turn of the event loop. One send costs more than everything
//! else that is done for a small response.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use ::http2::Connection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{http2::shared::Shared, observe::metrics::count_bytes, timer::Slot, worker::Worker};

/// Bytes that a closed connection may still send.
const LINGER_BYTES: usize = 256 * 1024;
/// Bytes that are read at once.
const INPUT: usize = 32 * 1024;
/// Buffers that wait to be collected in.
const SPARE_MOST: usize = 4;

/// What the connections of one worker read into and collect in: a buffer is held only while it has
/// something in it, so that a few serve them all, and an idle connection has none.
#[derive(Default)]
pub(crate) struct Spare {
    output: RefCell<Vec<Vec<u8>>>,
    /// Never borrowed over a wait.
    input: RefCell<Vec<u8>>,
}

impl Spare {
    pub(super) fn take(&self) -> Vec<u8> {
        self.output.borrow_mut().pop().unwrap_or_default()
    }

    pub(super) fn give(&self, mut buffer: Vec<u8>) {
        let mut spare = self.output.borrow_mut();
        if spare.len() < SPARE_MOST && buffer.capacity() > 0 {
            buffer.clear();
            spare.push(buffer);
        }
    }

    pub(crate) fn free(&self) {
        self.output.borrow_mut().clear();
        self.input.take();
    }
}

/// How a turn of a connection's driver ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The peer ended the connection.
    Ended,
    /// The socket took everything.
    Drained,
    /// It did not.
    Behind,
}

/// The socket of a connection.
pub(super) struct Wire<S> {
    socket: S,
    flushed: bool,
    /// Bytes that the socket took, ever.
    sent: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(socket: S) -> Self {
        Self { socket, flushed: true, sent: 0 }
    }

    /// Reads and writes as much as the socket has and takes. `heard` is told how many bytes came,
    /// each time some came.
    pub(super) fn turn(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        shared: &Shared,
        mut heard: impl FnMut(usize),
    ) -> io::Result<Turn> {
        loop {
            let mut all = false;
            while !all && shared.look(Connection::wants_input) {
                match self.poll_receive(cx, worker, shared)? {
                    Poll::Ready(0) => return Ok(Turn::Ended),
                    Poll::Ready(bytes) => heard(bytes),
                    Poll::Pending => all = true,
                }
            }
            let drained = self.poll_drain(cx, shared)?.is_ready();
            if all || !shared.look(Connection::wants_input) {
                return Ok(if drained { Turn::Drained } else { Turn::Behind });
            }
        }
    }

    /// Reads once what the peer sent, and lets the connection take it; gives the number of bytes, 0
    /// at the end.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        shared: &Shared,
    ) -> Poll<io::Result<usize>> {
        let mut input = worker.http2_spare.input.borrow_mut();
        if input.is_empty() {
            input.resize(INPUT, 0);
        }
        let mut target = ReadBuf::new(&mut input);
        ready!(Pin::new(&mut self.socket).poll_read(cx, &mut target))?;
        let second = worker.clock.second();
        shared.with(|connection| connection.receive(target.filled(), second));
        Poll::Ready(Ok(target.filled().len()))
    }

    /// Writes what was collected. Ready when the socket took all of it.
    fn poll_drain(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Poll<io::Result<()>> {
        loop {
            let written = shared.look(|connection| match connection.output() {
                [] => None,
                rest => Some(Pin::new(&mut self.socket).poll_write(cx, rest)),
            });
            let Some(written) = written else { break };
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            shared.drained(written);
            self.flushed = false;
            self.sent = self.sent.saturating_add(u64::try_from(written).unwrap_or(0));
        }
        if !self.flushed {
            ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Bytes that the socket took.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Ends our side, if the socket takes that at once.
    pub(super) async fn end(&mut self) {
        poll_fn(|cx| match Pin::new(&mut self.socket).poll_shutdown(cx) {
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(()),
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "a connection to an endpoint was not ended well");
                Poll::Ready(())
            }
        })
        .await;
    }

    /// Ends our side and reads what still comes, for as long as `timer` says: closing with unread
    /// bytes would reset the connection.
    pub(super) async fn linger(&mut self, timer: &Slot, shared: &Shared) {
        let mut left = LINGER_BYTES;
        let mut ended = false;
        poll_fn(|cx| {
            let mut space = [0u8; 4096];
            if timer.expired() {
                return Poll::Ready(());
            }
            if !ended {
                if ready!(self.poll_drain(cx, shared)).is_err()
                    || ready!(Pin::new(&mut self.socket).poll_shutdown(cx)).is_err()
                {
                    return Poll::Ready(());
                }
                ended = true;
            }
            loop {
                let mut target = ReadBuf::new(&mut space);
                let read = ready!(Pin::new(&mut self.socket).poll_read(cx, &mut target));
                let count = target.filled().len();
                if read.is_err() || count == 0 || count >= left {
                    return Poll::Ready(());
                }
                left = left.saturating_sub(count);
            }
        })
        .await;
    }
}

/// Counts what came from a client.
pub(super) fn count_received(worker: &Worker, bytes: usize) {
    let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
    count_bytes(&worker.counters.totals.downstream_in, bytes);
}
