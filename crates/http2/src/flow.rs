//! Flow control (RFC 9113 5.2).

use crate::frame::MOST_31_BITS;

/// What the peer may send of one body, or of all, and what we tell it of that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credit {
    size: u32,
    /// Bytes that the peer may send; below zero where it does not know our settings yet.
    window: i64,
    /// Bytes that were used, and that the peer was not told of.
    returned: u32,
}

impl Credit {
    pub(crate) fn new(size: u32) -> Self {
        Self { size, window: i64::from(size), returned: 0 }
    }

    /// Takes bytes that came off the window; false when they are more than it and `slack` allow.
    pub(crate) fn take(&mut self, bytes: usize, slack: i64) -> bool {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.window = self.window.saturating_sub(bytes);
        self.window.saturating_add(slack) >= 0
    }

    /// Gives bytes back that were used. The peer is told, by the number that this gives, once they
    /// are half of the window: few updates, and it never waits for one.
    pub(crate) fn give(&mut self, bytes: u32) -> Option<u32> {
        self.returned = self.returned.saturating_add(bytes);
        if self.returned == 0 || self.returned < self.size / 2 {
            return None;
        }
        self.window = self.window.saturating_add(i64::from(self.returned));
        Some(std::mem::take(&mut self.returned))
    }
}

/// Opens a window that the peer gave us; `None` when it becomes larger than a window may be.
pub(crate) fn open(window: i64, by: i64) -> Option<i64> {
    window.checked_add(by).filter(|window| *window <= i64::from(MOST_31_BITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_told_of_half_a_window() {
        let mut credit = Credit::new(100);
        assert!(credit.take(100, 0));
        assert!(!credit.take(1, 0));
        assert!(credit.take(0, 1));
        assert_eq!(credit.give(49), None);
        assert_eq!(credit.give(1), Some(50));
        assert!(credit.take(49, 0));
        assert!(!credit.take(1, 0));
    }

    #[test]
    fn a_window_has_31_bits() {
        assert_eq!(open(-5, 10), Some(5));
        assert_eq!(open(0, i64::from(MOST_31_BITS)), Some(i64::from(MOST_31_BITS)));
        assert_eq!(open(1, i64::from(MOST_31_BITS)), None);
    }
}
