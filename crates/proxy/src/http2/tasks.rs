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

use crate::reserve::Reserve;

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
pub(crate) struct Tasks<T>(Reserve<Rc<Seat<T>>>);

impl<T> Default for Tasks<T> {
    fn default() -> Self {
        Self(Reserve::default())
    }
}

impl<T> Tasks<T> {
    /// Hands the request to a task; gives it back when none waits.
    pub(super) fn hand(&self, request: T) -> Option<T> {
        let Some(seat) = self.0.take() else { return Some(request) };
        seat.request.set(Some(request));
        seat.wake();
        None
    }

    /// Lets a task wait; false when `most` do already.
    pub(super) fn wait(&self, seat: &Rc<Seat<T>>, most: usize) -> bool {
        let room = self.0.len() < most;
        if room {
            self.0.give(Rc::clone(seat));
        }
        room
    }

    /// Ends the tasks that nobody needed since the last call. Returns how many remain.
    pub(crate) fn trim(&self) -> usize {
        for seat in self.0.trim() {
            seat.dismissed.set(true);
            seat.wake();
        }
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(seat: &Seat<u8>) -> Poll<Option<u8>> {
        seat.poll_request(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_task_that_waits_is_handed_the_next_request() {
        let (tasks, seat) = (Tasks::default(), Rc::new(Seat::default()));
        assert_eq!(tasks.hand(1), Some(1));
        assert!(tasks.wait(&seat, 1));
        assert!(poll(&seat).is_pending());
        assert_eq!(tasks.hand(2), None);
        assert_eq!(poll(&seat), Poll::Ready(Some(2)));
        assert_eq!(tasks.hand(3), Some(3));
    }

    #[test]
    fn no_more_tasks_wait_than_may() {
        let (tasks, seat) = (Tasks::<u8>::default(), Rc::new(Seat::default()));
        assert!(tasks.wait(&seat, 1));
        assert!(!tasks.wait(&Rc::new(Seat::default()), 1));
    }

    #[test]
    fn a_task_that_nobody_needed_ends() {
        let (tasks, seat) = (Tasks::default(), Rc::new(Seat::default()));
        assert!(tasks.wait(&seat, 1));
        assert_eq!(tasks.trim(), 1);
        assert!(poll(&seat).is_pending());
        assert_eq!(tasks.trim(), 0);
        assert_eq!(poll(&seat), Poll::Ready(None));
        assert_eq!(tasks.hand(1), Some(1));
    }
}
