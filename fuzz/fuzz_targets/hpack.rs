//! Header blocks of one connection; what decodes is written anew and read again.
#![no_main]

#[path = "../../crates/http2/tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::hpack(data));
