//! A whole header ends where it says, whatever follows, and no part of it is whole.
#![no_main]

#[path = "../../crates/proxy/tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::proxy_protocol(data));
