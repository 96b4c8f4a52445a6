//! A stream whose writes wait until its owner has nothing else to do, so that many frames leave in one.

use std::{
    cell::RefCell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Bytes that may wait.
const MOST: usize = 256 * 1024;

/// The stream as the protocol sees it.
pub(super) struct Batched(Rc<RefCell<Inner>>);

/// The same stream for the one who decides when its writes leave.
pub(super) struct Waiting(Rc<RefCell<Inner>>);

struct Inner {
    stream: TcpStream,
    waiting: Vec<u8>,
}

impl Inner {
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let written = Pin::new(&mut self.stream).poll_write(context, &self.waiting);
            match written {
                Poll::Ready(Ok(count)) => drop(self.waiting.drain(..count)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Batched {
    pub(super) fn new(stream: TcpStream) -> (Self, Waiting) {
        let inner = Rc::new(RefCell::new(Inner { stream, waiting: Vec::new() }));
        (Self(Rc::clone(&inner)), Waiting(inner))
    }
}

impl Waiting {
    /// `polled` as it is; when it is pending, what waits is written first.
    pub(super) fn drain_when_pending<T>(
        &self,
        context: &mut Context<'_>,
        polled: Poll<T>,
    ) -> Poll<T> {
        if polled.is_pending() {
            // An error comes back with the next read or write of the protocol.
            drop(self.0.borrow_mut().poll_drain(context));
        }
        polled
    }
}

impl AsyncRead for Batched {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Batched {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.0.borrow_mut();
        if inner.waiting.len() > MOST {
            std::task::ready!(inner.poll_drain(context))?;
        }
        inner.waiting.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        std::task::ready!(inner.poll_drain(context))?;
        Pin::new(&mut inner.stream).poll_shutdown(context)
    }
}
