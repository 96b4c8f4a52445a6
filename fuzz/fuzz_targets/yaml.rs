//! Any bytes as a file: no panic, every place inside the text, the same answer twice.
#![no_main]

#[path = "../../crates/source/tests/yaml_invariants/mod.rs"]
mod yaml_invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| yaml_invariants::check(data));
