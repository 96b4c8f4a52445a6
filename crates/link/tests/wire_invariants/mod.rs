//! What holds for any bytes that are read as an entity; shared with the fuzz target.

use link::wire::{decode, encode};

/// Longer inputs only repeat what shorter ones show.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// Reads the bytes. What they hold, if anything, survives being written and read again. Gives
/// whether they hold something. Panics when something that always holds does not.
pub(crate) fn check(data: &[u8]) -> bool {
    if data.len() > INPUT_BYTES_MAX {
        return false;
    }
    let Ok(entity) = decode(data) else { return false };
    let bytes = encode(&entity);
    let again = decode(bytes.as_bytes()).expect("what was encoded can be decoded");
    assert_eq!(again, entity);
    assert_eq!(again.key(), entity.key());
    assert!(encode(&again) == bytes, "equal entities have equal bytes");
    true
}
