//! Any bytes as a file: read, translated, assembled and finished, twice with the same answer.
#![no_main]

#[path = "../../crates/translate/tests/translate_invariants/mod.rs"]
mod translate_invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| translate_invariants::check(data));
