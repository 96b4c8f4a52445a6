//! Bodies of any framing, as ranges of the caller's input.

use std::fmt;

use crate::chunked::ChunkDecoder;
use crate::field::FieldError;
use crate::{BodyFraming, Limits};

/// What a body decoder found in its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEvent {
    /// `input[start..end]` is body data, never empty, and `input[..end]` is consumed. Call again
    /// with `input[end..]`, even when that is empty.
    Data {
        /// First byte of the data.
        start: usize,
        /// One past the last byte.
        end: usize,
    },
    /// All of the input is consumed and the body goes on.
    NeedMore,
    /// The body ended behind `input[..consumed]`; what follows belongs to the next message.
    End {
        /// Bytes of the input that belong to this body.
        consumed: usize,
    },
}

/// Why a body was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyErrorReason {
    /// Chunk data is not followed by CRLF: it is longer than its size, or a line end is bare.
    ChunkEnd,
    /// A chunk extension is not `;name` or `;name=value`.
    ChunkExtension,
    /// The chunk extensions of the message are larger than the limit.
    ChunkExtensionTooLarge,
    /// A chunk size is not hexadecimal digits, CRLF.
    ChunkSize,
    /// A chunk size has more digits than 64 bits need.
    ChunkSizeTooLarge,
    /// The trailer section is not a field section.
    Trailer(FieldError),
    /// The trailer section is larger than the limit.
    TrailersTooLarge,
    /// The peer closed before the end of the body.
    Truncated,
}

impl BodyErrorReason {
    /// Every reason, in the order of the enum, with one field error for all.
    pub const ALL: &'static [Self] = &[
        Self::ChunkEnd,
        Self::ChunkExtension,
        Self::ChunkExtensionTooLarge,
        Self::ChunkSize,
        Self::ChunkSizeTooLarge,
        Self::Trailer(FieldError::Name),
        Self::TrailersTooLarge,
        Self::Truncated,
    ];

    /// Status code of the answer to a request whose body is refused, while no response has been
    /// sent. For a response body it is 502 instead, or an abort.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Trailer(FieldError::TooMany | FieldError::ValueTooLong)
            | Self::TrailersTooLarge => 431,
            Self::ChunkEnd
            | Self::ChunkExtension
            | Self::ChunkExtensionTooLarge
            | Self::ChunkSize
            | Self::ChunkSizeTooLarge
            | Self::Trailer(_)
            | Self::Truncated => 400,
        }
    }

    /// Stable label for metrics and logs.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::ChunkEnd => "chunk_end",
            Self::ChunkExtension => "chunk_extension",
            Self::ChunkExtensionTooLarge => "chunk_extension_too_large",
            Self::ChunkSize => "chunk_size",
            Self::ChunkSizeTooLarge => "chunk_size_too_large",
            Self::Trailer(_) => "trailer",
            Self::TrailersTooLarge => "trailers_too_large",
            Self::Truncated => "truncated",
        }
    }
}

impl fmt::Display for BodyErrorReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChunkEnd => "chunk data is not followed by CRLF",
            Self::ChunkExtension => "a chunk extension is malformed",
            Self::ChunkExtensionTooLarge => "the chunk extensions are too large",
            Self::ChunkSize => "a chunk size is malformed",
            Self::ChunkSizeTooLarge => "a chunk size has too many digits",
            Self::Trailer(error) => return write!(f, "in the trailer section {error}"),
            Self::TrailersTooLarge => "the trailer section is too large",
            Self::Truncated => "the connection closed before the end of the body",
        })
    }
}

/// A body that is refused. Where the next message starts is not known: close the connection it
/// came from and abort what was passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("body refused: {reason}")]
pub struct BodyError {
    /// Status code of the answer, for a request body.
    pub status: u16,
    /// What is wrong.
    pub reason: BodyErrorReason,
}

impl From<BodyErrorReason> for BodyError {
    fn from(reason: BodyErrorReason) -> Self {
        Self { status: reason.status(), reason }
    }
}

/// Counts down a body of known length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LengthDecoder {
    remaining: u64,
}

