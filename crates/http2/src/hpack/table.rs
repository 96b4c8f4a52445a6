//! The dynamic table (RFC 7541 section 2.3.2), the same for both directions.

use std::collections::VecDeque;

/// What an entry counts in addition to its bytes (RFC 7541 section 4.1).
pub(super) const OVERHEAD: usize = 32;
/// The least memory that is taken for bytes of entries.
const BYTES_LEAST: usize = 256;
/// The largest table: positions of its bytes, and of as many dead ones, fit into 32 bits.
pub(super) const SIZE_MOST: u32 = 1 << 30;

/// Entries in the order of their indices: the newest first.
///
/// ```text
/// bytes:  │ dead: evicted │ oldest: name value │ ... │ newest: name value │ free
/// ```
#[derive(Debug)]
pub(super) struct Table {
    bytes: Vec<u8>,
    /// Bytes of evicted entries at the front of `bytes`.
    dead: usize,
    entries: VecDeque<Entry>,
    /// Where the first byte of `bytes` would be if nothing had ever been removed, modulo 2^32.
    base: u32,
    size: usize,
    max: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// As [`Table::base`].
    at: u32,
    name: u32,
    value: u32,
}

impl Entry {
    fn bytes(self) -> usize {
        self.name as usize + self.value as usize
    }
}

/// A field of a table: the value stands behind the name.
#[derive(Clone, Copy)]
pub(super) struct Joined<'a> {
    pub(super) bytes: &'a [u8],
    /// Bytes of the name.
    pub(super) name: usize,
}

impl<'a> Joined<'a> {
    #[inline]
    pub(super) fn name(self) -> Option<&'a [u8]> {
        self.bytes.get(..self.name)
    }

    #[inline]
    pub(super) fn split(self) -> Option<(&'a [u8], &'a [u8])> {
        self.bytes.split_at_checked(self.name)
    }
}

/// The size of an entry with names and values of these lengths together.
#[inline]
pub(super) fn entry_size(bytes: usize) -> usize {
    bytes.saturating_add(OVERHEAD)
}

impl Table {
    /// An empty table. It takes memory at the first insertion.
    pub(super) fn new(max: u32) -> Self {
        Self {
            bytes: Vec::new(),
            dead: 0,
            entries: VecDeque::new(),
            base: 0,
            size: 0,
            max: max as usize,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// The entry with an index that counts from 0, the newest.
    #[inline]
    pub(super) fn get(&self, index: usize) -> Option<Joined<'_>> {
        let entry = self.entries.get(index)?;
        let start = entry.at.wrapping_sub(self.base) as usize;
        let bytes = self.bytes.get(start..start.checked_add(entry.bytes())?)?;
        Some(Joined { bytes, name: entry.name as usize })
    }

    /// Evicts what no longer fits into `max`. A table of size 0 keeps no memory.
    pub(super) fn set_max(&mut self, max: u32) {
        self.max = max as usize;
        self.evict_to(self.max);
        if max == 0 {
            self.bytes = Vec::new();
            self.entries = VecDeque::new();
        }
    }

    /// Makes a field the newest entry (RFC 7541 section 4.4). One that is larger than the table
    /// empties it, and is no error.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let bytes = name.len().saturating_add(value.len());
        let size = entry_size(bytes);
        let Some(room) = self.max.checked_sub(size) else { return self.clear() };
        // They fit, because `max` does.
        let (Ok(name_len), Ok(value_len)) = (u32::try_from(name.len()), u32::try_from(value.len()))
        else {
            return;
        };
        self.evict_to(room);
        self.reserve(bytes);
        let at = self.base.wrapping_add(self.bytes.len() as u32);
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.entries.push_front(Entry { at, name: name_len, value: value_len });
        self.size += size;
    }

    /// Evicts all entries.
    pub(super) fn clear(&mut self) {
        self.evict_to(0);
    }

    fn evict_to(&mut self, most: usize) {
        while self.size > most {
            let Some(entry) = self.entries.pop_back() else { break };
            self.size -= entry_size(entry.bytes());
            self.dead += entry.bytes();
        }
        if self.entries.is_empty() {
            self.bytes.clear();
            self.dead = 0;
        }
    }

