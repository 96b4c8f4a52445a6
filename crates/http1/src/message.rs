//! The closed vocabulary of a message head.

use crate::{Authority, Span};

/// How far a head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parse {
    /// The head is not complete; call again with the same bytes and more behind them.
    Partial,
    /// The head is complete.
    Complete {
        /// Bytes that belong to the head; the body starts here.
        head_len: usize,
    },
    /// The connection preface of HTTP/2 (RFC 9113 section 3.4) stands at the start of the buffer.
    /// Only requests yield it. Nothing was consumed: hand over the whole buffer, or close. After
    /// an HTTP/1.1 request on the same connection it is not valid.
    Http2Preface,
}

/// Protocol version of a message. Others are refused while parsing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// Request methods that change how a message is read. Names are case-sensitive
/// (RFC 9110 section 9.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// `CONNECT`
    Connect,
    /// `DELETE`
    Delete,
    /// `GET`
    #[default]
    Get,
    /// `HEAD`
    Head,
    /// `OPTIONS`
    Options,
    /// `PATCH`
    Patch,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `TRACE`
    Trace,
    /// Any other token; its bytes are in the head.
    Other,
}

impl Method {
    /// Recognises a method name.
    #[must_use]
    #[inline]
    pub fn from_bytes(name: &[u8]) -> Self {
        match name {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"PATCH" => Self::Patch,
            b"CONNECT" => Self::Connect,
            b"TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }

    /// The name as it stands in a head; `None` for [`Method::Other`].
    #[must_use]
    #[inline]
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Connect => "CONNECT",
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Options => "OPTIONS",
            Self::Patch => "PATCH",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Trace => "TRACE",
            Self::Other => return None,
        })
    }

    /// Whether repeating a request is harmless (RFC 9110 section 9.2.2).
    #[must_use]
    pub fn is_idempotent(self) -> bool {
        match self {
            Self::Delete | Self::Get | Self::Head | Self::Options | Self::Put | Self::Trace => true,
            Self::Connect | Self::Patch | Self::Post | Self::Other => false,
        }
    }
}

/// Scheme of an absolute-form target; others are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

/// Request target (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// `/path?query`
    Origin {
        /// From the first `/` up to `?` or the end.
        path: Span,
        /// Behind `?`, without it; may be empty.
        query: Option<Span>,
    },
    /// `http://authority/path?query`
    Absolute {
        /// `http` or `https`, as sent.
        scheme: Scheme,
        /// It wins over the field `Host`.
        authority: Authority,
        /// Empty when the target has none: then it means `/`, or `*` for `OPTIONS`.
        path: Span,
        /// Behind `?`, without it; may be empty.
        query: Option<Span>,
    },
    /// `*`, with `OPTIONS` only.
    Asterisk,
    /// `host:port`, with `CONNECT` only.
    Authority(Authority),
}

/// How the end of a body is found (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BodyFraming {
    /// There is no body.
    #[default]
    None,
    /// Exactly so many bytes, possibly 0.
    Length(u64),
    /// The chunked transfer coding.
    Chunked,
    /// Until the peer closes. Only responses yield it.
    UntilClose,
}

impl BodyFraming {
    /// Whether at least one body byte (or chunk line) follows the head.
    #[must_use]
    pub fn has_body(self) -> bool {
        match self {
            Self::None | Self::Length(0) => false,
            Self::Length(_) | Self::Chunked | Self::UntilClose => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Method;

    #[test]
    fn a_method_that_is_recognised_has_the_name_it_was_recognised_by() {
        for name in ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"]
        {
            assert_eq!(Method::from_bytes(name.as_bytes()).name(), Some(name));
        }
        assert_eq!(Method::from_bytes(b"get").name(), None);
    }
}
