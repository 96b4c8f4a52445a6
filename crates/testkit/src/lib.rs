//! What the tests of all crates share: recorder backends, a raw client, a golden runner, certificates, ports, folders and processes.
//!
//! It must never be a normal dependency of any crate, never share a parser with what it tests (its HTTP/1.1 reader is its own, small and strict), and never wait without a deadline.
//! All of it is blocking and runs on threads of its own, so that a test in any runtime can use it.
//!
//! Start reading at [`recorder`] (the backend that writes down what it received), [`raw`] (the client that sends exactly the bytes it is given) and [`golden`] (input and expected output in one file).
#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test's helper reports a broken test by a panic"
)]
#![warn(missing_docs)]

pub mod certs;
pub mod corpus;
pub mod folder;
pub mod gate;
pub mod golden;
pub mod h2;
pub mod ports;
pub mod process;
pub mod raw;
pub mod recorder;
pub mod stream_echo;
pub mod tls_front;
pub mod wire;

use std::time::Duration;

/// How long any single wait of a test may take before it fails. Generous, because a loaded machine is no fault of the code under test.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Runs `check` until it gives a value; fails after [`DEADLINE`], naming `what`.
///
/// For outside state that has no event to wait on (a listening socket, a scraped metric).
#[track_caller]
pub fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let started = std::time::Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
