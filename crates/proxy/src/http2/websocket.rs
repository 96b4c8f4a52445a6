//! The opening handshake of WebSocket in both of its forms: an upgrade of HTTP/1.1 (RFC 6455) and an
//! extended CONNECT of HTTP/2 (RFC 8441). Inside the proxy it is the upgrade.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http1::{BodyFraming, Method, RequestHead};

use crate::random::Random;

/// The `:protocol` and the `upgrade` of a WebSocket.
pub(crate) const PROTOCOL: &str = "websocket";
/// What a server appends to the key (RFC 6455 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether a request asks for a WebSocket. `bytes` is the head that `head` was parsed from.
pub(crate) fn is_asked(head: &RequestHead, bytes: &[u8]) -> bool {
    let named = |upgrade: http1::Span| upgrade.of(bytes).eq_ignore_ascii_case(PROTOCOL.as_bytes());
    head.upgrade().is_some_and(named)
        && head.method() == Method::Get
        && head.framing() == BodyFraming::None
        && head.fields().named(b"sec-websocket-key", bytes).next().is_some()
}

/// A `Sec-WebSocket-Key` (RFC 6455 4.1): 16 random bytes in base64.
pub(crate) fn key(random: &Random) -> String {
    let [high, low] = [random.next(), random.next()].map(u128::from);
    STANDARD.encode((high << 64 | low).to_be_bytes())
}

/// The `Sec-WebSocket-Accept` for a key (RFC 6455 4.2.2).
pub(crate) fn accept(key: &[u8]) -> String {
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_answer_of_the_rfc() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_are_sixteen_bytes_and_differ() {
        let random = Random::new();
        let (one, other) = (key(&random), key(&random));
        assert_eq!(STANDARD.decode(&one).unwrap().len(), 16);
        assert_ne!(one, other);
    }
}