impl LengthDecoder {
    /// A body of `length` bytes.
    #[must_use]
    pub fn new(length: u64) -> Self {
        Self { remaining: length }
    }

    /// Bytes that have not come yet.
    #[must_use]
    pub fn remaining(self) -> u64 {
        self.remaining
    }

    /// Takes the next piece of `input`.
    #[inline]
    pub fn decode(&mut self, input: &[u8]) -> BodyEvent {
        if self.remaining == 0 {
            return BodyEvent::End { consumed: 0 };
        }
        let here = u64::try_from(input.len()).unwrap_or(u64::MAX).min(self.remaining);
        if here == 0 {
            return BodyEvent::NeedMore;
        }
        self.remaining -= here;
        BodyEvent::Data { start: 0, end: usize::try_from(here).unwrap_or(usize::MAX) }
    }
}

/// Decodes a body of any framing. Reuse it with [`start_request`](Self::start_request) or
/// [`start_response`](Self::start_response).
#[derive(Debug, Default)]
pub struct BodyDecoder {
    framing: BodyFraming,
    length: LengthDecoder,
    chunks: ChunkDecoder,
}

impl BodyDecoder {
    /// A decoder of an empty body.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes it ready for the body of a request.
    pub fn start_request(&mut self, framing: BodyFraming) {
        self.start(framing, false);
    }

    /// Makes it ready for the body of a response.
    pub fn start_response(&mut self, framing: BodyFraming) {
        self.start(framing, true);
    }

    fn start(&mut self, framing: BodyFraming, response: bool) {
        self.framing = framing;
        match framing {
            BodyFraming::Length(length) => self.length = LengthDecoder::new(length),
            BodyFraming::Chunked => self.chunks.reset_for(response),
            BodyFraming::None | BodyFraming::UntilClose => {}
        }
    }

    /// Decodes the next piece of `input`, which starts where the last event ended.
    ///
    /// # Errors
    /// As [`ChunkDecoder::decode`]; other framings have none.
    #[inline]
    pub fn decode(&mut self, input: &[u8], limits: &Limits) -> Result<BodyEvent, BodyError> {
        match self.framing {
            BodyFraming::None => Ok(BodyEvent::End { consumed: 0 }),
            BodyFraming::Length(_) => Ok(self.length.decode(input)),
            BodyFraming::Chunked => self.chunks.decode(input, limits),
            BodyFraming::UntilClose if input.is_empty() => Ok(BodyEvent::NeedMore),
            BodyFraming::UntilClose => Ok(BodyEvent::Data { start: 0, end: input.len() }),
        }
    }

    /// The peer closed its side: is the body whole?
    ///
    /// # Errors
    /// [`BodyErrorReason::Truncated`] when it is not.
    pub fn end_of_input(&self) -> Result<(), BodyError> {
        if self.is_done() || self.framing == BodyFraming::UntilClose {
            Ok(())
        } else {
            Err(BodyErrorReason::Truncated.into())
        }
    }

    /// Whether the last byte of the body has been seen. Never for [`BodyFraming::UntilClose`].
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self.framing {
            BodyFraming::None => true,
            BodyFraming::Length(_) => self.length.remaining() == 0,
            BodyFraming::Chunked => self.chunks.is_done(),
            BodyFraming::UntilClose => false,
        }
    }

    /// Framing it was started with.
    #[must_use]
    pub fn framing(&self) -> BodyFraming {
        self.framing
    }

    /// Bytes that have not come yet, when the length is known.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        match self.framing {
            BodyFraming::None => Some(0),
            BodyFraming::Length(_) => Some(self.length.remaining()),
            BodyFraming::Chunked | BodyFraming::UntilClose => None,
        }
    }

    /// The trailers that may be passed on; empty unless a chunked body has ended.
    pub fn trailers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let chunked = self.framing == BodyFraming::Chunked && self.chunks.is_done();
        self.chunks.trailers().filter(move |_| chunked)
    }

    /// The decoder of the chunked coding, for its trailers and counts.
    #[must_use]
    pub fn chunks(&self) -> &ChunkDecoder {
        &self.chunks
    }
}
