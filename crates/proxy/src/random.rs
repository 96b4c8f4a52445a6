//! A small fast random number generator per worker. Never for secrets.

use std::{
    cell::Cell,
    hash::{BuildHasher, Hasher, RandomState},
};

/// SplitMix64, seeded by the operating system.
pub(crate) struct Random(Cell<u64>);

impl Random {
    pub(crate) fn new() -> Self {
        Self(Cell::new(RandomState::new().build_hasher().finish()))
    }

    pub(crate) fn next(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `bound`; 0 when `bound` is 0.
    pub(crate) fn below(&self, bound: usize) -> usize {
        let wide = u128::from(self.next()).wrapping_mul(bound as u128) >> 64;
        usize::try_from(wide).unwrap_or(0)
    }
}
