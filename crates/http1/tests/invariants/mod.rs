//! What must hold for any input, as plain functions: the fuzz targets call them, and so do the
//! tests that replay corpora on a stable toolchain.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test and fuzz target uses a part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "checks stop the run, and they run in tests only"
)]

pub mod checks;
pub mod oracle;
pub mod run;

pub use checks::{chunked, request, response};
