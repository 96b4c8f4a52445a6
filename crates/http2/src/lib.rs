//! A strict sans-IO HTTP/2 codec.
//!
//! What it must never do: read or write a socket, allocate per message once its scratch structs are
//! warm, or guess what a peer means that breaks the protocol.
//!
//! Where to start reading: [`Fields`] (`fields.rs`), [`hpack::Decoder`] (`hpack/decode.rs`),
//! [`hpack::Encoder`] (`hpack/encode.rs`).

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod fields;
pub mod hpack;

pub use fields::Fields;
