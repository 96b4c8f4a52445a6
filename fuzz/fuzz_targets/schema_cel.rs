//! An object of any kind, judged by its schema and its CEL rules, twice.
#![no_main]

#[path = "../../crates/api/tests/schema_invariants/mod.rs"]
mod schema_invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| schema_invariants::judge(data));
