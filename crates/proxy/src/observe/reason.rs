//! Why an answer is ours and not a backend's: one closed set for logs, metrics and docs.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $status:literal, $label:literal, $text:literal;)+) => {
        /// Why the gateway answered itself, or why an exchange ended early.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $(#[doc = $text] $(#[$doc])* $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Stable label in logs and metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }

            /// One sentence for the docs.
            pub fn description(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// Status of the answer; 0 where the connection just ends, or the answer carries a
            /// status of its own.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }
        }
    };
}

reasons! {
    AuthDenied = 403, "auth_denied", "An authorization service refused the request; status, fields and body are its own.";
    AuthFailed = 503, "auth_failed", "An authorization service gave no usable answer in time, so the request was refused.";
    BackendTimeout = 504, "backend_timeout", "One attempt took longer than the rule's backendRequest timeout, or the backend fell silent.";
    BadHead = 400, "bad_head", "The request head breaks HTTP/1.1 syntax.";
    BadBody = 400, "bad_body", "The framing of the request body is broken.";
    BadHost = 400, "bad_host", "The host of the request is not a valid host name.";
    BadPath = 400, "bad_path", "The request path cannot be normalised: a bad escape, a path above the root, or an escaped slash where they are refused.";
    BodyTimeout = 408, "body_timeout", "The client stopped sending its request body.";
    ClientGone = 499, "client_gone", "The client closed the connection before its response was complete.";
    ConnectRefused = 503, "connect_refused", "No endpoint that was tried accepted a connection.";
    ConnectTimeout = 504, "connect_timeout", "No endpoint that was tried completed a connection in time.";
    ContentTooLarge = 413, "content_too_large", "The declared length of the request body exceeds the limit.";
    CorsPreflight = 204, "cors_preflight", "A CORS preflight was answered by the rule's CORS filter.";
    ExpectationFailed = 417, "expectation_failed", "The request expects something other than 100-continue.";
    FilterFailed = 500, "filter_failed", "A filter of the rule has no valid result for this request.";
    FlowEvicted = 0, "flow_evicted", "A UDP flow made room for another.";
    HeadTimeout = 408, "head_timeout", "The client did not complete its request head in time.";
    HeadTooLarge = 431, "head_too_large", "The request head, one of its fields or their number exceeds a limit.";
    Http2Preface = 505, "http2_preface", "The client began HTTP/2 where it cannot begin: after a request of HTTP/1.1, or over TLS without negotiating it.";
    IdleTimeout = 0, "idle_timeout", "Neither side of an upgraded, TCP or TLS connection sent a byte for too long.";
    InvalidBackend = 500, "invalid_backend", "The chosen backend reference does not resolve.";
    MethodNotAllowed = 405, "method_not_allowed", "CONNECT and TRACE are not served.";
    Misdirected = 421, "misdirected", "The host belongs to another listener than the one the TLS connection was made for, or that listener changed.";
    NoBackends = 500, "no_backends", "The rule has no backends, or all have weight 0.";
    NoEndpoint = 503, "no_endpoint", "The chosen backend has no endpoint that is ready or draining.";
    NoListener = 404, "no_listener", "No listener on this port serves the host.";
    NoRoute = 404, "no_route", "No rule of the listener matches the request.";
    NotImplemented = 501, "not_implemented", "The request uses a transfer coding or a method that is not implemented.";
    OptionsAsterisk = 200, "options_asterisk", "OPTIONS * asks about the gateway itself.";
    ProxyHeader = 0, "proxy_header", "The connection did not begin with a valid PROXY protocol header from a trusted peer.";
    Redirect = 0, "redirect", "The rule answers with a redirect.";
    RequestTimeout = 504, "request_timeout", "The whole exchange took longer than the rule's request timeout.";
    ResponseAborted = 0, "response_aborted", "The backend failed after its response head was passed on; the client's connection was cut.";
    Shed = 503, "shed", "The gateway or the listener is at a limit and refused the work.";
    Stalled = 0, "stalled", "A side of an upgraded, TCP or TLS connection took nothing of what the other sent for too long.";
    TargetTooLong = 414, "target_too_long", "The request target exceeds the limit.";
    UnsupportedProtocol = 500, "unsupported_protocol", "The backend's application protocol is not served yet.";
    UnsupportedRule = 500, "unsupported_rule", "The rule uses a filter or field that cannot be served.";
    UpstreamProtocol = 502, "upstream_protocol", "The backend's response breaks HTTP.";
    UpstreamRefused = 503, "upstream_refused", "The backend refused the request on every HTTP/2 connection that was tried, without looking at it.";
    UpstreamReset = 502, "upstream_reset", "The backend closed the connection before its response head was complete.";
    UpstreamTlsHandshake = 502, "upstream_tls_handshake", "The TLS handshake with the backend failed, or its certificate is not the expected one.";
    VersionNotSupported = 505, "version_not_supported", "The request's HTTP version is not served.";
    WebsocketUnsupported = 502, "websocket_unsupported", "The client asks for a WebSocket, and the backend speaks HTTP/2 without extended CONNECT (RFC 8441).";
    WriteTimeout = 0, "write_timeout", "The client stopped reading its response.";
}

impl Reason {
    /// Number of reasons.
    pub const COUNT: usize = Self::ALL.len();

    /// The reason for a request head that the codec refused.
    pub(crate) fn of_head_error(status: u16) -> Self {
        match status {
            405 => Self::MethodNotAllowed,
            413 => Self::ContentTooLarge,
            414 => Self::TargetTooLong,
            417 => Self::ExpectationFailed,
            431 => Self::HeadTooLarge,
            501 => Self::NotImplemented,
            505 => Self::VersionNotSupported,
            _ => Self::BadHead,
        }
    }
}

impl From<ir::FailReason> for Reason {
    fn from(reason: ir::FailReason) -> Self {
        match reason {
            ir::FailReason::InvalidBackend => Self::InvalidBackend,
            ir::FailReason::NoBackends => Self::NoBackends,
            ir::FailReason::UnsupportedRule => Self::UnsupportedRule,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
