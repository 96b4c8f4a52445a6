//! What a peer sends, counted: one that makes work with frames that carry nothing, or with streams
//! that it takes back, is left.

use crate::{
    code::ErrorCode,
    limits::{BYTES_PER_CONTROL, CONTROLS_PER_CONTENT, CONTROLS_PER_REQUEST, WINDOW_SECONDS},
    settings::{Config, Role},
};

/// Frames since the window began.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Budget {
    /// The second in which the window began.
    window: u64,
    resets: u64,
    controls: u64,
    requests: u64,
    contents: u64,
    payload: u64,
}

fn one(count: &mut u64) {
    *count = count.saturating_add(1);
}

impl Budget {
    /// Begins a window when the last one is over; `second` is the present.
    pub(crate) fn tick(&mut self, second: u64) {
        if second.saturating_sub(self.window) >= WINDOW_SECONDS {
            *self = Self { window: second, ..Self::default() };
        }
    }

    /// Counts the bytes of a head that goes to the peer.
    pub(crate) fn head(&mut self, bytes: usize) {
        self.payload = self.payload.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Counts content, either way. `whole` where it is all that there was to send: pieces that the
    /// peer's window made excuse nothing but their bytes.
    pub(crate) fn content(&mut self, bytes: usize, whole: bool) {
        self.head(bytes);
        if whole && bytes > 0 {
            one(&mut self.contents);
        }
    }

    /// Counts a request that was taken, or that we sent.
    pub(crate) fn request(&mut self) {
        one(&mut self.requests);
    }

    /// Counts a stream that the peer reset, or made us reset.
    pub(crate) fn reset(&mut self) {
        one(&mut self.resets);
    }

    /// Counts a frame that has no content and begins nothing.
    pub(crate) fn control(&mut self) {
        one(&mut self.controls);
    }

    /// Says whether the peer sent more than one with something to say sends.
    pub(crate) fn check(&self, role: Role, config: &Config) -> Result<(), ErrorCode> {
        let excused = (self.payload / BYTES_PER_CONTROL)
            .saturating_add(self.requests.saturating_mul(CONTROLS_PER_REQUEST))
            .saturating_add(self.contents.saturating_mul(CONTROLS_PER_CONTENT));
        // A backend may refuse what it is asked, or reset what it answered without reading it to its
        // end (RFC 9113 8.1); what it was asked others chose.
        let answered = if role == Role::Client { self.requests } else { 0 };
        let excess = self.resets > u64::from(config.resets).saturating_add(answered)
            || self.controls > u64::from(config.control_frames).saturating_add(excused);
        if excess { Err(ErrorCode::ENHANCE_YOUR_CALM) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::CONFIG;

    fn is_left(budget: &Budget, role: Role) -> bool {
        budget.check(role, &CONFIG).is_err()
    }

    #[test]
    fn pings_are_excused_by_data_and_not_without() {
        let (mut idle, mut busy) = (Budget::default(), Budget::default());
        for _ in 0..=CONFIG.control_frames {
            idle.control();
            busy.content(512, false);
            busy.control();
        }
        assert!(is_left(&idle, Role::Server));
        assert!(!is_left(&busy, Role::Server));
    }

    #[test]
    fn small_messages_excuse_a_ping_and_two_windows_each_but_no_dribble_does() {
        let (mut calls, mut dribble) = (Budget::default(), Budget::default());
        for _ in 0..=CONFIG.control_frames {
            calls.content(50, true);
            (0..3).for_each(|_| calls.control());
            dribble.content(1, false);
            dribble.control();
            dribble.control();
        }
        assert!(!is_left(&calls, Role::Server));
        assert!(is_left(&dribble, Role::Server));
    }

    #[test]
    fn resets_are_counted_for_ten_seconds() {
        let (mut slow, mut fast) = (Budget::default(), Budget::default());
        for second in 0..400 {
            slow.tick(second);
            slow.reset();
        }
        assert!(!is_left(&slow, Role::Server));
        for count in 0..=CONFIG.resets {
            assert!(!is_left(&fast, Role::Server), "after {count}");
            fast.reset();
        }
        assert!(is_left(&fast, Role::Server));
    }

    #[test]
    fn a_backend_may_reset_what_it_was_asked_and_a_client_may_not() {
        let mut budget = Budget::default();
        for _ in 0..=CONFIG.resets {
            budget.request();
            budget.reset();
        }
        assert!(!is_left(&budget, Role::Client));
        assert!(is_left(&budget, Role::Server));
    }
}
