//! What the matcher reads of a request.

use std::borrow::Cow;

/// A request head, whichever way it arrived: an HTTP/1.1 head index, HTTP/2 fields, or the
/// synthetic head of an offline command.
pub trait RequestView {
    /// Case-sensitive.
    fn method(&self) -> &str;

    /// Host without port and trailing dot, lower case; empty when there is none.
    fn host(&self) -> &str;

    /// Canonical path (see `path::normalize`), starting with `/`.
    fn path(&self) -> &str;

    /// Without the `?`, undecoded.
    fn query(&self) -> Option<&str>;

    /// The combined value of a field: lines joined by `, ` (RFC 9110 5.3). `None` when absent.
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>>;
}
