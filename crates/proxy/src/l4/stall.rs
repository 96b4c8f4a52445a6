//! How long bytes have waited for a peer that takes none.

use std::time::{Duration, Instant};

use crate::timer::Clock;

/// One direction of a relay.
#[derive(Default)]
pub(crate) struct Stall(Option<Instant>);

impl Stall {
    /// Notes whether bytes wait, and whether the peer took some just now; true when that brings
    /// another deadline.
    pub(crate) fn note(&mut self, waits: bool, taken: bool, clock: &Clock) -> bool {
        let before = self.0.is_some();
        if waits && (taken || !before) {
            self.0 = Some(clock.now());
        } else if !waits {
            self.0 = None;
        }
        before != waits || taken && waits
    }

    /// When the peer has taken nothing for `most`; `None` while nothing waits.
    pub(crate) fn deadline(&self, most: Duration) -> Option<Instant> {
        self.0?.checked_add(most)
    }
}
