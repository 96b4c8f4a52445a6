//! The upstream's side of a connection; the first byte chooses what was asked.
#![no_main]

#[path = "../../crates/http1/tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::response(data));
