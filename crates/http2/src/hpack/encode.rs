//! Fields to header blocks (RFC 7541 sections 4.2 and 6).

use super::search::{Hashes, NameKey, field_hash};
use super::table::{Joined, Table, entry_size};
use super::{TABLE_SIZE, huffman, integer, pattern, policy, static_table};

/// Octets of a name that are put into lower case without memory of their own.
const NAME_USUAL: usize = 64;

/// Encodes the header blocks of one direction of a connection.
#[derive(Debug)]
pub struct Encoder {
    table: Table,
    hashes: Hashes,
    /// Sizes set since the last block: the smallest and the last one.
    pending: Option<(u32, u32)>,
}

/// Whether a field may enter the dynamic table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexing {
    /// It may.
    Index,
    /// It would be of no use there, because its value differs each time.
    Literal,
    /// It must not, here or behind the peer, because it is a secret (RFC 7541 section 7.1.3).
    Never,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// An encoder with a table of 4096 bytes, which takes memory when it is used.
    #[must_use]
    pub fn new() -> Self {
        Self { table: Table::new(TABLE_SIZE), hashes: Hashes::default(), pending: None }
    }

    /// The peer's `SETTINGS_HEADER_TABLE_SIZE`. The table gets the lesser of it and 4096, and the
    /// next block says so.
    pub fn set_table_size(&mut self, size: u32) {
        let size = size.min(TABLE_SIZE);
        let smallest = self.pending.map_or(size, |(smallest, _)| smallest.min(size));
        self.pending = Some((smallest, size));
    }

    /// Begins a block: writes the changes of the table's size (RFC 7541 section 4.2).
    #[inline]
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some((smallest, last)) = self.pending.take() {
            self.change_size(smallest, out);
            self.change_size(last, out);
        }
    }

    fn change_size(&mut self, size: u32, out: &mut Vec<u8>) {
        if size as usize != self.table.max() {
            integer::write(pattern::SIZE_UPDATE, size, out);
            self.table.set_max(size);
            self.hashes.evict_to(self.table.len());
        }
    }

    /// Appends a field to the block that [`begin`](Self::begin) began. Its name may be in any case,
    /// and decides what becomes of it in the table.
    #[inline]
    pub fn add(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        match static_table::find(name) {
            Some(index) => {
                let name = static_table::get(index).map_or(name, |(name, _)| name);
                self.put(name, Some(index), value, policy::of_known(index, value), out);
            }
            None => self.add_unknown(name, value, out),
        }
    }

    fn add_unknown(&mut self, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
        // Without a branch for each octet, so that many are judged at once.
        if !name.iter().fold(false, |any, octet| any | octet.is_ascii_uppercase()) {
            return self.put(name, None, value, policy::of_unknown(name, value), out);
        }
        let mut usual = [0; NAME_USUAL];
        match usual.get_mut(..name.len()) {
            Some(lower) => {
                lower.copy_from_slice(name);
                lower.make_ascii_lowercase();
                self.put(lower, None, value, policy::of_unknown(lower, value), out);
            }
            None => {
                let lower = name.to_ascii_lowercase();
                self.put(&lower, None, value, policy::of_unknown(&lower, value), out);
            }
        }
    }

    /// As [`add`](Self::add), with the choice left to the caller. The name must be in lower case.
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8], indexing: Indexing, out: &mut Vec<u8>) {
        self.put(name, static_table::find(name), value, indexing, out);
    }

    /// `known` is the index of the name in the static table.
    fn put(
        &mut self,
        name: &[u8],
        known: Option<u32>,
        value: &[u8],
        indexing: Indexing,
        out: &mut Vec<u8>,
    ) {
        if indexing != Indexing::Never
            && let Some(index) = known.and_then(|index| static_table::find_value(index, value))
        {
            return integer::write(pattern::INDEXED, index, out);
        }
        match indexing {
            Indexing::Index => self.indexed(name, known, value, out),
            Indexing::Literal => self.literal(pattern::LITERAL, name, known, value, out),
            Indexing::Never => self.literal(pattern::NEVER, name, known, value, out),
        }
    }

    fn indexed(&mut self, name: &[u8], known: Option<u32>, value: &[u8], out: &mut Vec<u8>) {
        let key = NameKey::new(name, known);
        let hash = field_hash(key, value);
        let found = self.hashes.field(key, hash, |at, same_name| {
            let entry = self.table.get(at).and_then(Joined::split);
            entry.is_some_and(|entry| entry.1 == value && (same_name || entry.0 == name))
        });
        if let Some(at) = found {
            return integer::write(pattern::INDEXED, dynamic_index(at), out);
        }
        // An entry that leaves little room for others costs more than it saves.
        let max = self.table.max();
        if entry_size(name.len().saturating_add(value.len())) > max - max / 4 {
            return self.literal(pattern::LITERAL, name, known, value, out);
        }
        let index = known.or_else(|| self.name_index(key, name));
        write_literal(pattern::INDEXING, index, name, value, out);
        self.table.insert(name, value);
        self.hashes.insert(key, hash, self.table.len());
    }

    /// A field that stays out of the table.
    fn literal(
        &self,
        pattern: (u8, u32),
        name: &[u8],
        known: Option<u32>,
        value: &[u8],
        out: &mut Vec<u8>,
    ) {
        let index = known.or_else(|| self.name_index(NameKey::new(name, None), name));
        write_literal(pattern, index, name, value, out);
    }

    /// The index of an entry of the dynamic table with this name, which the static table lacks.
    fn name_index(&self, key: NameKey, name: &[u8]) -> Option<u32> {
        let is = |at| self.table.get(at).is_some_and(|entry| entry.name() == Some(name));
        self.hashes.name(key, is).map(dynamic_index)
    }
}

