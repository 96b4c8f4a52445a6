//! Every bound of the codec in one place.

/// Bounds and edge policies of the codec. `Default` gives the values that ship.
///
/// Sizes are in bytes on the wire. A message that crosses a bound is refused at the byte that
/// crosses it, however the bytes were split over reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whole head: start line, fields and the empty line, with leading CRLFs. Crossing it is 431.
    pub head_bytes: usize,
    /// Number of field lines in a head. One more is 431.
    pub fields: usize,
    /// Method name. A longer one is 501 (no method that we or a backend know is so long).
    pub method_bytes: usize,
    /// Request target. A longer one is 414.
    pub target_bytes: usize,
    /// One field value as sent, with the blanks around it. A longer one is 431.
    pub value_bytes: usize,
    /// Value of `Content-Length`. A larger one that still fits 64 bits is 413.
    pub content_length: u64,
    /// Options in all `Connection` fields of a head together. One more is 431.
    pub connection_options: usize,
    /// Chunk extensions of one message, counted from `;` to the end of the line. More is 400.
    pub chunk_extension_bytes: usize,
    /// Trailer section of a chunked body. More is 431.
    pub trailer_bytes: usize,
    /// Number of trailer field lines. One more is 431.
    pub trailer_fields: usize,
    /// Empty lines skipped before a request line (RFC 9112 section 2.2). One more is 400.
    pub leading_crlf: usize,
    /// Interim (1xx) responses before the final one. The codec sees one head at a time, so the
    /// caller counts; one more is 502.
    pub informational: usize,
    /// What happens to request field names with `_`.
    pub underscore_names: UnderscoreNames,
    /// Whether `CONNECT` is let through. Otherwise it is 405.
    pub allow_connect: bool,
    /// Whether `TRACE` is let through. Otherwise it is 405.
    pub allow_trace: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 64 * 1024,
            fields: 100,
            method_bytes: 32,
            target_bytes: 16 * 1024,
            value_bytes: 32 * 1024,
            content_length: i64::MAX.unsigned_abs(),
            connection_options: 32,
            chunk_extension_bytes: 1024,
            trailer_bytes: 64 * 1024,
            trailer_fields: 100,
            leading_crlf: 2,
            informational: 16,
            underscore_names: UnderscoreNames::Drop,
            allow_connect: false,
            allow_trace: false,
        }
    }
}

/// What happens to a request field whose name contains `_`.
///
/// Backends that map names to environment variables cannot tell `Content_Length` from
/// `Content-Length`, nor `X_Forwarded_For` from the field that we set: every such name may shadow
/// one with hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnderscoreNames {
    /// Forward the field as any other.
    Allow,
    /// Serve the request, never forward the field ([`Disposition::Underscore`](crate::Disposition)).
    Drop,
    /// Refuse the request with 400.
    Reject,
}
