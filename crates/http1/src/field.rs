//! Field lines: the scanner that splits and checks them, and the index it fills.

use crate::scan::{token_end, trim, value_end};
use crate::{Known, Span};

/// What becomes of a field when its message is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// A trailer that must not stand in a trailer section (RFC 9110 section 6.5.1).
    Forbidden,
    /// Passed on as it is, unless the proxy acts on its name.
    Forward,
    /// Belongs to this connection only (RFC 9110 section 7.6.1): `Connection`, `Keep-Alive`,
    /// `Proxy-Connection`, `TE`, `Upgrade`, `HTTP2-Settings`. So does an `Expect` of HTTP/1.0, or
    /// without a body: it means nothing, but would mean something in the HTTP/1.1 that we send.
    HopByHop,
    /// Listed as an option in the field `Connection`, and not protected.
    Nominated,
    /// `Host`, `Content-Length` and `Transfer-Encoding`: never passed on; the sender writes them
    /// anew from what was understood.
    Rebuilt,
    /// A name with `_` under [`UnderscoreNames::Drop`](crate::UnderscoreNames).
    Underscore,
}

/// One field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name as sent.
    pub name: Span,
    /// The value without the blanks around it. Never contains CR, LF, NUL or another control byte
    /// but HTAB.
    pub value: Span,
    /// The name, when it is one that we act on.
    pub known: Option<Known>,
    /// What becomes of it.
    pub disposition: Disposition,
}

/// The fields of a head, in the order they came.
#[derive(Debug, Default)]
pub struct FieldIndex {
    fields: Vec<Field>,
    /// Known names that occur, one bit each.
    present: u64,
}

impl FieldIndex {
    /// All fields in order, with those that are not passed on.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[Field] {
        &self.fields
    }

    /// All fields in order, with those that are not passed on.
    #[inline]
    pub fn iter(&self) -> std::slice::Iter<'_, Field> {
        self.fields.iter()
    }

    /// Number of fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether a known name occurs. Constant time.
    #[must_use]
    #[inline]
    pub fn has(&self, known: Known) -> bool {
        self.present & known.bit() != 0
    }

    /// The first field with this name.
    #[must_use]
    #[inline]
    pub fn first(&self, known: Known) -> Option<&Field> {
        if !self.has(known) {
            return None;
        }
        self.fields.iter().find(|field| field.known == Some(known))
    }

    /// The value of the first field with this name. `buf` is what was parsed.
    #[must_use]
    #[inline]
    pub fn value<'b>(&self, known: Known, buf: &'b [u8]) -> Option<&'b [u8]> {
        self.first(known).map(|field| field.value.of(buf))
    }

    /// The values of all fields with this name in order. `buf` is what was parsed.
    pub fn values<'a, 'b: 'a>(
        &'a self,
        known: Known,
        buf: &'b [u8],
    ) -> impl Iterator<Item = &'b [u8]> + 'a {
        let fields = if self.has(known) { self.as_slice() } else { &[] };
        fields.iter().filter(move |f| f.known == Some(known)).map(move |f| f.value.of(buf))
    }

    /// The values of all fields with this name, in any case and in order, without those dropped
    /// for an underscore. `buf` is what was parsed.
    pub fn named<'a, 'b: 'a>(
        &'a self,
        name: &'a [u8],
        buf: &'b [u8],
    ) -> impl Iterator<Item = &'b [u8]> + 'a {
        self.fields
            .iter()
            .filter(move |f| {
                f.name.len() == name.len()
                    && f.disposition != Disposition::Underscore
                    && f.name.of(buf).eq_ignore_ascii_case(name)
            })
            .map(move |f| f.value.of(buf))
    }

    #[inline]
    fn push(&mut self, buf: &[u8], name: Span, value: Span, underscore: bool, limits: FieldLimits) {
        let known = Known::from_token(name.of(buf));
        let disposition = match known {
            Some(known) => disposition_of(known),
            None if underscore => limits.underscore,
            None => Disposition::Forward,
        };
        self.present |= known.map_or(0, Known::bit);
        self.fields.push(Field { name, value, known, disposition });
    }

    pub(crate) fn clear(&mut self) {
        self.fields.clear();
        self.present = 0;
    }

    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Field> {
        self.fields.iter_mut()
    }
}

impl<'a> IntoIterator for &'a FieldIndex {
    type Item = &'a Field;
    type IntoIter = std::slice::Iter<'a, Field>;

    fn into_iter(self) -> Self::IntoIter {
        self.fields.iter()
    }
}

/// Why a field section was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FieldError {
    /// A CR without LF.
    #[error("a CR is not followed by LF")]
    BareCr,
    /// A LF without CR.
    #[error("a line ends with LF without CR")]
    BareLf,
    /// Nothing before the colon.
    #[error("a field has an empty name")]
    EmptyName,
    /// The first line starts with a blank.
    #[error("the first field line starts with a blank")]
    LeadingSpace,
    /// The line ended before a colon.
    #[error("a field line has no colon")]
    MissingColon,
    /// A byte in the name that is not of a token.
    #[error("a field name is not a token")]
    Name,
    /// A line other than the first starts with a blank.
    #[error("a field value is continued on a second line")]
    ObsFold,
    /// A blank before the colon.
    #[error("a blank stands between a field name and its colon")]
    SpaceBeforeColon,
    /// More fields than the limit.
    #[error("there are too many fields")]
    TooMany,
    /// A control byte in the value.
    #[error("a field value contains a control byte")]
    Value,
    /// A value longer than the limit.
    #[error("a field value is too long")]
    ValueTooLong,
}

