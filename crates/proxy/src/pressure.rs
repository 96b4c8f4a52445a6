//! How near the process is to its bounds, and what it gives up then, step by step.
//!
//! Memory is what the kernel says that the process holds, read by one thread ten times a second, and more often from half of its budget on;
//! connections are counted as they come and go. Each level keeps what the level before gave up.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// Between two looks at the memory.
const PERIOD: Duration = Duration::from_millis(100);
/// The same from half of the budget on: what is admitted between two looks is not to fill the rest.
const PERIOD_NEAR: Duration = Duration::from_millis(5);
/// Bytes that `/proc/self/statm` counts as one.
const PAGE: usize = 4096;

/// What is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pressure {
    #[default]
    Nothing,
    /// Idle connections, and keeping connections: from 80 % of the memory or 90 % of the
    /// connections.
    KeepAlive,
    /// New requests, with 503: from 90 % of the memory.
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

/// The memory of the process as all workers see it.
#[derive(Debug, Default)]
pub(crate) struct MemoryGauge {
    level: AtomicU8,
    resident: AtomicUsize,
}

impl MemoryGauge {
    pub(crate) fn pressure(&self) -> Pressure {
        Pressure::from_level(self.level.load(Ordering::Relaxed))
    }

    /// Bytes that the process held at the last look; 0 before the first.
    pub(crate) fn resident(&self) -> usize {
        self.resident.load(Ordering::Relaxed)
    }

    /// Looks at the memory until nobody else holds the gauge. Without a budget nothing is watched.
    ///
    /// # Errors
    /// When the thread cannot be had.
    pub(crate) fn watch(self: &Arc<Self>, budget: Option<usize>) -> std::io::Result<()> {
        let Some(budget) = budget else { return Ok(()) };
        self.look(budget);
        let gauge = Arc::downgrade(self);
        thread::Builder::new().name("memory".to_owned()).spawn(move || watch(&gauge, budget))?;
        Ok(())
    }

    fn look(&self, budget: usize) {
        let Some(used) = resident() else { return };
        self.resident.store(used, Ordering::Relaxed);
        let next = Pressure::of_memory(used, budget);
        let before = Pressure::from_level(self.level.swap(next as u8, Ordering::Relaxed));
        if before != next {
            tracing::warn!(used, budget, from = ?before, to = ?next, "memory pressure changed");
        }
    }
}

fn watch(gauge: &Weak<MemoryGauge>, budget: usize) {
    let mut period = PERIOD;
    loop {
        thread::sleep(period);
        let Some(gauge) = gauge.upgrade() else { return };
        gauge.look(budget);
        let near = gauge.resident() > budget / 2;
        period = if near { PERIOD_NEAR } else { PERIOD };
    }
}

/// Bytes of the process in memory.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    text.split_ascii_whitespace().nth(1)?.parse::<usize>().ok()?.checked_mul(PAGE)
}

#[cfg(test)]
mod tests {
    use super::Pressure;

    #[test]
    fn more_is_given_up_the_nearer_memory_is_to_its_budget() {
        let at = |used| Pressure::of_memory(used, 1000);
        assert_eq!(at(799), Pressure::Nothing);
        assert_eq!((at(800), at(899)), (Pressure::KeepAlive, Pressure::KeepAlive));
        assert_eq!((at(900), at(949)), (Pressure::Requests, Pressure::Requests));
        assert_eq!((at(950), at(5000)), (Pressure::Connections, Pressure::Connections));
    }
}
