//! A client's HTTP/2 connection behind its preface, whole and byte by byte: heads become one request of HTTP/1.1 or none.
#![no_main]

#[path = "../../crates/proxy/tests/invariants/mod.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|data: &[u8]| invariants::http2_client(data));
