//! Header blocks to fields (RFC 7541 sections 3 and 6).

use super::table::{Joined, SIZE_MOST, Table, entry_size};
use super::{HpackError, huffman, integer, pattern, static_table};
use crate::Fields;

/// Size updates that may begin a block: the smallest size since the last one and the final size
/// (RFC 7541 section 4.2).
const SIZE_UPDATES: u8 = 2;

/// Decodes the header blocks of one direction of a connection.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
    /// What we announced: the sender may choose a lesser size.
    table_size: u32,
}

/// How much of a block's fields came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decoded {
    /// All of them.
    Whole,
    /// The first ones: the list is larger than the bound.
    TooLarge,
}

/// One block on its way into fields.
struct Section<'a> {
    out: &'a mut Fields,
    /// What the bound leaves for further fields. Nothing, once a field did not fit.
    room: usize,
    decoded: Decoded,
}

/// A field that stands at the end of the buffer, or begins there.
struct Literal {
    /// Bytes of name and value, with those that were not kept.
    len: usize,
    /// How many of them are kept at most: more would neither fit the list nor the table.
    most: usize,
}

impl Decoder {
    /// A decoder for senders that begin with a table of `table_size`, which is what we announced
    /// as `SETTINGS_HEADER_TABLE_SIZE`; more than 1 GiB is taken as that. Nothing is allocated
    /// for it until it is used.
    #[must_use]
    pub fn new(table_size: u32) -> Self {
        let table_size = table_size.min(SIZE_MOST);
        Self { table: Table::new(table_size), table_size }
    }

    /// Decodes one whole header block, and appends its fields to `out`.
    ///
    /// `most` bounds the list as RFC 9113 section 6.5.2 counts it: name, value and 32 for each
    /// field. The first field beyond it and all behind are left out of `out`, but the dynamic
    /// table follows the block to its end, so that the connection lives on.
    ///
    /// # Errors
    /// The first thing that is wrong; some fields may be in `out`. Neither this block nor one
    /// behind it has a meaning then.
    pub fn decode(
        &mut self,
        block: &[u8],
        most: usize,
        out: &mut Fields,
    ) -> Result<Decoded, HpackError> {
        let mut rest = block;
        self.size_updates(&mut rest)?;
        let mut section = Section { out, room: most, decoded: Decoded::Whole };
        while let Some((first, tail)) = rest.split_first() {
            rest = tail;
            if first & pattern::INDEXED.0 != 0 {
                let index = integer::read(*first, pattern::INDEXED.1, &mut rest)?;
                self.indexed(index, &mut section)?;
            } else {
                self.literal(*first, &mut rest, &mut section)?;
            }
        }
        Ok(section.decoded)
    }

    /// The size updates at the start of a block (RFC 7541 sections 4.2 and 6.3).
    #[inline]
    fn size_updates(&mut self, rest: &mut &[u8]) -> Result<(), HpackError> {
        let mut count = 0;
        while let Some((first, tail)) = rest.split_first()
            && is_size_update(*first)
        {
            *rest = tail;
            let size = integer::read(*first, pattern::SIZE_UPDATE.1, rest)?;
            count += 1;
            if size > self.table_size || count > SIZE_UPDATES {
                return Err(HpackError::SizeUpdate);
            }
            self.table.set_max(size);
        }
        Ok(())
    }

    /// A field that is an entry of either table (RFC 7541 section 6.1).
    #[inline]
    fn indexed(&self, index: u32, section: &mut Section<'_>) -> Result<(), HpackError> {
        if let Some(dynamic) = index.checked_sub(static_table::ENTRIES + 1) {
            let entry = self.table.get(dynamic as usize).ok_or(HpackError::IndexOutOfRange)?;
            if section.fits(entry.bytes.len()) {
                section.out.push_joined(entry.bytes, entry.name);
            }
        } else {
            let (name, value) = static_table::get(index).ok_or(HpackError::IndexOutOfRange)?;
            if section.fits(name.len() + value.len()) {
                section.out.push(name, value);
            }
        }
        Ok(())
    }

