//! A gate: one side waits, the other opens it. It replaces sleeps wherever a test needs an order of events.

use crate::DEADLINE;
use parking_lot::{Condvar, Mutex};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Closed until somebody opens it; clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    open: bool,
    waiting: usize,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.0.state.lock().open = true;
        self.0.changed.notify_all();
    }

    /// Waits until it is open; `false` when the deadline passed first.
    #[must_use]
    pub fn pass(&self) -> bool {
        self.pass_within(DEADLINE)
    }

    /// As [`Gate::pass`], with a deadline of its own.
    #[must_use]
    pub fn pass_within(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut state = self.0.state.lock();
        state.waiting += 1;
        self.0.changed.notify_all();
        while !state.open {
            if self.0.changed.wait_until(&mut state, until).timed_out() {
                break;
            }
        }
        state.waiting -= 1;
        state.open
    }

    /// Waits until `count` are waiting at the gate.
    #[track_caller]
    pub fn wait_for_waiters(&self, count: usize) {
        let until = Instant::now() + DEADLINE;
        let mut state = self.0.state.lock();
        while state.waiting < count {
            let timed_out = self.0.changed.wait_until(&mut state, until).timed_out();
            assert!(!timed_out, "{} of {count} came to the gate", state.waiting);
        }
    }
}
