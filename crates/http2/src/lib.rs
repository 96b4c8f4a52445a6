//! A strict sans-IO HTTP/2 codec (RFC 9113, with HPACK of RFC 7541 and extended CONNECT of RFC
//! 8441), for both sides of a connection.
//!
//! A [`Connection`] takes the bytes that came and says the bytes that are to be sent. It reads
//! frames and field compression, keeps the state of streams and windows, resets streams whose
//! messages are malformed, and leaves peers that break the protocol or make too much work. Whoever
//! serves a stream polls it; the connection wakes it when there is something new.
//!
//! What it must never do: read or write a socket, look at a clock, hold more than its [`Config`]
//! allows, or decide what a message means beyond RFC 9113 section 8.
//!
//! Where to start reading: [`Connection`] (`connection.rs`), then `receive.rs` for what comes,
//! `send.rs` for what is done with a stream, `message.rs` for what makes a message malformed.
//!
//! ```text
//! bytes ─► Connection::receive ─► frames ─► hpack ─► Request, Response, trailers ─► accept, poll_*
//!                     └► content ─► inbox of the stream ─► poll_data
//! open, send_head, poll_send, finish, release ─► Connection::output ─► bytes
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod budget;
mod code;
mod connection;
mod fields;
mod flow;
mod frame;
mod head;
pub mod hpack;
mod limits;
mod message;
mod receive;
mod send;
mod settings;
mod stream;

pub use code::{ErrorCode, StreamError};
pub use connection::{Accepted, Connection};
pub use fields::Fields;
pub use message::{Request, Response};
pub use send::Block;
pub use settings::{Config, Role};
pub use stream::Answer;
