//! How near the process is to its bounds, and what it gives up then, step by step.
//!
//! Memory is what the kernel says that the process holds, and what it charges to the control group;
//! one thread looks fifty times a second, and more often from half of the budget on. Requests in
//! progress are counted as well: each gets its share of the memory when it is let in, since many may
//! come between two looks. Each level keeps what the level before gave up.

use std::{
    rc::Rc,
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    cgroup::MemoryGroup,
    limits::Limits,
    worker::{Command, Peers, Worker},
};

/// Between two looks at the memory.
const PERIOD: Duration = Duration::from_millis(20);
/// The same from half of the budget on: what is admitted between two looks is not to fill the rest.
const PERIOD_NEAR: Duration = Duration::from_millis(5);
/// How long few requests must be in progress before all that is held counts as held without them:
/// memory that was freed goes back to the system only after a while.
const CALM: Duration = Duration::from_secs(5);
/// Requests that are let in whatever the memory.
const REQUESTS_LEAST: usize = 16;
/// Bytes that `/proc/self/statm` counts as one.
const PAGE: usize = 4096;

/// What is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pressure {
    #[default]
    Nothing,
    /// Idle connections, and keeping connections: from 80 % of the memory, or 90 % of the requests
    /// that it has room for.
    KeepAlive,
    /// New requests, with 503: from 90 % of the memory, or all of these requests.
    Requests,
    /// New connections: from 95 % of the memory, or all of the connections.
    Connections,
}

impl Pressure {
    /// The level at so much of a budget of memory.
    fn of_memory(used: usize, budget: usize) -> Self {
        let reached = |percent: usize| used.saturating_mul(100) >= budget.saturating_mul(percent);
        if reached(95) {
            Self::Connections
        } else if reached(90) {
            Self::Requests
        } else if reached(80) {
            Self::KeepAlive
        } else {
            Self::Nothing
        }
    }

    fn from_level(level: u8) -> Self {
        match level {
            0 => Self::Nothing,
            1 => Self::KeepAlive,
            2 => Self::Requests,
            _ => Self::Connections,
        }
    }
}

/// Requests in progress of one worker, which alone writes them; apart from those of others in the
/// processor's caches.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Lane(AtomicUsize);

/// The memory of the process as all workers see it.
#[derive(Debug)]
pub(crate) struct MemoryGauge {
    level: AtomicU8,
    resident: AtomicUsize,
    /// Requests that may be in progress in the whole process.
    room: AtomicUsize,
    lanes: Vec<Lane>,
}

impl MemoryGauge {
    /// `requests` may be in progress in the whole process, or fewer where memory is short.
    pub(crate) fn new(workers: usize, requests: usize) -> Self {
        Self {
            level: AtomicU8::new(0),
            resident: AtomicUsize::new(0),
            room: AtomicUsize::new(requests),
            lanes: (0..workers).map(|_| Lane::default()).collect(),
        }
    }

    /// The level at the last look at the memory.
    pub(crate) fn pressure(&self) -> Pressure {
        Pressure::from_level(self.level.load(Ordering::Relaxed))
    }

    /// Bytes that the process held at the last look; 0 before the first.
    pub(crate) fn resident(&self) -> usize {
        self.resident.load(Ordering::Relaxed)
    }

    /// The level by the requests in progress. A worker that has less than nine tenths of its share
    /// does not look at the others: what they took beyond theirs is no reason to refuse its own.
    pub(crate) fn pressure_of_requests(&self, worker: usize) -> Pressure {
        let room = self.room.load(Ordering::Relaxed);
        let near = room - room / 10;
        let own = self.lanes.get(worker).map_or(0, |lane| lane.0.load(Ordering::Relaxed));
        if own.saturating_mul(self.lanes.len()) < near {
            return Pressure::Nothing;
        }
        let all = self.requests();
        if all >= room {
            Pressure::Requests
        } else if all >= near {
            Pressure::KeepAlive
        } else {
            Pressure::Nothing
        }
    }

    fn requests(&self) -> usize {
        self.lanes.iter().map(|lane| lane.0.load(Ordering::Relaxed)).sum()
    }

