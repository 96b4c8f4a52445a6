//! Any bytes as an entity of the stream between controller and proxy.
#![no_main]

#[path = "../../crates/link/tests/wire_invariants/mod.rs"]
mod wire_invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    wire_invariants::check(data);
});
