//! A rehearsal of the upstream conformance suite against `serve` and a folder of files.
//!
//! Each scenario checks what the upstream test named in its doc comment checks, with objects of our own: conditions and listener status from the admin endpoint, traffic through real sockets. Start reading at [`kit`].
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test fails by a panic"
)]

#[path = "rehearsal/cors.rs"]
mod cors;
#[path = "rehearsal/experimental.rs"]
mod experimental;
#[path = "rehearsal/external_auth.rs"]
mod external_auth;
#[path = "rehearsal/filters.rs"]
mod filters;
#[path = "rehearsal/gateways.rs"]
mod gateways;
#[path = "rehearsal/kit.rs"]
mod kit;
#[path = "rehearsal/listener_sets.rs"]
mod listener_sets;
#[path = "rehearsal/listeners.rs"]
mod listeners;
#[path = "rehearsal/matching.rs"]
mod matching;
#[path = "rehearsal/routes.rs"]
mod routes;
#[path = "rehearsal/tls.rs"]
mod tls;
#[path = "rehearsal/traffic.rs"]
mod traffic;
