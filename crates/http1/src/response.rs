//! Response heads.

use crate::connection::{Connection, ConnectionError};
use crate::error::ResponseErrorReason as Reason;
use crate::field::{FieldIndex, FieldLimits, FieldScanner};
use crate::scan::value_end;
use crate::transfer::{Coding, Facts, content_length, transfer_coding};
use crate::{BodyFraming, Disposition, Limits, Method, Parse, ResponseError, Span, Version};

/// What was asked: a response can only be read with it (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Method of the request that this response answers.
    pub method: Method,
    /// Value of the field `Upgrade` that was sent upstream, if any. A 101 is refused without it.
    pub upgrade: Option<&'a [u8]>,
}

/// A response head: a scratch struct that is filled by [`parse`](Self::parse) and reused.
///
/// Everything it says is valid after [`Parse::Complete`] and until the next call of `parse`, with
/// the buffer that was parsed.
#[derive(Debug, Default)]
pub struct ResponseHead {
    phase: Phase,
    /// Offset of the first byte that was not looked at.
    pos: usize,
    scanner: FieldScanner,
    version: Version,
    status: u16,
    reason: Span,
    fields: FieldIndex,
    connection: Connection,
    framing: BodyFraming,
    keep_alive: bool,
    upgrade: Option<Span>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The last message was complete or refused; the next call starts anew.
    #[default]
    Done,
    Status,
    Reason,
    Fields,
}

impl ResponseHead {
    /// An empty head.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets a partial head.
    pub fn reset(&mut self) {
        self.phase = Phase::Done;
    }

    /// Parses a head that starts at the first byte of `buf`. Interim (1xx) responses are heads of
    /// their own; count them against [`Limits::informational`].
    ///
    /// Splits over calls work as in [`RequestHead::parse`](crate::RequestHead::parse). Never
    /// yields [`Parse::Http2Preface`].
    ///
    /// # Errors
    /// The first thing that is wrong. The upstream connection must not be used again.
    pub fn parse(
        &mut self,
        buf: &[u8],
        asked: Asked<'_>,
        limits: &Limits,
    ) -> Result<Parse, ResponseError> {
        if self.phase == Phase::Done {
            self.begin();
        }
        let window = buf.get(..limits.head_bytes).unwrap_or(buf);
        match self.advance(window, asked, limits) {
            Ok(None) if window.len() < limits.head_bytes => Ok(Parse::Partial),
            Ok(None) => {
                self.phase = Phase::Done;
                Err(Reason::HeadTooLarge.into())
            }
            Ok(Some(head_len)) => {
                self.phase = Phase::Done;
                Ok(Parse::Complete { head_len })
            }
            Err(reason) => {
                self.phase = Phase::Done;
                Err(reason.into())
            }
        }
    }

    fn begin(&mut self) {
        self.phase = Phase::Status;
        self.pos = 0;
        self.fields.clear();
        self.connection.clear();
    }

    fn advance(
        &mut self,
        buf: &[u8],
        asked: Asked<'_>,
        limits: &Limits,
    ) -> Result<Option<usize>, Reason> {
        if matches!(self.phase, Phase::Done | Phase::Status) && !self.read_status(buf)? {
            return Ok(None);
        }
        if self.phase == Phase::Reason && !self.read_reason(buf)? {
            return Ok(None);
        }
        let field_limits = FieldLimits {
            fields: limits.fields,
            value_bytes: limits.value_bytes,
            underscore: Disposition::Forward,
        };
        let head_len = self.scanner.scan(buf, &mut self.fields, field_limits)?;
        if head_len.is_some() {
            self.understand(buf, asked, limits)?;
        }
        Ok(head_len)
    }

    /// `HTTP/1.x NNN`, up to the space or the line end behind it.
    fn read_status(&mut self, buf: &[u8]) -> Result<bool, Reason> {
        const FORM: &[u8; 12] = b"HTTP/1.0 000";
        let fast = buf.get(..9) == Some(b"HTTP/1.1 ");
        let mut status = 0u16;
        for (at, want) in FORM.iter().enumerate().skip(if fast { 9 } else { 0 }) {
            let Some(b) = buf.get(at) else { return Ok(false) };
            match (at, *b) {
                (7, b'0' | b'1') => {}
                (9, b'1'..=b'5') | (10 | 11, b'0'..=b'9') => {
                    status = status * 10 + u16::from(b - b'0');
                }
                (9..=11, b'\n') => return Err(Reason::BareLf),
                (9..=11, _) => return Err(Reason::StatusCode),
                (5..=7, b'0'..=b'9') => {
                    if b != want {
                        return Err(Reason::Version);
                    }
                }
                (_, b) if b == *want => {}
                _ => return Err(Reason::StatusLine),
            }
        }
        self.version = if buf.get(7) == Some(&b'0') { Version::Http10 } else { Version::Http11 };
        let Some(behind) = buf.get(FORM.len()) else { return Ok(false) };
        self.pos = match behind {
            b' ' => FORM.len() + 1,
            // The space is required (RFC 9112 section 4), but so many servers leave it out with an
            // empty reason phrase that refusing it would only lose responses; nothing is ambiguous.
            b'\r' => FORM.len(),
            b'\n' => return Err(Reason::BareLf),
            b'0'..=b'9' => return Err(Reason::StatusCode),
            _ => return Err(Reason::StatusLine),
        };
        self.status = status;
        self.reason = Span::new(self.pos, self.pos);
        self.phase = Phase::Reason;
        Ok(true)
    }

