//! A chunked body, split in three ways, read by a second reader and written anew.
#![no_main]

#[path = "../../crates/http1/tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::chunked(data));
