//! The field names that a gateway acts on, recognised once while a head is parsed.

use crate::scan::{is_token, token_is};

macro_rules! known {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// A field name that the codec or the proxy acts on. All other names are just bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Known {
            $(#[doc = concat!("`", $name, "`")] $(#[$doc])* $variant,)+
        }

        impl Known {
            /// Every known name, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in lower case.
            #[must_use]
            #[inline]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

known! {
    AccessControlAllowCredentials = "access-control-allow-credentials",
    AccessControlAllowHeaders = "access-control-allow-headers",
    AccessControlAllowMethods = "access-control-allow-methods",
    AccessControlAllowOrigin = "access-control-allow-origin",
    AccessControlExposeHeaders = "access-control-expose-headers",
    AccessControlMaxAge = "access-control-max-age",
    AccessControlRequestHeaders = "access-control-request-headers",
    AccessControlRequestMethod = "access-control-request-method",
    Authorization = "authorization",
    Connection = "connection",
    ContentLength = "content-length",
    ContentType = "content-type",
    Cookie = "cookie",
    Date = "date",
    EarlyData = "early-data",
    Expect = "expect",
    Forwarded = "forwarded",
    GrpcStatus = "grpc-status",
    GrpcTimeout = "grpc-timeout",
    Host = "host",
    Http2Settings = "http2-settings",
    KeepAlive = "keep-alive",
    Location = "location",
    Origin = "origin",
    ProxyAuthenticate = "proxy-authenticate",
    ProxyAuthorization = "proxy-authorization",
    ProxyConnection = "proxy-connection",
    Referer = "referer",
    SecWebSocketAccept = "sec-websocket-accept",
    SecWebSocketKey = "sec-websocket-key",
    SecWebSocketVersion = "sec-websocket-version",
    Server = "server",
    SetCookie = "set-cookie",
    Te = "te",
    Traceparent = "traceparent",
    Tracestate = "tracestate",
    Trailer = "trailer",
    TransferEncoding = "transfer-encoding",
    Upgrade = "upgrade",
    UserAgent = "user-agent",
    Vary = "vary",
    Via = "via",
    XForwardedFor = "x-forwarded-for",
    XForwardedHost = "x-forwarded-host",
    XForwardedPort = "x-forwarded-port",
    XForwardedPrefix = "x-forwarded-prefix",
    XForwardedProto = "x-forwarded-proto",
    XRealIp = "x-real-ip",
    XRequestId = "x-request-id",
}

impl Known {
    /// Recognises a field name in any case.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        if is_token(name) { Self::from_token(name) } else { None }
    }

    /// Recognises a field name that is known to be a token.
    #[inline]
    pub(crate) fn from_token(name: &[u8]) -> Option<Self> {
        let candidate = Self::candidate(name)?;
        token_is(name, candidate.name().as_bytes()).then_some(candidate)
    }

    /// The only known name with this length and this first or last byte, if there is one. The
    /// length tells most names apart, so that one comparison decides.
    #[inline]
    fn candidate(name: &[u8]) -> Option<Self> {
        let first = name.first()? | 0x20;
        let last = name.last()? | 0x20;
        Some(match (name.len(), first, last) {
            (2, ..) => Self::Te,
            (3, ..) => Self::Via,
            (4, b'h', _) => Self::Host,
            (4, b'd', _) => Self::Date,
            (4, b'v', _) => Self::Vary,
            (6, b'c', _) => Self::Cookie,
            (6, b'e', _) => Self::Expect,
            (6, b'o', _) => Self::Origin,
            (6, b's', _) => Self::Server,
            (7, b'r', _) => Self::Referer,
            (7, b't', _) => Self::Trailer,
            (7, b'u', _) => Self::Upgrade,
            (8, ..) => Self::Location,
            (9, b'f', _) => Self::Forwarded,
            (9, b'x', _) => Self::XRealIp,
            (10, b'c', _) => Self::Connection,
            (10, b'e', _) => Self::EarlyData,
            (10, b'k', _) => Self::KeepAlive,
            (10, b's', _) => Self::SetCookie,
            (10, b't', _) => Self::Tracestate,
            (10, b'u', _) => Self::UserAgent,
            (11, b'g', _) => Self::GrpcStatus,
            (11, b't', _) => Self::Traceparent,
            (12, b'c', _) => Self::ContentType,
            (12, b'g', _) => Self::GrpcTimeout,
            (12, b'x', _) => Self::XRequestId,
            (13, ..) => Self::Authorization,
            (14, b'c', _) => Self::ContentLength,
            (14, b'h', _) => Self::Http2Settings,
            (15, ..) => Self::XForwardedFor,
            (16, b'p', _) => Self::ProxyConnection,
            (16, b'x', b't') if name.get(12).is_some_and(|b| b | 0x20 == b'h') => {
                Self::XForwardedHost
            }
            (16, b'x', b't') => Self::XForwardedPort,
            (17, b's', _) => Self::SecWebSocketKey,
            (17, b't', _) => Self::TransferEncoding,
            (17, b'x', _) => Self::XForwardedProto,
            (18, b'p', _) => Self::ProxyAuthenticate,
            (18, b'x', _) => Self::XForwardedPrefix,
            (19, ..) => Self::ProxyAuthorization,
            (20, ..) => Self::SecWebSocketAccept,
            (21, ..) => Self::SecWebSocketVersion,
            (22, ..) => Self::AccessControlMaxAge,
            (27, ..) => Self::AccessControlAllowOrigin,
            (28, ..) if name.get(21).is_some_and(|b| b | 0x20 == b'h') => {
                Self::AccessControlAllowHeaders
            }
            (28, ..) => Self::AccessControlAllowMethods,
            (29, b'a', b'd') => Self::AccessControlRequestMethod,
            (29, b'a', b's') => Self::AccessControlExposeHeaders,
            (30, ..) => Self::AccessControlRequestHeaders,
            (32, ..) => Self::AccessControlAllowCredentials,
            _ => return None,
        })
    }

    /// Bit of this name in a set of names.
    #[inline]
    pub(crate) fn bit(self) -> u64 {
        1u64 << (self as u8)
    }
}

// A set of known names is one `u64`.
const _: () = assert!(Known::ALL.len() <= 64);

#[cfg(test)]
mod tests {
    use super::Known;

    #[test]
    fn every_known_name_is_recognised_in_any_case() {
        for known in Known::ALL {
            assert_eq!(Known::from_name(known.name().as_bytes()), Some(*known), "{}", known.name());
            let upper = known.name().to_ascii_uppercase();
            assert_eq!(Known::from_name(upper.as_bytes()), Some(*known), "{upper}");
        }
    }

    #[test]
    fn a_name_that_differs_in_one_byte_is_not_recognised() {
        for known in Known::ALL {
            let name = known.name().as_bytes();
            for at in 0..name.len() {
                for with in [b'_', b'@', name[at] ^ 0x01, name[at] ^ 0x10] {
                    let mut other = name.to_vec();
                    other[at] = with;
                    let same = other.eq_ignore_ascii_case(name);
                    assert!(same || Known::from_name(&other) != Some(*known));
                }
            }
        }
    }
}
