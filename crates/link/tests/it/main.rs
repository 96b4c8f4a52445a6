//! Behaviour of the crate from outside: real sockets, real certificates, a server and clients.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for one event among all")]

#[cfg(test)]
mod identity;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod support;
#[cfg(test)]
mod survival;
