//! The chunked transfer coding (RFC 9112 section 7.1), decoded in place.
//!
//! ```text
//!          ┌──────────────── next chunk ────────────────┐
//! Size ─► (extension) ─► SizeLf ─► Data ─► DataCr ─► DataLf
//!                          └ size 0 ─► Trailers ─► Done
//! ```

use crate::body::{BodyError, BodyErrorReason as Reason, BodyEvent};
use crate::field::{FieldIndex, FieldLimits, FieldScanner, disposition_of};
use crate::scan::is_token_byte;
use crate::{Disposition, Known, Limits, UnderscoreNames};

/// Digits of a chunk size: as many as 64 bits need. More would only be leading zeros.
const SIZE_DIGITS: u8 = 16;

/// Decodes a chunked body. Reuse it with [`reset`](Self::reset): a trailer section is the only
/// thing it copies.
#[derive(Debug, Default)]
pub struct ChunkDecoder {
    state: State,
    /// Bytes left of the current chunk, or the size read so far.
    size: u64,
    digits: u8,
    extension_bytes: usize,
    data_bytes: u64,
    /// The trailer section as sent; the index points into it.
    section: Vec<u8>,
    scanner: FieldScanner,
    trailers: FieldIndex,
    keep_underscore_names: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Extension(Extension),
    SizeLf,
    Data,
    DataCr,
    DataLf,
    Trailers,
    Done,
    Failed(Reason),
}

/// Where in `;name=value` the next byte stands. Blanks around `;` and `=` are refused: only
/// senders that mean harm write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    NameStart,
    Name,
    ValueStart,
    Token,
    Quoted,
    QuotedPair,
    QuotedEnd,
}

impl ChunkDecoder {
    /// A decoder for a request body: trailers with `_` in their name follow
    /// [`Limits::underscore_names`], where `Reject` means the same as `Drop`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A decoder for a response body: trailers with `_` in their name are kept.
    #[must_use]
    pub fn for_response() -> Self {
        Self { keep_underscore_names: true, ..Self::default() }
    }

    /// Makes it ready for the next body of the same kind, and keeps its memory.
    pub fn reset(&mut self) {
        self.state = State::Size;
        self.size = 0;
        self.digits = 0;
        self.extension_bytes = 0;
        self.data_bytes = 0;
        self.section.clear();
        self.scanner = FieldScanner::default();
        self.trailers.clear();
    }

    pub(crate) fn reset_for(&mut self, response: bool) {
        self.reset();
        self.keep_underscore_names = response;
    }

    /// Decodes the next piece of `input`, which starts where the last event ended.
    ///
    /// # Errors
    /// The first thing that is wrong. The message has no end any more: the connection it came
    /// from must be closed, and what was already passed on must be aborted. Further calls give
    /// the same error.
    #[inline]
    pub fn decode(&mut self, input: &[u8], limits: &Limits) -> Result<BodyEvent, BodyError> {
        match self.advance(input, limits) {
            Ok(event) => Ok(event),
            Err(reason) => {
                self.state = State::Failed(reason);
                Err(reason.into())
            }
        }
    }

    fn advance(&mut self, input: &[u8], limits: &Limits) -> Result<BodyEvent, Reason> {
        let mut pos = 0usize;
        loop {
            match self.state {
                State::Data => return Ok(self.data(input, pos)),
                State::Trailers => return self.read_trailers(input, pos, limits),
                State::Done => return Ok(BodyEvent::End { consumed: pos }),
                State::Failed(reason) => return Err(reason),
                State::Size
                | State::Extension(_)
                | State::SizeLf
                | State::DataCr
                | State::DataLf => {
                    let Some(byte) = input.get(pos) else { return Ok(BodyEvent::NeedMore) };
                    pos += 1;
                    self.state = self.step(*byte, limits)?;
                }
            }
        }
    }

    fn data(&mut self, input: &[u8], pos: usize) -> BodyEvent {
        let here = u64::try_from(input.len() - pos).unwrap_or(u64::MAX).min(self.size);
        if here == 0 {
            return BodyEvent::NeedMore;
        }
        self.size -= here;
        self.data_bytes = self.data_bytes.saturating_add(here);
        if self.size == 0 {
            self.state = State::DataCr;
        }
        let end = pos.saturating_add(usize::try_from(here).unwrap_or(usize::MAX));
        BodyEvent::Data { start: pos, end }
    }

    /// One byte outside of data and trailers.
    fn step(&mut self, byte: u8, limits: &Limits) -> Result<State, Reason> {
        match (self.state, byte) {
            (State::Size, _) => self.size_byte(byte),
            (State::Extension(at), b'\r') => match at {
                Extension::Name | Extension::Token | Extension::QuotedEnd => Ok(State::SizeLf),
                Extension::NameStart
                | Extension::ValueStart
                | Extension::Quoted
                | Extension::QuotedPair => Err(Reason::ChunkExtension),
            },
            (State::Extension(at), _) => {
                self.extension_bytes += 1;
                if self.extension_bytes > limits.chunk_extension_bytes {
                    return Err(Reason::ChunkExtensionTooLarge);
                }
                at.step(byte).map(State::Extension).ok_or(Reason::ChunkExtension)
            }
            (State::SizeLf, b'\n') => {
                Ok(if self.size == 0 { State::Trailers } else { State::Data })
            }
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => {
                self.size = 0;
                self.digits = 0;
                Ok(State::Size)
            }
            (State::SizeLf, _) => Err(Reason::ChunkSize),
            _ => Err(Reason::ChunkEnd),
        }
    }