    /// Makes room behind the entries.
    ///
    /// Dead bytes are removed only when they are at least half as many as those that must move, so
    /// that each byte moves twice at most on average; and memory grows only when they are fewer,
    /// so that it stays below one and a half times `max`.
    #[inline]
    fn reserve(&mut self, more: usize) {
        if self.bytes.capacity() - self.bytes.len() < more {
            self.make_room(more);
        }
    }

    fn make_room(&mut self, more: usize) {
        let live = self.bytes.len() - self.dead;
        if self.dead >= live / 2 {
            self.bytes.drain(..self.dead);
            self.base = self.base.wrapping_add(self.dead as u32);
            self.dead = 0;
        }
        let need = self.bytes.len() + more;
        let capacity = self.bytes.capacity();
        if need > capacity {
            let most = self.max + self.max / 2;
            let grown = capacity.saturating_mul(2).max(BYTES_LEAST).min(most).max(need);
            self.bytes.reserve_exact(grown - self.bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The table as the specification describes it.
    #[derive(Default)]
    struct Model {
        entries: Vec<(Vec<u8>, Vec<u8>)>,
        max: usize,
    }

    impl Model {
        fn size(&self) -> usize {
            self.entries.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
        }

        fn evict(&mut self, room: usize) {
            while self.size() + room > self.max && !self.entries.is_empty() {
                self.entries.pop();
            }
        }

        fn insert(&mut self, name: &[u8], value: &[u8]) {
            let size = name.len() + value.len() + 32;
            self.evict(size);
            if size <= self.max {
                self.entries.insert(0, (name.to_vec(), value.to_vec()));
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(Vec<u8>, Vec<u8>),
        Max(u32),
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let bytes = |most| proptest::collection::vec(any::<u8>(), 0..most);
        let step = prop_oneof![
            40 => (bytes(20), bytes(60)).prop_map(|(name, value)| Step::Insert(name, value)),
            4 => (bytes(400), bytes(600)).prop_map(|(name, value)| Step::Insert(name, value)),
            1 => (0u32..2_000).prop_map(Step::Max),
            1 => Just(Step::Clear),
        ];
        proptest::collection::vec(step, 0..300)
    }

    fn check(table: &Table, model: &Model, largest: usize) {
        assert_eq!(table.len(), model.entries.len());
        assert_eq!(table.size, model.size());
        assert_eq!(table.max(), model.max);
        for (index, (name, value)) in model.entries.iter().enumerate() {
            assert_eq!(table.get(index).and_then(Joined::split), Some((&name[..], &value[..])));
        }
        assert!(table.get(model.entries.len()).is_none());
        assert!(table.bytes.capacity() <= (largest + largest / 2).max(BYTES_LEAST));
        assert_eq!(table.bytes.len() - table.dead, table.size - OVERHEAD * table.len());
    }

    proptest! {
        #[test]
        fn it_does_what_the_specification_says(max in 0u32..2_000, base: u32, steps in steps()) {
            let mut table = Table::new(max);
            // Positions that come round.
            table.base = base;
            let mut model = Model { max: max as usize, ..Model::default() };
            let mut largest = model.max;
            for step in steps {
                match step {
                    Step::Insert(name, value) => {
                        table.insert(&name, &value);
                        model.insert(&name, &value);
                    }
                    Step::Max(max) => {
                        table.set_max(max);
                        model.max = max as usize;
                        model.evict(0);
                        largest = largest.max(model.max);
                    }
                    Step::Clear => {
                        table.clear();
                        model.entries.clear();
                    }
                }
                check(&table, &model, largest);
            }
        }
    }

    #[test]
    fn positions_may_come_round() {
        let mut table = Table::new(1_000);
        let mut model = Model { max: 1_000, ..Model::default() };
        table.base = u32::MAX - 2_000;
        for i in 0..400u32 {
            let name = vec![b'n'; i as usize % 37];
            table.insert(&name, &i.to_be_bytes());
            model.insert(&name, &i.to_be_bytes());
            check(&table, &model, 1_000);
        }
        assert!(table.base < u32::MAX / 2);
    }

    #[test]
    fn memory_is_taken_late_and_given_back() {
        let mut table = Table::new(4_096);
        assert_eq!((table.bytes.capacity(), table.entries.capacity()), (0, 0));
        table.insert(b"name", b"value");
        assert_eq!(table.bytes.capacity(), BYTES_LEAST);
        table.set_max(0);
        assert_eq!((table.bytes.capacity(), table.entries.capacity(), table.len()), (0, 0, 0));
    }
}
