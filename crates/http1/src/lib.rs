//! A strict sans-IO HTTP/1.1 codec.
//!
//! It turns bytes into an index of a message head (byte ranges into the caller's buffer, names
//! recognised once) and bodies into ranges of data, and it writes heads and chunks. Everything
//! that RFC 9110 and RFC 9112 leave to the recipient's mercy is refused here: bare LF, obs-fold,
//! two lengths, a length beside a transfer coding, two hosts.
//!
//! What it must never do: read or write a socket, allocate per message once its scratch structs
//! are warm, guess what an ambiguous message means, or decide a route. Path normalisation belongs
//! to the crate `ir`.
//!
//! Where to start reading: [`RequestHead::parse`] (`request.rs`, then `request/semantics.rs`),
//! [`ChunkDecoder::decode`] (`chunked.rs`), [`Limits`] (`limits.rs`).
//!
//! ```text
//! bytes ─► RequestHead::parse ─► spans, FieldIndex, BodyFraming ─► BodyDecoder ─► data ranges
//!                                                                └► trailers
//! write_request_line, write_status_line, write_field, chunk writers ─► bytes
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod authority;
mod body;
mod chunked;
mod connection;
mod error;
mod field;
mod known;
mod limits;
mod message;
mod request;
mod response;
mod scan;
mod span;
mod transfer;
pub mod word;
mod write;

pub use authority::{Authority, parse_authority};
pub use body::{BodyDecoder, BodyError, BodyErrorReason, BodyEvent, LengthDecoder};
pub use chunked::{ChunkDecoder, may_be_trailer};
pub use error::{RequestError, RequestErrorReason, ResponseError, ResponseErrorReason};
pub use field::{Disposition, Field, FieldError, FieldIndex};
pub use known::Known;
pub use limits::{Limits, UnderscoreNames};
pub use message::{BodyFraming, Method, Parse, Scheme, Target, Version};
pub use request::RequestHead;
pub use response::{Asked, ResponseHead};
pub use span::Span;
pub use write::{
    WriteError, write_chunk, write_chunk_end, write_chunk_start, write_content_length, write_field,
    write_head_end, write_last_chunk, write_request_line, write_status_line,
};
