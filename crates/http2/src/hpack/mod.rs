//! HPACK, the compression of field sections (RFC 7541).
//!
//! A [`Decoder`] and an [`Encoder`] belong to one connection each, and see its blocks in the order
//! of the wire. Both are safe to feed anything; what is expanded is bounded by the caller, what is
//! kept by the size of the table.

mod decode;
mod encode;
mod huffman;
mod integer;
mod policy;
mod search;
mod static_table;
mod table;

pub use decode::{Decoded, Decoder};
pub use encode::{Encoder, Indexing};

/// The size of a dynamic table before any SETTINGS (RFC 9113 section 6.5.2).
pub const TABLE_SIZE: u32 = 4_096;

/// First bits of a representation, and the bits of the integer behind them (RFC 7541 section 6).
mod pattern {
    pub(super) const INDEXED: (u8, u32) = (0x80, 7);
    pub(super) const INDEXING: (u8, u32) = (0x40, 6);
    pub(super) const SIZE_UPDATE: (u8, u32) = (0x20, 5);
    pub(super) const NEVER: (u8, u32) = (0x10, 4);
    pub(super) const LITERAL: (u8, u32) = (0x00, 4);
    /// Of string literals.
    pub(super) const HUFFMAN: (u8, u32) = (0x80, 7);
    pub(super) const RAW: (u8, u32) = (0x00, 7);
    /// Shorter ones have their length in one octet.
    pub(super) const STRING_SHORT: usize = 127;
}

/// Why a block cannot be decoded. The tables no longer agree: it ends the connection with
/// `COMPRESSION_ERROR` (RFC 9113 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HpackError {
    /// An index that is 0 or leads to no entry.
    #[error("an index leads to no entry of the tables")]
    IndexOutOfRange,
    /// An integer of more than 32 bits, or of more octets than those need.
    #[error("an integer is too large")]
    Integer,
    /// A string with the code of EOS, or with padding that is too long or not all ones.
    #[error("a string is no valid Huffman code")]
    Huffman,
    /// The block ends within a field.
    #[error("the block ends within a field")]
    Truncated,
    /// A size update above the size that was announced, behind a field, or one too many.
    #[error("an update of the table size is too large or out of place")]
    SizeUpdate,
}
