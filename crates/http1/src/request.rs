//! Request heads: the request line here, the meaning of the whole in `semantics`.

mod semantics;

use crate::connection::Connection;
use crate::error::RequestErrorReason as Reason;
use crate::field::{FieldIndex, FieldLimits, FieldScanner};
use crate::scan::{is_token_byte, target_end, token_end};
use crate::{
    Authority, BodyFraming, Disposition, Limits, Method, Parse, RequestError, Span, Target,
    UnderscoreNames, Version,
};

/// RFC 9113 section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A request head: a scratch struct that is filled by [`parse`](Self::parse) and reused for the
/// next request, so that its vectors are allocated once per connection.
///
/// Everything it says is valid after [`Parse::Complete`] and until the next call of `parse`, with
/// the buffer that was parsed.
#[derive(Debug, Default)]
pub struct RequestHead {
    phase: Phase,
    /// Offset of the first byte that was not looked at.
    pos: usize,
    /// Offset of the method, behind leading empty lines.
    start: usize,
    leading_crlf: usize,
    scanner: FieldScanner,
    method: Span,
    raw_target: Span,
    version: Version,
    fields: FieldIndex,
    connection: Connection,
    meaning: Meaning,
}

/// What the head means as a whole.
#[derive(Clone, Copy, Debug)]
struct Meaning {
    method: Method,
    target: Target,
    authority: Option<Authority>,
    framing: BodyFraming,
    keep_alive: bool,
    expect_continue: bool,
    upgrade: Option<Span>,
    te_trailers: bool,
}