    /// The name of an entry of either table.
    #[inline]
    fn name(&self, index: u32) -> Result<&[u8], HpackError> {
        match index.checked_sub(static_table::ENTRIES + 1) {
            Some(dynamic) => self.table.get(dynamic as usize).and_then(Joined::name),
            None => static_table::get(index).map(|(name, _)| name),
        }
        .ok_or(HpackError::IndexOutOfRange)
    }

    /// A field whose value is a literal (RFC 7541 section 6.2).
    fn literal(
        &mut self,
        first: u8,
        rest: &mut &[u8],
        section: &mut Section<'_>,
    ) -> Result<(), HpackError> {
        if is_size_update(first) {
            return Err(HpackError::SizeUpdate);
        }
        let enters = first & pattern::INDEXING.0 != 0;
        let never = !enters && first & pattern::NEVER.0 != 0;
        let bits = if enters { pattern::INDEXING.1 } else { pattern::LITERAL.1 };
        let table_most = if enters { self.table.max() } else { 0 };
        let mut field = Literal { len: 0, most: section.room.max(table_most) };

        let buffer = section.out.buffer();
        let start = buffer.len();
        match integer::read(first, bits, rest)? {
            0 => field.string(rest, buffer)?,
            index => field.append(self.name(index)?, buffer),
        }
        let name_end = buffer.len();
        field.string(rest, buffer)?;

        if enters {
            self.enter(&field, buffer.get(start..).unwrap_or_default(), name_end - start);
        }
        section.commit(start, name_end, field.len, never);
        Ok(())
    }

    /// Makes a field an entry; `bytes` are all of it, unless it is larger than the table.
    fn enter(&mut self, field: &Literal, bytes: &[u8], name: usize) {
        match bytes.split_at_checked(name) {
            Some((name, value)) if bytes.len() == field.len => self.table.insert(name, value),
            _ => self.table.clear(),
        }
    }
}

impl Section<'_> {
    /// Takes the size of a field off the room, if it fits.
    #[inline]
    fn fits(&mut self, len: usize) -> bool {
        match self.room.checked_sub(entry_size(len)) {
            Some(room) => {
                self.room = room;
                true
            }
            None => {
                self.room = 0;
                self.decoded = Decoded::TooLarge;
                false
            }
        }
    }

    /// Makes a field of the end of the buffer, or removes it there.
    #[inline]
    fn commit(&mut self, start: usize, name_end: usize, len: usize, never: bool) {
        if self.fits(len) {
            self.out.commit(start, name_end, never);
        } else {
            self.out.buffer().truncate(start);
        }
    }
}

impl Literal {
    #[inline]
    fn append(&mut self, bytes: &[u8], buffer: &mut Vec<u8>) {
        if bytes.len() <= self.most.saturating_sub(self.len) {
            buffer.extend_from_slice(bytes);
        }
        self.len = self.len.saturating_add(bytes.len());
    }

    /// Reads a string literal (RFC 7541 section 5.2) to the end of the buffer.
    #[inline]
    fn string(&mut self, rest: &mut &[u8], buffer: &mut Vec<u8>) -> Result<(), HpackError> {
        let (first, tail) = rest.split_first().ok_or(HpackError::Truncated)?;
        *rest = tail;
        let len = integer::read(*first, pattern::HUFFMAN.1, rest)?;
        let (octets, tail) = rest.split_at_checked(len as usize).ok_or(HpackError::Truncated)?;
        *rest = tail;
        if first & pattern::HUFFMAN.0 == 0 {
            self.append(octets, buffer);
        } else {
            let most = self.most.saturating_sub(self.len);
            let len = huffman::decode(octets, most, buffer)?;
            self.len = self.len.saturating_add(len);
        }
        Ok(())
    }
}

#[inline]
fn is_size_update(first: u8) -> bool {
    first >> pattern::SIZE_UPDATE.1 == pattern::SIZE_UPDATE.0 >> pattern::SIZE_UPDATE.1
}
