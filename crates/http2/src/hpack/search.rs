//! Hashes of the entries of an encoder's table, to find one by its field.

/// Hashes compared at once.
const LANES: usize = 8;
/// An odd number with its bits well mixed (from the golden ratio).
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
/// Set in the keys of names that the static table lacks.
const UNKNOWN: u32 = 1 << 31;

/// A name as 32 bits: its index in the static table, or else a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameKey(u32);

impl NameKey {
    /// The key of `name`, whose index in the static table is `known`.
    #[inline]
    pub(super) fn new(name: &[u8], known: Option<u32>) -> Self {
        Self(known.unwrap_or_else(|| hash(0, name) | UNKNOWN))
    }

    /// Whether equal keys mean equal names.
    #[inline]
    pub(super) fn is_exact(self) -> bool {
        self.0 & UNKNOWN == 0
    }
}

/// The hashes of a table's entries, the oldest first.
///
/// Two arrays and not one, because comparing many neighbours with one hash is what a processor
/// does best. A hash that is met on purpose costs comparisons with a table's few entries.
#[derive(Debug, Default)]
pub(super) struct Hashes {
    names: Vec<u32>,
    fields: Vec<u32>,
}

impl Hashes {
    /// Notes the newest entry of a table that now has `len` of them.
    #[inline]
    pub(super) fn insert(&mut self, name: NameKey, field: u32, len: usize) {
        self.evict_to(len.saturating_sub(1));
        self.names.push(name.0);
        self.fields.push(field);
    }

    /// Forgets the oldest, which the table has evicted.
    pub(super) fn evict_to(&mut self, len: usize) {
        if len == 0 {
            *self = Self::default();
        } else if let Some(evicted) = self.names.len().checked_sub(len)
            && evicted > 0
        {
            self.names.drain(..evicted);
            self.fields.drain(..evicted);
        }
    }

    /// The index of an entry with this hash of a field for which `is` holds. It gets whether the
    /// name is known to be equal.
    #[inline]
    pub(super) fn field(
        &self,
        name: NameKey,
        field: u32,
        is: impl Fn(usize, bool) -> bool,
    ) -> Option<usize> {
        position(&self.fields, field, |at| {
            let same_name = name.is_exact() && self.names.get(at) == Some(&name.0);
            is(self.index(at), same_name)
        })
        .map(|at| self.index(at))
    }

    /// The index of an entry with this name, for which `is` holds.
    #[inline]
    pub(super) fn name(&self, name: NameKey, is: impl Fn(usize) -> bool) -> Option<usize> {
        position(&self.names, name.0, |at| is(self.index(at))).map(|at| self.index(at))
    }

    /// The index, which counts from the newest, of a place.
    #[inline]
    fn index(&self, at: usize) -> usize {
        self.fields.len() - 1 - at
    }
}

/// The first place of `wanted` for which `is` holds.
#[inline]
fn position(hashes: &[u32], wanted: u32, is: impl Fn(usize) -> bool) -> Option<usize> {
    let at = first(hashes, wanted)?;
    if is(at) { Some(at) } else { position_behind(hashes, wanted, at, is) }
}

/// As [`position`], behind a place whose hash is the same by chance.
#[cold]
#[inline(never)]
fn position_behind(
    hashes: &[u32],
    wanted: u32,
    at: usize,
    is: impl Fn(usize) -> bool,
) -> Option<usize> {
    let mut places = hashes.iter().enumerate().skip(at + 1);
    places.find(|(at, hash)| **hash == wanted && is(*at)).map(|(at, _)| at)
}

/// The first place of `wanted`.
#[inline]
fn first(hashes: &[u32], wanted: u32) -> Option<usize> {
    let (groups, rest) = hashes.as_chunks::<LANES>();
    let mut start = 0;
    for group in groups {
        let equal = equal(group, wanted);
        if equal != 0 {
            return Some(start + equal.trailing_zeros() as usize);
        }
        start += LANES;
    }
    // Those of the last group, made whole by some before it.
    if let Some(last) = hashes.last_chunk::<LANES>() {
        let equal = equal(last, wanted);
        return (equal != 0).then(|| hashes.len() - LANES + equal.trailing_zeros() as usize);
    }
    rest.iter().position(|hash| *hash == wanted)
}

/// A bit for each hash that equals `wanted`, made without branches, so that it becomes a few
/// instructions for all.
#[inline]
fn equal(group: &[u32; LANES], wanted: u32) -> u32 {
    // The high bit is of no use but to keep the compiler from single bits, which it makes one by
    // one of comparisons, instead of all at once.
    const BITS: [u32; LANES] = [0x101, 0x102, 0x104, 0x108, 0x110, 0x120, 0x140, 0x180];
    let pairs = group.iter().zip(BITS);
    pairs.fold(0, |all, (hash, bits)| all | if *hash == wanted { bits } else { 0 }) & 0xff
}

/// A hash of a field.
#[inline]
pub(super) fn field_hash(name: NameKey, value: &[u8]) -> u32 {
    hash(name.0, value)
}

#[inline]
fn hash(seed: u32, bytes: &[u8]) -> u32 {
    let mut state = u64::from(seed) ^ (bytes.len() as u64) << 32;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = mix(state, u64::from_le_bytes(*word));
    }
    // The last octets of a long string once more, so that they are one word in any case.
    let last = match (bytes.last_chunk::<8>(), rest) {
        (_, []) => 0,
        (Some(word), _) => u64::from_le_bytes(*word),
        (None, _) => short_word(rest),
    };
    (mix(state, last) >> 32) as u32
}

/// One to seven octets as a number that tells them from others of the same length.
#[inline]
fn short_word(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last))
        }
        _ => bytes.iter().fold(0, |word, octet| word << 8 | u64::from(*octet)),
    }
}

#[inline]
fn mix(state: u64, word: u64) -> u64 {
    let product = (state ^ word).wrapping_mul(MULTIPLIER);
    product ^ product >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_matches_is_found() {
        for most in [1usize, 5, 7, 8, 9, 15, 16, 17, 40, 70] {
            let mut hashes = Hashes::default();
            let mut model = Vec::new();
            let name = NameKey::new(b"x", None);
            for i in 0..200u32 {
                model.push(i % 7);
                if model.len() > most {
                    model.remove(0);
                }
                hashes.insert(name, i % 7, model.len());
                let newest = model.len() - 1;
                for wanted in 0..8 {
                    for from in [0, 1, most / 2, most - 1] {
                        let mut places = model.iter().enumerate();
                        let expected = places.find(|(at, h)| *at >= from && **h == wanted);
                        let is = |index, same: bool| !same && newest - index >= from;
                        let found = hashes.field(name, wanted, is);
                        assert_eq!(found, expected.map(|(at, _)| newest - at));
                    }
                }
                assert_eq!(hashes.name(name, |index| index == 0), Some(0));
                assert_eq!(hashes.name(NameKey::new(b"y", None), |_| true), None);
            }
            hashes.evict_to(0);
            assert_eq!(hashes.name(name, |_| true), None);
        }
    }

    #[test]
    fn hashes_of_like_fields_differ() {
        let mut all = std::collections::BTreeSet::new();
        for i in 0..10_000u32 {
            for text in [format!("{i}"), format!("{i:09}"), format!("value-{i:05}-and-more")] {
                all.insert((text.len(), hash(3, text.as_bytes())));
            }
        }
        assert!(all.len() > 29_990, "{}", all.len());
    }
}
