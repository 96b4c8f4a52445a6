//! Coarse time: one clock and one list of deadlines per worker.
//!
//! A connection owns one slot and stores its next deadline there, which costs a memory write; one
//! task per worker sweeps all slots when the earliest deadline is due. There is no runtime timer
//! per request, and the clock is read once per turn of the event loop.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::Waker,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// Resolution of deadlines.
const TICK: Duration = Duration::from_millis(10);
const TICK_NANOS: u32 = 10_000_000;
const TICKS_PER_SECOND: u64 = 100;
/// Longest sleep of the sweeper, in ticks: bounds how late a missed deadline can be.
const SWEEP_AT_LEAST_EVERY: u32 = 100;
const NEVER: u32 = u32::MAX;
/// A deadline that fired and was not armed again.
const FIRED: u32 = 0;
/// Reads of the cached time before it is refreshed although the event loop never slept.
const READS_PER_REFRESH: u32 = 64;

thread_local! {
    static STALE: Cell<bool> = const { Cell::new(true) };
}

/// To be called by the runtime whenever its thread wakes up.
pub(crate) fn thread_woke() {
    STALE.with(|stale| stale.set(true));
}

/// The time as of this turn of the event loop.
pub(crate) struct Clock {
    start: Instant,
    cached: Cell<Instant>,
    reads: Cell<u32>,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let start = Instant::now();
        Self { start, cached: Cell::new(start), reads: Cell::new(0) }
    }

    pub(crate) fn now(&self) -> Instant {
        let reads = self.reads.get();
        if reads == 0 || STALE.with(Cell::get) {
            STALE.with(|stale| stale.set(false));
            self.reads.set(READS_PER_REFRESH);
            self.cached.set(Instant::now());
        } else {
            self.reads.set(reads - 1);
        }
        self.cached.get()
    }

    pub(crate) fn refresh(&self) -> Instant {
        self.reads.set(0);
        self.now()
    }

    /// Whole seconds since the worker started.
    pub(crate) fn second(&self) -> u64 {
        self.now().saturating_duration_since(self.start).as_secs()
    }

    /// The first tick that lies `after` the present, rounded up.
    fn tick_after(&self, after: Duration) -> u32 {
        self.tick_of(self.now().checked_add(after).unwrap_or_else(|| self.now()))
    }

    fn tick_of(&self, instant: Instant) -> u32 {
        let since = instant.saturating_duration_since(self.start);
        let ticks = since
            .as_secs()
            .saturating_mul(TICKS_PER_SECOND)
            .saturating_add(u64::from(since.subsec_nanos() / TICK_NANOS));
        u32::try_from(ticks).unwrap_or(NEVER - 2).min(NEVER - 3).saturating_add(2)
    }

    /// The tick of the present; deadlines at or below it are due.
    fn current_tick(&self) -> u32 {
        self.tick_of(self.now()).saturating_sub(1)
    }
}

/// All deadlines of a worker.
pub(crate) struct Deadlines {
    clock: Rc<Clock>,
    slots: RefCell<Slots>,
    next_sweep: Cell<u32>,
    earlier: Notify,
}

#[derive(Default)]
struct Slots {
    due: Vec<u32>,
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Deadlines {
    pub(crate) fn new(clock: Rc<Clock>) -> Rc<Self> {
        Rc::new(Self {
            clock,
            slots: RefCell::default(),
            next_sweep: Cell::new(NEVER),
            earlier: Notify::new(),
        })
    }

    /// A slot without a deadline whose firing wakes `waker`.
    pub(crate) fn slot(self: &Rc<Self>, waker: Waker) -> Slot {
        let mut slots = self.slots.borrow_mut();
        let index = match slots.free.pop() {
            Some(index) => index,
            None => {
                slots.due.push(NEVER);
                slots.wakers.push(None);
                slots.due.len() - 1
            }
        };
        if let Some(due) = slots.due.get_mut(index) {
            *due = NEVER;
        }
        if let Some(place) = slots.wakers.get_mut(index) {
            *place = Some(waker);
        }
        drop(slots);
        Slot { deadlines: Rc::clone(self), index }
    }

    /// Wakes every owner of a slot, so that it looks at its worker's state again.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<Waker> = self.slots.borrow().wakers.iter().flatten().cloned().collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn arm(&self, index: usize, due: u32) {
        if let Some(slot) = self.slots.borrow_mut().due.get_mut(index) {
            *slot = due;
        }
        if due < self.next_sweep.get() {
            self.next_sweep.set(due);
            self.earlier.notify_one();
        }
    }

    /// Fires what is due; returns the earliest tick that is still to come.
    fn sweep(&self) -> u32 {
        let current = self.clock.current_tick();
        let mut due_wakers = Vec::new();
        let mut next = NEVER;
        let mut slots = self.slots.borrow_mut();
        let Slots { due, wakers, .. } = &mut *slots;
        for (due, waker) in due.iter_mut().zip(wakers.iter()) {
            if *due == FIRED {
                continue;
            }
            if *due <= current {
                *due = FIRED;
                due_wakers.extend(waker.clone());
            } else {
                next = next.min(*due);
            }
        }
        drop(slots);
        due_wakers.into_iter().for_each(Waker::wake);
        next
    }

    /// Sweeps forever; `housekeeping` runs at least once a second while anything is armed.
    pub(crate) async fn run(&self, housekeeping: impl Fn() -> bool) {
        loop {
            self.clock.refresh();
            let busy = housekeeping();
            let next = self.sweep();
            let current = self.clock.current_tick();
            let latest = current.saturating_add(SWEEP_AT_LEAST_EVERY);
            if next == NEVER && !busy {
                self.next_sweep.set(NEVER);
                self.earlier.notified().await;
                continue;
            }
            let wake_at = next.min(latest);
            self.next_sweep.set(wake_at);
            let wait = TICK.saturating_mul(wake_at.saturating_sub(current));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.earlier.notified() => {}
            }
        }
    }

    /// Makes the sweeper look again, after something for its housekeeping appeared.
    pub(crate) fn nudge(&self) {
        if self.next_sweep.get() == NEVER {
            self.earlier.notify_one();
        }
    }
}

/// One deadline of one task; freed when dropped.
pub(crate) struct Slot {
    deadlines: Rc<Deadlines>,
    index: usize,
}

impl Slot {
    pub(crate) fn arm(&self, after: Duration) {
        self.deadlines.arm(self.index, self.deadlines.clock.tick_after(after));
    }

    /// Takes the deadline back.
    pub(crate) fn disarm(&self) {
        self.deadlines.arm(self.index, NEVER);
    }

    /// The earlier of `after` from now and `deadline`.
    pub(crate) fn arm_until(&self, after: Duration, deadline: Option<Instant>) {
        let clock = &self.deadlines.clock;
        let mut due = clock.tick_after(after);
        if let Some(deadline) = deadline {
            due = due.min(clock.tick_of(deadline));
        }
        self.deadlines.arm(self.index, due);
    }

    /// Whether the deadline passed since it was armed.
    pub(crate) fn expired(&self) -> bool {
        self.deadlines.slots.borrow().due.get(self.index).is_some_and(|due| *due == FIRED)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut slots = self.deadlines.slots.borrow_mut();
        if let Some(due) = slots.due.get_mut(self.index) {
            *due = NEVER;
        }
        if let Some(waker) = slots.wakers.get_mut(self.index) {
            *waker = None;
        }
        slots.free.push(self.index);
    }
}