    fn read_reason(&mut self, buf: &[u8]) -> Result<bool, Reason> {
        self.pos = value_end(buf, self.pos);
        match (buf.get(self.pos), buf.get(self.pos + 1)) {
            (Some(b'\r'), Some(b'\n')) => {
                self.reason = Span::new(self.reason.start as usize, self.pos);
                self.pos += 2;
                self.scanner = FieldScanner::start_at(self.pos);
                self.phase = Phase::Fields;
                Ok(true)
            }
            (None, _) | (Some(b'\r'), None) => Ok(false),
            (Some(b'\r'), Some(_)) => Err(Reason::BareCr),
            (Some(b'\n'), _) => Err(Reason::BareLf),
            (Some(_), _) => Err(Reason::ReasonPhrase),
        }
    }

    fn understand(&mut self, buf: &[u8], asked: Asked<'_>, limits: &Limits) -> Result<(), Reason> {
        let facts = Facts::gather(&self.fields);
        let announced = self.announced(buf, &facts)?;
        self.connection.gather(buf, &mut self.fields, limits.connection_options).map_err(
            |error| match error {
                ConnectionError::NotToken => Reason::Connection,
                ConnectionError::TooMany => Reason::OptionsTooMany,
            },
        )?;
        self.framing = self.decide(announced, asked)?;
        self.upgrade = None;
        if self.status == 101 {
            let upgrade = facts.upgrade.value;
            let matches = self.connection.upgrade
                && self.version == Version::Http11
                && facts.upgrade.count == 1
                && asked.upgrade.is_some_and(|asked| lists(asked, upgrade.of(buf)));
            if !matches {
                return Err(Reason::SwitchingProtocols);
            }
            self.upgrade = Some(upgrade);
        }
        let persistent = match self.version {
            Version::Http10 => self.connection.keep_alive,
            Version::Http11 => true,
        };
        self.keep_alive = persistent
            && !self.connection.close
            && self.status != 101
            && self.framing != BodyFraming::UntilClose;
        Ok(())
    }

    /// What the fields say about the body, whoever asked.
    fn announced(&self, buf: &[u8], facts: &Facts) -> Result<BodyFraming, Reason> {
        match (facts.transfer_encoding.count, facts.content_length.count) {
            (0, 0) => Ok(BodyFraming::UntilClose),
            (0, 1) => content_length(facts.content_length.value.of(buf))
                .map(BodyFraming::Length)
                .ok_or(Reason::ContentLength),
            (0, _) => Err(Reason::DuplicateContentLength),
            (_, 1..) => Err(Reason::LengthAndTransferEncoding),
            _ if self.version == Version::Http10 => Err(Reason::TransferEncodingVersion),
            (1, 0) => match transfer_coding(facts.transfer_encoding.value.of(buf)) {
                Coding::Chunked => Ok(BodyFraming::Chunked),
                Coding::Malformed | Coding::Unknown => Err(Reason::TransferEncoding),
            },
            _ => Err(Reason::DuplicateTransferEncoding),
        }
    }

    /// RFC 9112 section 6.3, rules 1 to 8. Where a body is impossible, fields that announce one
    /// are legal only for HEAD and 304; elsewhere the server's idea of the message end differs
    /// from ours.
    fn decide(&self, announced: BodyFraming, asked: Asked<'_>) -> Result<BodyFraming, Reason> {
        let success = (200..300).contains(&self.status);
        if self.status < 200 || self.status == 204 {
            return match announced {
                BodyFraming::None | BodyFraming::UntilClose | BodyFraming::Length(0) => {
                    Ok(BodyFraming::None)
                }
                BodyFraming::Length(_) | BodyFraming::Chunked => Err(Reason::BodyForbidden),
            };
        }
        if self.status == 304
            || asked.method == Method::Head
            || (asked.method == Method::Connect && success)
        {
            return Ok(BodyFraming::None);
        }
        Ok(announced)
    }

    /// Protocol version of the upstream.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Status code, 100 to 599.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether this is an interim response and another head follows. A 101 is not: it is final
    /// for HTTP.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// Reason phrase, possibly empty.
    #[must_use]
    pub fn reason(&self) -> Span {
        self.reason
    }

    /// All fields.
    #[must_use]
    pub fn fields(&self) -> &FieldIndex {
        &self.fields
    }

    /// How the end of the body is found. `None` for a 101 and for a 2xx to CONNECT: what follows
    /// belongs to the tunnel.
    #[must_use]
    pub fn framing(&self) -> BodyFraming {
        self.framing
    }

    /// Whether the upstream lets the connection live after this response. It may be used again
    /// only when, besides, the body ended and no byte is left behind it.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Protocol that a 101 switches to: one of those that were asked for.
    #[must_use]
    pub fn upgrade(&self) -> Option<Span> {
        self.upgrade
    }

    /// Options of all fields `Connection` in order. The fields they name are already marked
    /// [`Disposition::Nominated`].
    #[must_use]
    pub fn connection_options(&self) -> &[Span] {
        &self.connection.options
    }
}

/// Whether the comma-separated list `asked` has the element `chosen`.
fn lists(asked: &[u8], chosen: &[u8]) -> bool {
    !chosen.is_empty()
        && asked
            .split(|b| *b == b',')
            .any(|element| element.trim_ascii().eq_ignore_ascii_case(chosen))
}
