//! What follows a whole ClientHello does not change what it says.
#![no_main]

#[path = "../../crates/proxy/tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::client_hello(data));
