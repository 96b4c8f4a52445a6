//! Entities of the IR as bytes: compact, bounded, and complete by construction.
//!
//! Start reading at `lists`, which names every field that is carried, then [`Entity`].

mod codec;
mod entity;
pub(crate) mod lists;
mod scalar;

use thiserror::Error;

pub(crate) use codec::{Decoder, Encoder, Wire};
pub use entity::{Entity, EntityKey};

use crate::{limits::ENTITY_BYTES_MAX, secret::SecretBytes};

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    #[error("a number does not fit its type")]
    Number,
    #[error("a reference leads nowhere")]
    Reference,
    #[error("there is no {of} with tag {tag}")]
    Tag { of: &'static str, tag: u8 },
    #[error("a text is not utf-8")]
    Text(#[from] std::str::Utf8Error),
    #[error("an entity is larger than {ENTITY_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the lists of one entity have too many elements")]
    TooMany,
    #[error("bytes are left over at the end")]
    Trailing,
    #[error("the bytes end too early")]
    Truncated,
    #[error("a {of} has a value that it cannot have")]
    Value { of: &'static str },
}

/// The bytes of an entity; equal for equal fields, whatever is shared in memory.
pub fn encode(entity: &Entity) -> SecretBytes {
    encode_value(entity)
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// When the bytes are no entity, or exceed a limit.
pub fn decode(bytes: &[u8]) -> Result<Entity, WireError> {
    if bytes.len() > ENTITY_BYTES_MAX {
        return Err(WireError::TooLarge);
    }
    decode_value(bytes)
}

pub(crate) fn encode_value(value: &impl Wire) -> SecretBytes {
    let mut out = Encoder::default();
    value.put(&mut out);
    out.finish()
}

pub(crate) fn decode_value<T: Wire>(bytes: &[u8]) -> Result<T, WireError> {
    let mut input = Decoder::new(bytes);
    let value = T::take(&mut input)?;
    input.finish()?;
    Ok(value)
}
