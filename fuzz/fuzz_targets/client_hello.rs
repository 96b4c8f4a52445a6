//! What follows a whole ClientHello does not change what it says.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(name) = proxy::fuzzing::client_hello(data) else { return };
    let more = [data, b"more"].concat();
    assert_eq!(proxy::fuzzing::client_hello(&more), Some(name.clone()));
    assert!(name.is_none_or(|name| !name.is_empty() && name.len() <= 253));
});
