//! A request target: split, made canonical, compared with a plain reading, its prefix replaced.
#![no_main]

#[path = "../../crates/ir/tests/path_invariants/mod.rs"]
mod path_invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| path_invariants::judge(data));