/// The index of an entry of the dynamic table, which holds 128 entries at most.
#[inline]
fn dynamic_index(at: usize) -> u32 {
    static_table::ENTRIES + 1 + at as u32
}

fn write_literal(
    pattern: (u8, u32),
    index: Option<u32>,
    name: &[u8],
    value: &[u8],
    out: &mut Vec<u8>,
) {
    integer::write(pattern, index.unwrap_or(0), out);
    // What stays out of the table is written again each time, and the code takes longer than the
    // few octets that it saves: a dozen instructions for each.
    let write = if pattern == pattern::INDEXING { write_string } else { write_raw };
    if index.is_none() {
        write(name, out);
    }
    write(value, out);
}

/// A string literal as it is.
fn write_raw(string: &[u8], out: &mut Vec<u8>) {
    integer::write(pattern::RAW, length(string.len()), out);
    out.extend_from_slice(string);
}

/// A string literal (RFC 7541 section 5.2) in the shorter form.
fn write_string(string: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // Where the length fits into one octet in either form, the code is tried without measuring it.
    if string.len() < pattern::STRING_SHORT {
        // Only what is shorter fits.
        out.resize(start + string.len().max(1), 0);
        if let Some((first, dst)) = out.get_mut(start..).and_then(<[u8]>::split_first_mut)
            && let Some(len) = huffman::encode(string, dst)
            && len < string.len()
        {
            *first = pattern::HUFFMAN.0 | len as u8;
            return out.truncate(start + 1 + len);
        }
        out.truncate(start);
    } else {
        let len = huffman::encoded_len(string);
        if len < string.len() {
            integer::write(pattern::HUFFMAN, length(len), out);
            let start = out.len();
            out.resize(start.saturating_add(len), 0);
            huffman::encode(string, out.get_mut(start..).unwrap_or_default());
            return;
        }
    }
    write_raw(string, out);
}

/// No field has 4 GiB: its section would need more than 2^18 frames.
#[inline]
fn length(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
