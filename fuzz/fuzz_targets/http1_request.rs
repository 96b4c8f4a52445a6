//! The client's side of a connection: heads and bodies, split in three ways, read by a second reader and written anew.
#![no_main]

#[path = "../../crates/http1/tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::request(data));
