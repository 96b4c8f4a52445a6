//! Tasks that serve the requests of HTTP/2 connections, one after the other.
//!
//! What a request needs while it waits is several KiB. A task of its own for each request would
//! cost the making of that, the moving of it to its place and a deadline's slot; a task that ended
//! its request waits for another one instead.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::{Context, Poll, Waker},
};

/// Where a task that waits is handed its next request.
pub(super) struct Seat<T> {
    request: Cell<Option<T>>,
    waker: RefCell<Option<Waker>>,
    dismissed: Cell<bool>,
}

impl<T> Default for Seat<T> {
    fn default() -> Self {
        Self { request: Cell::new(None), waker: RefCell::new(None), dismissed: Cell::new(false) }
    }
}

impl<T> Seat<T> {
    /// The next request; `None` when there is nothing more to do.
    pub(super) fn poll_request(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(request) = self.request.take() {
            return Poll::Ready(Some(request));
        }
        if self.dismissed.get() {
            return Poll::Ready(None);
        }
        let mut waker = self.waker.borrow_mut();
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// The tasks of one worker that wait for a request.
pub(crate) struct Tasks<T> {
    free: RefCell<Vec<Rc<Seat<T>>>>,
    /// The fewest that waited at once since the last [`Tasks::trim`].
    unused: Cell<usize>,
}

impl<T> Default for Tasks<T> {
    fn default() -> Self {
        Self { free: RefCell::default(), unused: Cell::new(0) }
    }
}

impl<T> Tasks<T> {
    /// Hands the request to a task; gives it back when none waits.
    pub(super) fn hand(&self, request: T) -> Option<T> {
        let mut free = self.free.borrow_mut();
        let Some(seat) = free.pop() else { return Some(request) };
        self.unused.set(self.unused.get().min(free.len()));
        seat.request.set(Some(request));
        seat.wake();
        None
    }

    /// Lets a task wait; false when `most` do already.
    pub(super) fn wait(&self, seat: &Rc<Seat<T>>, most: usize) -> bool {
        let mut free = self.free.borrow_mut();
        let room = free.len() < most;
        if room {
            free.push(Rc::clone(seat));
        }
        room
    }

    /// Ends the tasks that nobody needed since the last call. Returns how many remain.
    pub(crate) fn trim(&self) -> usize {
        let mut free = self.free.borrow_mut();
        let needed = free.len().saturating_sub(self.unused.get());
        for seat in free.drain(needed..) {
            seat.dismissed.set(true);
            seat.wake();
        }
        self.unused.set(free.len());
        free.len()
    }
}