    fn size_byte(&mut self, byte: u8) -> Result<State, Reason> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if self.digits > 0 => return Ok(State::SizeLf),
            b';' if self.digits > 0 => {
                self.extension_bytes += 1;
                return Ok(State::Extension(Extension::NameStart));
            }
            _ => return Err(Reason::ChunkSize),
        };
        if self.digits >= SIZE_DIGITS {
            return Err(Reason::ChunkSizeTooLarge);
        }
        self.digits += 1;
        self.size = (self.size << 4) | u64::from(digit);
        Ok(State::Size)
    }

    fn read_trailers(
        &mut self,
        input: &[u8],
        pos: usize,
        limits: &Limits,
    ) -> Result<BodyEvent, Reason> {
        let rest = input.get(pos..).unwrap_or_default();
        if self.section.is_empty() && rest.starts_with(b"\r\n") {
            self.state = State::Done;
            return Ok(BodyEvent::End { consumed: pos + 2 });
        }
        let before = self.section.len();
        let room = limits.trailer_bytes.saturating_sub(before);
        self.section.extend_from_slice(rest.get(..room).unwrap_or(rest));
        let keep = self.keep_underscore_names || limits.underscore_names == UnderscoreNames::Allow;
        let field_limits = FieldLimits {
            fields: limits.trailer_fields,
            value_bytes: limits.value_bytes,
            underscore: if keep { Disposition::Forward } else { Disposition::Underscore },
        };
        let end = self
            .scanner
            .scan(&self.section, &mut self.trailers, field_limits)
            .map_err(Reason::Trailer)?;
        match end {
            Some(end) => {
                self.section.truncate(end);
                self.mark_forbidden();
                self.state = State::Done;
                Ok(BodyEvent::End { consumed: pos + (end - before) })
            }
            None if self.section.len() >= limits.trailer_bytes => Err(Reason::TrailersTooLarge),
            None => Ok(BodyEvent::NeedMore),
        }
    }

    fn mark_forbidden(&mut self) {
        for field in self.trailers.iter_mut() {
            if is_forbidden(field.known, field.name.of(&self.section)) {
                field.disposition = Disposition::Forbidden;
            }
        }
    }

    /// Whether the body has ended; then [`trailers`](Self::trailers) is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Data bytes so far, over all chunks.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        self.data_bytes
    }

    /// The trailers that may be passed on, as name and value in order. Names that must not stand
    /// in a trailer section (RFC 9110 section 6.5.1) are left out.
    pub fn trailers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.trailers
            .iter()
            .filter(|field| field.disposition == Disposition::Forward)
            .map(|field| (field.name.of(&self.section), field.value.of(&self.section)))
    }

    /// All trailer fields with what becomes of them; their spans lie in
    /// [`trailer_section`](Self::trailer_section).
    #[must_use]
    pub fn trailer_fields(&self) -> &FieldIndex {
        &self.trailers
    }

    /// The trailer section as sent, with the empty line. Empty when there are no trailers.
    #[must_use]
    pub fn trailer_section(&self) -> &[u8] {
        &self.section
    }
}

impl Extension {
    /// What follows after `byte`, or `None` when it may not stand here.
    fn step(self, byte: u8) -> Option<Self> {
        let text = matches!(byte, b'\t' | b' '..=b'~' | 0x80..=0xff);
        match self {
            Self::NameStart => is_token_byte(byte).then_some(Self::Name),
            Self::Name if byte == b'=' => Some(Self::ValueStart),
            Self::Name | Self::Token | Self::QuotedEnd if byte == b';' => Some(Self::NameStart),
            Self::Name => is_token_byte(byte).then_some(Self::Name),
            Self::ValueStart if byte == b'"' => Some(Self::Quoted),
            Self::ValueStart | Self::Token => is_token_byte(byte).then_some(Self::Token),
            Self::Quoted if byte == b'"' => Some(Self::QuotedEnd),
            Self::Quoted if byte == b'\\' => Some(Self::QuotedPair),
            Self::Quoted | Self::QuotedPair => text.then_some(Self::Quoted),
            Self::QuotedEnd => None,
        }
    }
}

/// Whether a field of this name may stand in a trailer section (RFC 9110 section 6.5.1), whichever
/// protocol carries it.
#[must_use]
pub fn may_be_trailer(name: &[u8]) -> bool {
    let known = Known::from_name(name);
    let passes = known.is_none_or(|known| disposition_of(known) == Disposition::Forward);
    passes && !is_forbidden(known, name)
}

/// Fields that decide about framing, routing, authentication, caching or how content is read: a
/// recipient that merges trailers into the head would be misled by them.
fn is_forbidden(known: Option<Known>, name: &[u8]) -> bool {
    const NAMES: [&[u8]; 20] = [
        b"age",
        b"cache-control",
        b"clear-site-data",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-location",
        b"content-range",
        b"expires",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"max-forwards",
        b"pragma",
        b"range",
        b"retry-after",
        b"strict-transport-security",
        b"www-authenticate",
    ];
    const PREFIXES: [&[u8]; 4] = [b"x-forwarded-", b"access-control-", b"proxy-", b"sec-"];
    match known {
        // Trailers are where these belong, or where they harm nobody.
        Some(
            Known::GrpcStatus
            | Known::GrpcTimeout
            | Known::Server
            | Known::Traceparent
            | Known::Tracestate
            | Known::UserAgent
            | Known::Referer,
        ) => false,
        Some(_) => true,
        None => {
            NAMES.iter().any(|n| n.eq_ignore_ascii_case(name))
                || PREFIXES
                    .iter()
                    .any(|p| name.get(..p.len()).is_some_and(|head| head.eq_ignore_ascii_case(p)))
        }
    }
}
