//! Whatever an authorization service answers, what becomes of the request can be written.
#![no_main]

#[path = "../../crates/proxy/tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::auth_answer(data));
