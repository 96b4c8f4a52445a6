//! Error codes, and what a stream came to.

use std::fmt;

/// Why a stream or a connection ends (RFC 9113 section 7).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// Nothing is wrong.
    pub const NO_ERROR: Self = Self(0);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1);
    /// We failed.
    pub const INTERNAL_ERROR: Self = Self(2);
    /// The peer sent more than a window takes, or opened one too far.
    pub const FLOW_CONTROL_ERROR: Self = Self(3);
    /// A frame for a stream that has ended.
    pub const STREAM_CLOSED: Self = Self(5);
    /// A frame of a wrong size.
    pub const FRAME_SIZE_ERROR: Self = Self(6);
    /// The request was not looked at and may be sent again.
    pub const REFUSED_STREAM: Self = Self(7);
    /// The stream is no longer of use.
    pub const CANCEL: Self = Self(8);
    /// A field block that breaks the rules of HPACK.
    pub const COMPRESSION_ERROR: Self = Self(9);
    /// The peer makes too much work.
    pub const ENHANCE_YOUR_CALM: Self = Self(11);
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::NO_ERROR => "NO_ERROR",
            Self::PROTOCOL_ERROR => "PROTOCOL_ERROR",
            Self::INTERNAL_ERROR => "INTERNAL_ERROR",
            Self::FLOW_CONTROL_ERROR => "FLOW_CONTROL_ERROR",
            Self::STREAM_CLOSED => "STREAM_CLOSED",
            Self::FRAME_SIZE_ERROR => "FRAME_SIZE_ERROR",
            Self::REFUSED_STREAM => "REFUSED_STREAM",
            Self::CANCEL => "CANCEL",
            Self::COMPRESSION_ERROR => "COMPRESSION_ERROR",
            Self::ENHANCE_YOUR_CALM => "ENHANCE_YOUR_CALM",
            Self(other) => return write!(out, "error code {other}"),
        };
        out.write_str(name)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

/// Why a stream ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The peer did not look at the request: it may be sent again, whatever its method (RFC 9113
    /// 8.7).
    #[error("the peer refused the stream")]
    Refused,
    /// The peer reset the stream.
    #[error("the peer reset the stream: {0}")]
    Reset(ErrorCode),
    /// The peer broke the protocol, so that we reset the stream or left the connection.
    #[error("the peer broke the protocol: {0}")]
    Broken(ErrorCode),
    /// The connection ended, or this side gave the stream up.
    #[error("the connection is closed")]
    Closed,
}

/// What a frame did wrong, and whose end that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Of the connection (RFC 9113 5.4.1).
    Connection(ErrorCode),
    /// Of one stream (RFC 9113 5.4.2).
    Stream(u32, ErrorCode),
}

impl Fault {
    /// The peer may not do that, on any stream.
    pub(crate) const PROTOCOL: Self = Self::Connection(ErrorCode::PROTOCOL_ERROR);
    /// A frame whose size its type does not allow.
    pub(crate) const SIZE: Self = Self::Connection(ErrorCode::FRAME_SIZE_ERROR);
}
