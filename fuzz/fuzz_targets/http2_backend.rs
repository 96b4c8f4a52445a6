//! A backend's HTTP/2 connection behind its SETTINGS: heads and trailers become lines that split nothing.
#![no_main]

#[path = "../../crates/proxy/tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::http2_backend(data));
