//! The byte stream under an HTTP/2 connection: writes are collected until the connection's task
//! has heard all its streams, and then leave together; what comes in is metered.
//!
//! A flush that the crate `h2` asks for does nothing. The task that drives the connection calls
//! [`Wire::poll_drain`] when there is nothing more to do, so a write is late by less than one turn
//! of the event loop. One send costs more than everything else that is done for a small response.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    http2::frames::Meter, observe::metrics::count_bytes, stream::Stream, timer::Slot,
    upstream::stream::UpstreamStream, worker::Worker,
};

/// Collected bytes at which a write waits for the socket.
const COLLECTED_MOST: usize = 64 * 1024;
/// Bytes that a closed connection may still send.
const LINGER_BYTES: usize = 256 * 1024;

/// Buffers that wait to be collected in.
const SPARE_MOST: usize = 4;

/// Where the connections of one worker collect: a buffer is held only while it has something in
/// it, so that a few serve them all, and an idle connection has none.
#[derive(Default)]
pub(crate) struct Spare(RefCell<Vec<Vec<u8>>>);

impl Spare {
    fn take(&self) -> Vec<u8> {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    fn give(&self, mut buffer: Vec<u8>) {
        let mut spare = self.0.borrow_mut();
        if spare.len() < SPARE_MOST && buffer.capacity() > 0 {
            buffer.clear();
            spare.push(buffer);
        }
    }

    pub(crate) fn free(&self) {
        self.0.borrow_mut().clear();
    }
}

/// Shared by the task that drives the connection and the `h2` connection inside it.
pub(super) struct Wire<S>(Rc<RefCell<Inner<S>>>);

struct Inner<S> {
    worker: Rc<Worker>,
    socket: S,
    /// Bytes that were read before HTTP/2 was known.
    replay: Vec<u8>,
    replayed: usize,
    collected: Vec<u8>,
    written: usize,
    flushed: bool,
    /// Bytes that the socket took, ever.
    sent: u64,
    meter: Meter,
    /// The peer is a client, whose bytes are counted.
    downstream: bool,
}

impl<S> Clone for Wire<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl Wire<Stream> {
    /// A client's connection, and what was read of it already.
    pub(super) fn of_client(worker: Rc<Worker>, socket: Stream, replay: Vec<u8>) -> Self {
        let inner = Inner::new(worker, socket, Meter::of_client());
        Self(Rc::new(RefCell::new(Inner { replay, downstream: true, ..inner })))
    }
}

impl Wire<UpstreamStream> {
    pub(super) fn of_endpoint(worker: Rc<Worker>, socket: UpstreamStream) -> Self {
        Self(Rc::new(RefCell::new(Inner::new(worker, socket, Meter::default()))))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Writes what was collected. Ready when the socket took all of it.
    pub(super) fn poll_drain(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_drain(cx)
    }

    /// Bytes that the socket took, and whether more wait.
    pub(super) fn progress(&self) -> (u64, bool) {
        let inner = self.0.borrow();
        (inner.sent, inner.written < inner.collected.len())
    }

    /// Ends our side and reads what still comes, for as long as `timer` says: closing with unread
    /// bytes would reset the connection.
    pub(super) async fn linger(&self, timer: &Slot) {
        let mut left = LINGER_BYTES;
        let mut ended = false;
        poll_fn(|cx| {
            let mut space = [0u8; 4096];
            let inner = &mut *self.0.borrow_mut();
            if timer.expired() {
                return Poll::Ready(());
            }
            if !ended {
                if ready!(inner.poll_drain(cx)).is_err()
                    || ready!(Pin::new(&mut inner.socket).poll_shutdown(cx)).is_err()
                {
                    return Poll::Ready(());
                }
                ended = true;
            }
            loop {
                let mut target = ReadBuf::new(&mut space);
                let read = ready!(Pin::new(&mut inner.socket).poll_read(cx, &mut target));
                let count = target.filled().len();
                if read.is_err() || count == 0 || count >= left {
                    return Poll::Ready(());
                }
                left = left.saturating_sub(count);
            }
        })
        .await;
    }

    pub(super) fn with_meter<T>(&self, with: impl FnOnce(&Meter) -> T) -> T {
        with(&self.0.borrow().meter)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Inner<S> {
    fn new(worker: Rc<Worker>, socket: S, meter: Meter) -> Self {
        Self {
            worker,
            socket,
            replay: Vec::new(),
            replayed: 0,
            collected: Vec::new(),
            written: 0,
            flushed: true,
            sent: 0,
            meter,
            downstream: false,
        }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let rest = self.collected.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written = self.written.saturating_add(written);
            self.sent = self.sent.saturating_add(u64::try_from(written).unwrap_or(0));
        }
        self.worker.http2_spare.give(std::mem::take(&mut self.collected));
        self.written = 0;
        if !self.flushed {
            ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
            self.flushed = true;
        }
        Poll::Ready(Ok(()))
    }

    /// Room for a write; pending while the socket does not take what was collected.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.collected.len().saturating_sub(self.written) < COLLECTED_MOST {
            return Poll::Ready(Ok(()));
        }
        self.poll_drain(cx)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.meter.fault().is_some() {
            // The connection is about to be closed for what was sent already.
            return Poll::Pending;
        }
        let replay = self.replay.get(self.replayed..).unwrap_or_default();
        let read = if replay.is_empty() {
            let before = target.filled().len();
            ready!(Pin::new(&mut self.socket).poll_read(cx, target))?;
            let read = target.filled().len().saturating_sub(before);
            if self.downstream {
                let bytes = u64::try_from(read).unwrap_or(u64::MAX);
                count_bytes(&self.worker.counters.totals.downstream_in, bytes);
            }
            read
        } else {
            let count = replay.len().min(target.remaining());
            target.put_slice(replay.get(..count).unwrap_or_default());
            self.replayed = self.replayed.saturating_add(count);
            if self.replayed >= self.replay.len() {
                self.replay = Vec::new();
                self.replayed = 0;
            }
            count
        };
        let filled = target.filled();
        let fresh = filled.get(filled.len().saturating_sub(read)..).unwrap_or_default();
        let second = self.worker.clock.second();
        self.meter.received(fresh, second, &self.worker.limits);
        Poll::Ready(Ok(()))
    }

    fn collect(&mut self, bytes: &[u8]) {
        if self.collected.capacity() == 0 {
            self.collected = self.worker.http2_spare.take();
        }
        self.collected.extend_from_slice(bytes);
        self.flushed = false;
        self.meter.sent(bytes.len());
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_read(cx, target)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.0.borrow_mut();
        ready!(inner.poll_room(cx))?;
        inner.collect(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.0.borrow_mut();
        ready!(inner.poll_room(cx))?;
        let mut count = 0usize;
        for slice in slices {
            inner.collect(slice);
            count = count.saturating_add(slice.len());
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Deferred to [`Wire::poll_drain`].
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        ready!(inner.poll_drain(cx))?;
        Pin::new(&mut inner.socket).poll_shutdown(cx)
    }
}
