//! A connection that its driver and the holders of its streams share.

use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use ::http2::{Block, Config, Connection, ErrorCode, Fields, Response, Role, StreamError};

use crate::{limits::Limits, worker::Worker};

/// One task drives the connection: it alone reads and writes the socket. Those that hold a stream
/// change its state here, and wake the driver when there is something to send.
pub(super) struct Shared {
    worker: Rc<Worker>,
    connection: RefCell<Connection>,
    driver: RefCell<Option<Waker>>,
    /// The driver was woken and has not rested since.
    woken: Cell<bool>,
}

/// The bounds of one connection.
pub(super) fn config(role: Role, limits: &Limits) -> Config {
    Config {
        streams: limits.http2_streams,
        window: limits.http2_window,
        connection_window: match role {
            Role::Server => limits.http2_connection_window,
            // That of all its streams together: a client that reads slowly must not stop the
            // responses of others.
            Role::Client => limits.http2_window.saturating_mul(limits.http2_streams),
        },
        header_list: limits.http2_header_list,
        output: limits.http2_send_buffer,
        resets: limits.http2_resets,
        control_frames: limits.http2_control_frames,
    }
}

impl Shared {
    pub(super) fn new(worker: &Rc<Worker>, role: Role) -> Rc<Self> {
        Rc::new(Self {
            connection: RefCell::new(Connection::new(role, config(role, &worker.limits))),
            worker: Rc::clone(worker),
            driver: RefCell::new(None),
            woken: Cell::new(false),
        })
    }

    /// For the driver, at the begin of its turn: until [`Shared::rest`] it hears everything.
    pub(super) fn listen(&self, cx: &Context<'_>) {
        self.woken.set(true);
        let mut driver = self.driver.borrow_mut();
        match &mut *driver {
            Some(driver) => driver.clone_from(cx.waker()),
            None => *driver = Some(cx.waker().clone()),
        }
    }

    /// For the driver, at the end of its turn.
    pub(super) fn rest(&self) {
        self.woken.set(false);
    }

    pub(super) fn wake_driver(&self) {
        if !self.woken.replace(true)
            && let Some(driver) = &*self.driver.borrow()
        {
            driver.wake_by_ref();
        }
    }

    /// Does something with the connection. Its output has memory only while there is some.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Connection) -> T) -> T {
        let mut connection = self.connection.borrow_mut();
        connection.lend_buffer(|| self.worker.http2_spare.take());
        let result = act(&mut connection);
        if let Some(buffer) = connection.take_buffer() {
            self.worker.http2_spare.give(buffer);
        } else if !connection.output().is_empty() {
            self.wake_driver();
        }
        result
    }

    /// Says that the socket took `bytes` of the output.
    pub(super) fn drained(&self, bytes: usize) {
        let mut connection = self.connection.borrow_mut();
        connection.advance(bytes);
        if let Some(buffer) = connection.take_buffer() {
            self.worker.http2_spare.give(buffer);
        }
    }

    /// Looks at the connection.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Connection) -> T) -> T {
        look(&self.connection.borrow())
    }
}

/// A stream that is held, until this is dropped.
pub(super) struct Handle {
    shared: Rc<Shared>,
    id: u32,
}

impl Handle {
    /// Takes hold of a stream that was opened or accepted.
    pub(super) fn new(shared: Rc<Shared>, id: u32) -> Self {
        Self { shared, id }
    }

    pub(super) fn send_head(
        &self,
        fields: impl FnOnce(&mut Block<'_>),
        last: bool,
        ends: bool,
    ) -> io::Result<()> {
        let sent = self.shared.with(|connection| connection.send_head(self.id, fields, last, ends));
        sent.map_err(io_error)
    }

    pub(super) fn finish(&self, trailers: impl FnOnce(&mut Block<'_>)) -> io::Result<()> {
        self.shared.with(|connection| connection.finish(self.id, trailers)).map_err(io_error)
    }

    pub(super) fn poll_send(
        &self,
        cx: &Context<'_>,
        bytes: &[u8],
        last: bool,
    ) -> Poll<io::Result<usize>> {
        let sent = self.shared.with(|connection| connection.poll_send(self.id, cx, bytes, last));
        sent.map_err(io_error)
    }

    pub(super) fn poll_data(&self, cx: &Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        let read = self.shared.with(|connection| connection.poll_data(self.id, cx, space));
        read.map_err(io_error)
    }

    pub(super) fn poll_response(&self, cx: &Context<'_>) -> Poll<io::Result<Response>> {
        let response = self.shared.with(|connection| connection.poll_response(self.id, cx));
        response.map_err(io_error)
    }

    pub(super) fn poll_failed(&self, cx: &Context<'_>) -> Poll<StreamError> {
        self.shared.with(|connection| connection.poll_failed(self.id, cx))
    }

    pub(super) fn is_read(&self) -> bool {
        self.shared.look(|connection| connection.is_read(self.id))
    }

    pub(super) fn take_trailers(&self) -> Option<Fields> {
        self.shared.with(|connection| connection.take_trailers(self.id))
    }

    /// Gives the memory of fields back.
    pub(super) fn reuse(&self, fields: Fields) {
        self.shared.with(|connection| connection.reuse(fields));
    }

    /// Resets the stream, unless it came to its end.
    pub(super) fn abort(&self, code: ErrorCode) {
        let left = self.shared.with(|connection| {
            connection.release(self.id, code);
            connection.stream_count()
        });
        if left == 0 {
            // It may wait for that, to leave or to idle.
            self.shared.wake_driver();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.abort(ErrorCode::CANCEL);
    }
}

/// Reports the end of a stream as one of the byte stream that it stands for.
fn io_error(error: StreamError) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}
