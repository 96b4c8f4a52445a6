//! A whole header ends where it says, whatever follows, and no part of it is whole.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(length) = proxy::fuzzing::proxy_header(data) else { return };
    assert!(length <= data.len());
    assert_eq!(proxy::fuzzing::proxy_header(&data[..length]), Some(length));
    for end in 0..length {
        assert_eq!(proxy::fuzzing::proxy_header(&data[..end]), None);
    }
});