impl Default for Meaning {
    fn default() -> Self {
        Self {
            method: Method::Other,
            target: Target::Asterisk,
            authority: None,
            framing: BodyFraming::None,
            keep_alive: false,
            expect_continue: false,
            upgrade: None,
            te_trailers: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The last message was complete or refused; the next call starts anew.
    #[default]
    Done,
    Start,
    Method,
    Target,
    Version,
    Preface,
    Fields,
}

impl RequestHead {
    /// An empty head.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets a partial head.
    pub fn reset(&mut self) {
        self.phase = Phase::Done;
    }

    /// Parses a head that starts at the first byte of `buf`.
    ///
    /// After [`Parse::Partial`], call again with the same bytes and more behind them: the scan
    /// goes on where it stopped, and the outcome does not depend on how the bytes were split.
    /// After any other outcome the next call starts a new head.
    ///
    /// # Errors
    /// The first thing that is wrong, as soon as the byte that proves it has come. Answer with
    /// its status and close.
    pub fn parse(&mut self, buf: &[u8], limits: &Limits) -> Result<Parse, RequestError> {
        if self.phase == Phase::Done {
            self.begin();
        }
        let window = buf.get(..limits.head_bytes).unwrap_or(buf);
        match self.advance(window, limits) {
            Ok(Parse::Partial) if window.len() >= limits.head_bytes => {
                self.phase = Phase::Done;
                Err(Reason::HeadTooLarge.into())
            }
            Ok(Parse::Partial) => Ok(Parse::Partial),
            Ok(done) => {
                self.phase = Phase::Done;
                Ok(done)
            }
            Err(reason) => {
                self.phase = Phase::Done;
                Err(reason.into())
            }
        }
    }

    fn begin(&mut self) {
        self.phase = Phase::Start;
        self.pos = 0;
        self.leading_crlf = 0;
        self.fields.clear();
        self.connection.clear();
    }

    fn advance(&mut self, buf: &[u8], limits: &Limits) -> Result<Parse, Reason> {
        loop {
            let goes_on = match self.phase {
                Phase::Done | Phase::Start => self.skip_empty_lines(buf, limits)?,
                Phase::Method => self.read_method(buf, limits)?,
                Phase::Target => self.read_target(buf, limits)?,
                Phase::Version => self.read_version(buf)?,
                Phase::Preface => return preface(buf),
                Phase::Fields => return self.read_fields(buf, limits),
            };
            if !goes_on {
                return Ok(Parse::Partial);
            }
        }
    }

    fn skip_empty_lines(&mut self, buf: &[u8], limits: &Limits) -> Result<bool, Reason> {
        loop {
            match buf.get(self.pos) {
                None => return Ok(false),
                Some(b'\r') => match buf.get(self.pos + 1) {
                    None => return Ok(false),
                    Some(b'\n') if self.leading_crlf >= limits.leading_crlf => {
                        return Err(Reason::LeadingCrlf);
                    }
                    Some(b'\n') => {
                        self.leading_crlf += 1;
                        self.pos += 2;
                    }
                    Some(_) => return Err(Reason::BareCr),
                },
                Some(b'\n') => return Err(Reason::BareLf),
                Some(_) => {
                    self.start = self.pos;
                    self.phase = Phase::Method;
                    return Ok(true);
                }
            }
        }
    }

    fn read_method(&mut self, buf: &[u8], limits: &Limits) -> Result<bool, Reason> {
        let (end, _) = token_end(buf, self.pos);
        self.pos = end;
        if end - self.start > limits.method_bytes {
            return Err(Reason::MethodTooLong);
        }
        match buf.get(end) {
            None => Ok(false),
            Some(b' ') if end > self.start => {
                self.method = Span::new(self.start, end);
                self.pos = end + 1;
                self.raw_target = Span::new(self.pos, self.pos);
                self.phase = Phase::Target;
                Ok(true)
            }
            Some(b'\n') => Err(Reason::BareLf),
            Some(b' ' | b'\t' | b'\r') => Err(Reason::RequestLine),
            Some(_) => Err(Reason::Method),
        }
    }

    fn read_target(&mut self, buf: &[u8], limits: &Limits) -> Result<bool, Reason> {
        let start = self.raw_target.start as usize;
        let end = target_end(buf, self.pos);
        self.pos = end;
        if end - start > limits.target_bytes {
            return Err(Reason::TargetTooLong);
        }
        match buf.get(end) {
            None => Ok(false),
            Some(b' ') if end > start => {
                self.raw_target = Span::new(start, end);
                self.pos = end + 1;
                self.phase = Phase::Version;
                Ok(true)
            }
            Some(b'\r') if end > start => Err(Reason::VersionMissing),
            Some(b'\n') => Err(Reason::BareLf),
            Some(b' ' | b'\t' | b'\r') => Err(Reason::RequestLine),
            Some(b'#') => Err(Reason::Fragment),
            Some(_) => Err(Reason::TargetByte),
        }
    }

    fn read_version(&mut self, buf: &[u8]) -> Result<bool, Reason> {
        const LEN: usize = b"HTTP/1.1\r\n".len();
        let rest = buf.get(self.pos..).unwrap_or_default();
        let digits = if rest.starts_with(b"HTTP/1.1\r\n") {
            (b'1', b'1')
        } else {
            match version_digits(rest)? {
                Some(digits) => digits,
                None => return Ok(false),
            }
        };
        match digits {
            (b'1', b'1') => self.version = Version::Http11,
            (b'1', b'0') => self.version = Version::Http10,
            (b'0', _) => return Err(Reason::Version),
            (b'2', b'0') if buf.starts_with(b"PRI * HTTP/2.0\r\n") => {
                self.phase = Phase::Preface;
                return Ok(true);
            }
            _ => return Err(Reason::VersionNotSupported),
        }
        self.pos += LEN;
        self.scanner = FieldScanner::start_at(self.pos);
        self.phase = Phase::Fields;
        Ok(true)
    }

    fn read_fields(&mut self, buf: &[u8], limits: &Limits) -> Result<Parse, Reason> {
        let field_limits = FieldLimits {
            fields: limits.fields,
            value_bytes: limits.value_bytes,
            underscore: match limits.underscore_names {
                UnderscoreNames::Allow => Disposition::Forward,
                UnderscoreNames::Drop | UnderscoreNames::Reject => Disposition::Underscore,
            },
        };
        match self.scanner.scan(buf, &mut self.fields, field_limits)? {
            None => Ok(Parse::Partial),
            Some(head_len) => {
                self.understand(buf, limits)?;
                Ok(Parse::Complete { head_len })
            }
        }
    }

    /// Method as sent.
    #[must_use]
    pub fn method_span(&self) -> Span {
        self.method
    }

    /// Method, when it is one that the codec knows.
    #[must_use]
    pub fn method(&self) -> Method {
        self.meaning.method
    }

    /// Request target in its form.
    #[must_use]
    pub fn target(&self) -> Target {
        self.meaning.target
    }

    /// Request target as sent.
    #[must_use]
    pub fn target_span(&self) -> Span {
        self.raw_target
    }

    /// Path of an origin-form or absolute-form target; empty for the other forms and for an
    /// absolute-form target without a path.
    #[must_use]
    pub fn path(&self) -> Span {
        match self.meaning.target {
            Target::Origin { path, .. } | Target::Absolute { path, .. } => path,
            Target::Asterisk | Target::Authority(_) => Span::default(),
        }
    }

    /// Query without `?`; `Some` of an empty span when the target ends with `?`.
    #[must_use]
    pub fn query(&self) -> Option<Span> {
        match self.meaning.target {
            Target::Origin { query, .. } | Target::Absolute { query, .. } => query,
            Target::Asterisk | Target::Authority(_) => None,
        }
    }

    /// Protocol version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Host and port that the request is for: the authority of the target when it has one, else
    /// the field `Host` (RFC 9112 section 3.2.2). It is what must be matched and what must be
    /// sent on as `Host`. `None` for HTTP/1.0 without `Host` only.
    #[must_use]
    pub fn host(&self) -> Option<Authority> {
        self.meaning.authority
    }

    /// All fields.
    #[must_use]
    pub fn fields(&self) -> &FieldIndex {
        &self.fields
    }

    /// How the end of the body is found.
    #[must_use]
    pub fn framing(&self) -> BodyFraming {
        self.meaning.framing
    }

    /// Whether the client lets the connection live after this exchange.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.meaning.keep_alive
    }

    /// Whether the client waits for `100 Continue` before it sends its body. Never without a
    /// body, nor in HTTP/1.0 (RFC 9110 section 10.1.1).
    #[must_use]
    pub fn expect_continue(&self) -> bool {
        self.meaning.expect_continue
    }

    /// Value of `Upgrade`, when the client may ask for one: HTTP/1.1, one such field, and
    /// `Connection` lists it (RFC 9110 section 7.8). Bytes behind the head stay HTTP until a 101
    /// was read from upstream.
    #[must_use]
    pub fn upgrade(&self) -> Option<Span> {
        self.meaning.upgrade
    }

    /// Whether the field `TE` lists `trailers`: the only option that may be passed on.
    #[must_use]
    pub fn te_trailers(&self) -> bool {
        self.meaning.te_trailers
    }

    /// Options of all fields `Connection` in order. The fields they name are already marked
    /// [`Disposition::Nominated`].
    #[must_use]
    pub fn connection_options(&self) -> &[Span] {
        &self.connection.options
    }

    /// Whether `Connection` lists a field that a client may not have removed, such as `Host` or
    /// `X-Forwarded-For`. The option was ignored; count it as an oddity.
    #[must_use]
    pub fn nominates_protected(&self) -> bool {
        self.connection.protected
    }
}

fn preface(buf: &[u8]) -> Result<Parse, Reason> {
    if buf.starts_with(PREFACE) {
        return Ok(Parse::Http2Preface);
    }
    if PREFACE.starts_with(buf) { Ok(Parse::Partial) } else { Err(Reason::VersionNotSupported) }
}

/// Major and minor digit of a version with its CRLF, `None` when more bytes are needed.
fn version_digits(bytes: &[u8]) -> Result<Option<(u8, u8)>, Reason> {
    const FORM: &[u8; 10] = b"HTTP/0.0\r\n";
    let mut digits = [0u8; 2];
    for (at, want) in FORM.iter().enumerate() {
        let Some(b) = bytes.get(at) else { return Ok(None) };
        let fits = if *want == b'0' { b.is_ascii_digit() } else { b == want };
        if !fits {
            return Err(version_error(*want, *b));
        }
        if *want == b'0' {
            digits = [digits[1], *b];
        }
    }
    Ok(Some((digits[0], digits[1])))
}

#[cold]
fn version_error(want: u8, got: u8) -> Reason {
    match (want, got) {
        (b'\n', _) => Reason::BareCr,
        (_, b'\n') => Reason::BareLf,
        (_, b' ' | b'\t') => Reason::RequestLine,
        // What follows the target is not a version at all: the target had a blank in it.
        (b'H', b) if !is_token_byte(b) => Reason::RequestLine,
        _ => Reason::Version,
    }
}