/// What one field section may hold.
#[derive(Clone, Copy)]
pub(crate) struct FieldLimits {
    pub(crate) fields: usize,
    pub(crate) value_bytes: usize,
    /// Disposition of names with `_`.
    pub(crate) underscore: Disposition,
}

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    #[default]
    LineStart,
    Name {
        start: usize,
        underscore: bool,
    },
    Value {
        name: Span,
        start: usize,
        underscore: bool,
    },
}

/// Where the scan of a field section stands between calls, so that no byte is looked at twice.
#[derive(Debug, Default)]
pub(crate) struct FieldScanner {
    phase: Phase,
    pos: usize,
}

impl FieldScanner {
    pub(crate) fn start_at(pos: usize) -> Self {
        Self { phase: Phase::LineStart, pos }
    }

    /// Goes on where the last call stopped. Returns the offset behind the empty line that ends
    /// the section, or `None` when `buf` ends before it.
    pub(crate) fn scan(
        &mut self,
        buf: &[u8],
        index: &mut FieldIndex,
        limits: FieldLimits,
    ) -> Result<Option<usize>, FieldError> {
        let (mut phase, mut pos) = (self.phase, self.pos);
        loop {
            let step = match phase {
                Phase::LineStart => match line_start(buf, pos, index.fields.len(), limits)? {
                    LineStart::Field => {
                        phase = Phase::Name { start: pos, underscore: false };
                        continue;
                    }
                    LineStart::End(end) => return Ok(Some(end)),
                    LineStart::More => None,
                },
                Phase::Name { start, underscore } => {
                    let (end, found) = token_end(buf, pos);
                    pos = end;
                    let underscore = underscore | found;
                    match buf.get(end) {
                        Some(b':') => {
                            pos = end + 1;
                            let name = Span::new(start, end);
                            phase = Phase::Value { name, start: pos, underscore };
                            continue;
                        }
                        Some(stop) => return Err(name_error(*stop)),
                        None => phase = Phase::Name { start, underscore },
                    }
                    None
                }
                Phase::Value { name, start, underscore } => {
                    pos = value_end(buf, pos);
                    let next = value_line_end(buf, start, pos, limits)?;
                    if next.is_some() {
                        let (from, to) = trim(buf, start, pos);
                        index.push(buf, name, Span::new(from, to), underscore, limits);
                    }
                    next
                }
            };
            let Some(next) = step else {
                (self.phase, self.pos) = (phase, pos);
                return Ok(None);
            };
            pos = next;
            phase = Phase::LineStart;
        }
    }
}

/// What stands at the start of a line.
enum LineStart {
    Field,
    /// The empty line; the offset behind it.
    End(usize),
    More,
}

#[inline]
fn line_start(
    buf: &[u8],
    pos: usize,
    fields: usize,
    limits: FieldLimits,
) -> Result<LineStart, FieldError> {
    match buf.get(pos) {
        None => Ok(LineStart::More),
        Some(b'\r') => Ok(line_end(buf, pos)?.map_or(LineStart::More, LineStart::End)),
        Some(_) if fields >= limits.fields => Err(FieldError::TooMany),
        Some(b'\n') => Err(FieldError::BareLf),
        Some(b':') => Err(FieldError::EmptyName),
        Some(b' ' | b'\t') if fields == 0 => Err(FieldError::LeadingSpace),
        Some(b' ' | b'\t') => Err(FieldError::ObsFold),
        Some(_) => Ok(LineStart::Field),
    }
}

/// Offset behind the line end at `end`, where a value that started at `start` stops.
#[inline]
fn value_line_end(
    buf: &[u8],
    start: usize,
    end: usize,
    limits: FieldLimits,
) -> Result<Option<usize>, FieldError> {
    if end - start > limits.value_bytes {
        return Err(FieldError::ValueTooLong);
    }
    match buf.get(end) {
        Some(b'\r') => line_end(buf, end),
        Some(b'\n') => Err(FieldError::BareLf),
        Some(_) => Err(FieldError::Value),
        None => Ok(None),
    }
}

#[inline]
pub(crate) fn disposition_of(known: Known) -> Disposition {
    const HOP_BY_HOP: u64 = 1 << Known::Connection as u8
        | 1 << Known::KeepAlive as u8
        | 1 << Known::ProxyConnection as u8
        | 1 << Known::Te as u8
        | 1 << Known::Upgrade as u8
        | 1 << Known::Http2Settings as u8;
    const REBUILT: u64 = 1 << Known::Host as u8
        | 1 << Known::ContentLength as u8
        | 1 << Known::TransferEncoding as u8;
    if known.bit() & HOP_BY_HOP != 0 {
        Disposition::HopByHop
    } else if known.bit() & REBUILT != 0 {
        Disposition::Rebuilt
    } else {
        Disposition::Forward
    }
}

/// Offset behind the CRLF at `pos`, where a CR stands; `None` when the LF has not come.
#[inline]
fn line_end(buf: &[u8], pos: usize) -> Result<Option<usize>, FieldError> {
    match buf.get(pos + 1) {
        Some(b'\n') => Ok(Some(pos + 2)),
        Some(_) => Err(FieldError::BareCr),
        None => Ok(None),
    }
}

#[cold]
fn name_error(stop: u8) -> FieldError {
    match stop {
        b' ' | b'\t' => FieldError::SpaceBeforeColon,
        b'\r' => FieldError::MissingColon,
        b'\n' => FieldError::BareLf,
        _ => FieldError::Name,
    }
}