    /// Counts a request of a worker; false when there is no room for it.
    fn hold(&self, worker: usize) -> bool {
        let room = self.pressure_of_requests(worker) < Pressure::Requests;
        if room && let Some(Lane(lane)) = self.lanes.get(worker) {
            lane.store(lane.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
        }
        room
    }

    fn release(&self, worker: usize) {
        if let Some(Lane(lane)) = self.lanes.get(worker) {
            lane.store(lane.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
        }
    }
}

/// The place of a request in progress, until dropped.
pub(crate) struct Held(Rc<Worker>);

impl Held {
    /// `None` when there is no room for the request.
    pub(crate) fn take(worker: &Rc<Worker>) -> Option<Self> {
        worker.peers.memory.hold(worker.index).then(|| Self(Rc::clone(worker)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.peers.memory.release(self.0.index);
    }
}

/// Looks at the memory until the workers are gone. Without a budget nothing is watched.
///
/// # Errors
/// When the thread cannot be had.
pub(crate) fn watch(peers: &Arc<Peers>, limits: &Limits) -> std::io::Result<()> {
    let Some(budget) = limits.memory else { return Ok(()) };
    let (each, most) = (limits.request_memory, limits.requests);
    let group = MemoryGroup::own();
    let mut watch = Watch { budget, each, most, group, base: 0, calm_since: None };
    watch.look(peers);
    let peers = Arc::downgrade(peers);
    thread::Builder::new().name("memory".to_owned()).spawn(move || watch.run(&peers))?;
    Ok(())
}

/// What the thread remembers between two looks.
struct Watch {
    budget: usize,
    /// Set aside for a request.
    each: usize,
    /// Requests, whatever the memory.
    most: usize,
    group: Option<MemoryGroup>,
    /// What is held without requests in progress, as far as is known.
    base: usize,
    calm_since: Option<Instant>,
}

impl Watch {
    fn run(mut self, peers: &Weak<Peers>) {
        let mut near = false;
        loop {
            thread::sleep(if near { PERIOD_NEAR } else { PERIOD });
            let Some(peers) = peers.upgrade() else { return };
            near = self.look(&peers);
        }
    }

    /// Whether more than half of a budget is used.
    fn look(&mut self, peers: &Peers) -> bool {
        let Some(used) = resident() else { return false };
        let gauge = &peers.memory;
        gauge.resident.store(used, Ordering::Relaxed);
        self.make_room(gauge, used);
        let (charged, bound) = self.charged();
        let next = Pressure::of_memory(used, self.budget).max(Pressure::of_memory(charged, bound));
        let before = Pressure::from_level(gauge.level.swap(next as u8, Ordering::Relaxed));
        if before != next {
            let budget = self.budget;
            tracing::warn!(used, budget, charged, bound, from = ?before, to = ?next, "memory pressure changed");
        }
        if next > before {
            // A worker whose queue is full looks by itself before long.
            peers.commands.iter().for_each(|worker| drop(worker.try_send(Command::Shed)));
        }
        used > self.budget / 2 || charged > bound / 2
    }

    /// How many requests there is room for.
    fn make_room(&mut self, gauge: &MemoryGauge, used: usize) {
        let room = gauge.room.load(Ordering::Relaxed);
        let calm = gauge.requests() <= room / 8;
        let since = calm.then(|| self.calm_since.unwrap_or_else(Instant::now));
        self.calm_since = since;
        let settled = since.is_some_and(|since| since.elapsed() >= CALM);
        if self.base == 0 || used < self.base || settled {
            self.base = used;
        }
        let free = (self.budget / 10 * 9).saturating_sub(self.base);
        let room =
            free.checked_div(self.each).unwrap_or(usize::MAX).max(REQUESTS_LEAST).min(self.most);
        gauge.room.store(room, Ordering::Relaxed);
    }

    /// What the control group is charged with, and what of its limit is ours.
    fn charged(&self) -> (usize, usize) {
        let Some(group) = &self.group else { return (0, usize::MAX) };
        let bound = group.share();
        let charged = group.charged().unwrap_or(0);
        // What files take costs more to learn, and can only lower it.
        match Pressure::of_memory(charged, bound) {
            Pressure::Nothing => (charged, bound),
            Pressure::KeepAlive | Pressure::Requests | Pressure::Connections => {
                (charged.saturating_sub(group.reclaimable()), bound)
            }
        }
    }
}

/// Bytes that the process may hold in its control group: seven eighths of its limit. `None` without
/// one.
#[must_use]
pub fn memory_of_group() -> Option<usize> {
    MemoryGroup::own().map(|group| group.share())
}

/// Bytes of the process in memory.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split_ascii_whitespace().nth(1)?.parse::<usize>().ok()?.checked_mul(PAGE)
}

#[cfg(test)]
mod tests {
    use super::{MemoryGauge, Pressure};

    #[test]
    fn more_is_given_up_the_nearer_memory_is_to_its_budget() {
        let at = |used| Pressure::of_memory(used, 1000);
        assert_eq!(at(799), Pressure::Nothing);
        assert_eq!((at(800), at(899)), (Pressure::KeepAlive, Pressure::KeepAlive));
        assert_eq!((at(900), at(949)), (Pressure::Requests, Pressure::Requests));
        assert_eq!((at(950), at(5000)), (Pressure::Connections, Pressure::Connections));
    }

    #[test]
    fn a_worker_beyond_its_share_has_room_only_as_far_as_the_others_leave_some() {
        let gauge = MemoryGauge::new(2, 10);
        assert!((0..8).all(|_| gauge.hold(0)));
        assert_eq!(gauge.pressure_of_requests(0), Pressure::Nothing);
        assert!(gauge.hold(1));
        assert_eq!(gauge.pressure_of_requests(0), Pressure::KeepAlive);
        assert!(gauge.hold(0));
        assert_eq!(gauge.pressure_of_requests(0), Pressure::Requests);
        assert!(!gauge.hold(0), "nine of its own");
        assert!(gauge.hold(1), "far from its share, which others cannot take");
        gauge.release(1);
        gauge.release(1);
        assert!(gauge.hold(0), "a place that was given back");
    }
}
