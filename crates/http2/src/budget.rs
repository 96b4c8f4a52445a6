//! What a peer sends, counted: one that makes work with frames that carry nothing, or with streams
//! that it takes back, is left.

use crate::{
    code::ErrorCode,
    frame::{FrameHeader, flag, kind},
    limits::{BYTES_PER_CONTROL, CONTROLS_PER_REQUEST, WINDOW_SECONDS},
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

    /// Counts bytes that go to the peer.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.payload = self.payload.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Counts a stream that the peer made us reset.
    pub(crate) fn made_reset(&mut self) {
        one(&mut self.resets);
    }

    /// Counts a frame that came.
    pub(crate) fn received(&mut self, frame: &FrameHeader) {
        match frame.kind {
            kind::DATA if frame.length == 0 && !frame.has(flag::END_STREAM) => {
                one(&mut self.controls);
            }
            kind::DATA => self.sent(frame.length),
            kind::HEADERS => one(&mut self.requests),
            kind::RST_STREAM => one(&mut self.resets),
            // CONTINUATION, PRIORITY, SETTINGS, PING, GOAWAY, WINDOW_UPDATE and what nobody knows.
            _ => one(&mut self.controls),
        }
    }

    /// Says whether the peer sent more than one with something to say sends.
    pub(crate) fn check(&self, role: Role, config: &Config) -> Result<(), ErrorCode> {
        let excused = (self.payload / BYTES_PER_CONTROL)
            .saturating_add(self.requests.saturating_mul(CONTROLS_PER_REQUEST));
        // A backend that answered without reading the request to its end resets the stream, so that
        // no more is sent (RFC 9113 8.1).
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

    const RESET: FrameHeader = frame(kind::RST_STREAM, 4);
    const PING: FrameHeader = frame(kind::PING, 8);

    const fn frame(kind: u8, length: usize) -> FrameHeader {
        FrameHeader { length, kind, flags: flag::END_HEADERS, stream: 1 }
    }

    fn is_left(budget: &Budget, role: Role) -> bool {
        budget.check(role, &CONFIG).is_err()
    }

    #[test]
    fn pings_are_excused_by_data_and_not_without() {
        let (mut idle, mut busy) = (Budget::default(), Budget::default());
        for _ in 0..=CONFIG.control_frames {
            idle.received(&PING);
            busy.received(&frame(kind::DATA, 512));
            busy.received(&PING);
        }
        assert!(is_left(&idle, Role::Server));
        assert!(!is_left(&busy, Role::Server));
    }

    #[test]
    fn resets_are_counted_for_ten_seconds() {
        let (mut slow, mut fast) = (Budget::default(), Budget::default());
        for second in 0..400 {
            slow.tick(second);
            slow.received(&RESET);
        }
        assert!(!is_left(&slow, Role::Server));
        for count in 0..=CONFIG.resets {
            assert!(!is_left(&fast, Role::Server), "after {count}");
            if count % 2 == 0 { fast.received(&RESET) } else { fast.made_reset() }
        }
        assert!(is_left(&fast, Role::Server));
    }

    #[test]
    fn a_backend_may_reset_what_it_answered_and_a_client_may_not() {
        let mut budget = Budget::default();
        for _ in 0..=CONFIG.resets {
            budget.received(&frame(kind::HEADERS, 1));
            budget.received(&RESET);
        }
        assert!(!is_left(&budget, Role::Client));
        assert!(is_left(&budget, Role::Server));
    }
}
