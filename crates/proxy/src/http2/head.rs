//! Heads: HTTP/2 fields into HTTP/1.1 lines and back.
//!
//! Lines that come from a peer's fields go through the parser of the crate `http1` before anything
//! believes them, so a value that could end a line, or a field that frames a message, cannot get
//! to an HTTP/1.1 backend. Lines that become fields were written by this proxy's serialiser.

use bytes::Bytes;
use h2::ext::Protocol;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri,
    header::{CONTENT_LENGTH, COOKIE, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, TE},
    request, response,
    uri::{Authority, PathAndQuery, Scheme},
};

use crate::{http::local::phrase, http2::websocket, limits::Limits};

/// Bytes of a usual field line. A map that is made too small has to grow, one too large to be cleared.
const FIELD_BYTES: usize = 24;

/// Names that we add to requests and `http` does not know: made once, they are not copied for each.
static ADDED: [HeaderName; 6] = [
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-request-id"),
];

/// Why a request head has no meaning here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400, with the rule that was broken.
    Malformed(&'static str),
    /// 431.
    TooManyFields,
    /// 501: an extended CONNECT for something other than WebSocket.
    Protocol,
}

/// Writes a client's request as HTTP/1.1 lines. `ends` says that no body follows.
///
/// Pseudo-header fields were judged by `h2`; what that crate leaves open is refused here.
/// An extended CONNECT (RFC 8441) becomes the upgrade that it stands for, with `key` as its
/// `Sec-WebSocket-Key`.
///
/// # Errors
/// When the head contradicts itself or holds too many fields.
pub(crate) fn read_request(
    parts: &request::Parts,
    ends: bool,
    key: impl FnOnce() -> String,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    // Cookie crumbs count one by one: they are joined, but came as fields.
    if parts.headers.len() > limits.head.fields {
        return Err(Refusal::TooManyFields);
    }
    let upgrade = match parts.extensions.get::<Protocol>() {
        Some(protocol) if protocol.as_str() == websocket::PROTOCOL => true,
        Some(_) => return Err(Refusal::Protocol),
        None => false,
    };
    let authority = authority(parts)?;
    if parts.uri.scheme().is_some_and(|s| *s != Scheme::HTTP && *s != Scheme::HTTPS) {
        return Err(Refusal::Malformed("scheme"));
    }
    let method = if upgrade { "GET" } else { parts.method.as_str() };
    let target = match parts.uri.path_and_query() {
        Some(path) => path.as_str(),
        None => "/",
    };
    let asterisk = target == "*" && parts.method == Method::OPTIONS;
    if !target.starts_with('/') && !asterisk {
        return Err(Refusal::Malformed("path"));
    }
    // The authority form of a plain CONNECT, which the parser refuses as a method.
    let target = if parts.method == Method::CONNECT && !upgrade { authority } else { target };
    line(out, &[method.as_bytes(), b" ", target.as_bytes(), b" HTTP/1.1"]);
    if !authority.is_empty() {
        line(out, &[b"host: ", authority.as_bytes()]);
    }
    copy_fields(&parts.headers, out);
    join_cookies(&parts.headers, out);
    if upgrade {
        line(out, &[b"connection: upgrade"]);
        line(out, &[b"upgrade: websocket"]);
        line(out, &[b"sec-websocket-key: ", key().as_bytes()]);
    } else if parts.headers.contains_key(TE) {
        // `h2` lets no other value through.
        line(out, &[b"connection: te"]);
        line(out, &[b"te: trailers"]);
    }
    match parts.headers.get(CONTENT_LENGTH) {
        _ if upgrade => {}
        // Framed by its length, the request would be whole for a backend before the client showed
        // that it is.
        Some(length) if !ends && length == "0" => line(out, &[b"transfer-encoding: chunked"]),
        // Equal ones may be repeated (RFC 9110 8.6); `h2` refuses unequal ones.
        Some(length) => line(out, &[b"content-length: ", length.as_bytes()]),
        None if !ends => line(out, &[b"transfer-encoding: chunked"]),
        None => {}
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// The one authority of a request: `:authority`, else `host`; two that differ are refused, since a
/// backend might believe the other one.
fn authority(parts: &request::Parts) -> Result<&str, Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::Malformed("duplicate_host"));
    }
    let host = match host {
        Some(host) => Some(host.to_str().map_err(|_| Refusal::Malformed("host"))?),
        None => None,
    };
    match (parts.uri.authority(), host) {
        (Some(authority), Some(host)) if !authority.as_str().eq_ignore_ascii_case(host) => {
            Err(Refusal::Malformed("host_and_authority"))
        }
        (Some(authority), _) => Ok(authority.as_str()),
        (None, Some(host)) => Ok(host),
        (None, None) => Ok(""),
    }
}

fn copy_fields(headers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in headers {
        if *name == HOST || *name == CONTENT_LENGTH || *name == TE || *name == COOKIE {
            continue;
        }
        line(out, &[name.as_str().as_bytes(), b": ", value.as_bytes()]);
    }
}

/// RFC 9113 8.2.3.
fn join_cookies(headers: &HeaderMap, out: &mut Vec<u8>) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    let Some(first) = crumbs.next() else { return };
    out.extend_from_slice(b"cookie: ");
    out.extend_from_slice(first.as_bytes());
    for crumb in crumbs {
        out.extend_from_slice(b"; ");
        out.extend_from_slice(crumb.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a backend's response, final or interim, as HTTP/1.1 lines.
pub(crate) fn read_response(parts: &response::Parts, out: &mut Vec<u8>) {
    let status = parts.status.as_u16();
    out.reserve(FIELD_BYTES.saturating_mul(parts.headers.len().saturating_add(4)).max(256));
    line(out, &[b"HTTP/1.1 ", parts.status.as_str().as_bytes(), b" ", phrase(status).as_bytes()]);
    let mut length = parts.headers.get(CONTENT_LENGTH);
    for (name, value) in &parts.headers {
        if *name == CONTENT_LENGTH {
            let Some(only) = length.take() else { continue };
            line(out, &[b"content-length: ", only.as_bytes()]);
        } else {
            line(out, &[name.as_str().as_bytes(), b": ", value.as_bytes()]);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a backend's consent to a WebSocket as the answer to the upgrade that was asked for.
pub(crate) fn read_switch(parts: &response::Parts, accept: &str, out: &mut Vec<u8>) {
    line(out, &[b"HTTP/1.1 101 Switching Protocols"]);
    line(out, &[b"connection: upgrade"]);
    line(out, &[b"upgrade: ", websocket::PROTOCOL.as_bytes()]);
    line(out, &[b"sec-websocket-accept: ", accept.as_bytes()]);
    for (name, value) in &parts.headers {
        if *name != CONTENT_LENGTH && *name != SEC_WEBSOCKET_ACCEPT {
            line(out, &[name.as_str().as_bytes(), b": ", value.as_bytes()]);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn line(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(b"\r\n");
}

/// A request head that our serialiser wrote, for a backend. `None` when a part of it has no place
/// in HTTP/2.
pub(crate) fn to_request(head: &[u8], secure: bool) -> Option<Request<()>> {
    let head = Bytes::copy_from_slice(head);
    let (start, mut at) = next_line(&head, 0)?;
    let mut words = start.split(|byte| *byte == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let target = PathAndQuery::from_maybe_shared(head.slice_ref(words.next()?)).ok()?;
    let mut request = Request::new(());
    let mut authority = None;
    let headers = request.headers_mut();
    headers.reserve(head.len() / FIELD_BYTES);
    while let Some((name, value, next)) = next_field(&head, at) {
        at = next;
        if name == HOST {
            authority = Some(Authority::from_maybe_shared(value).ok()?);
        } else if !belongs_to_connection(&name) {
            let mut value = HeaderValue::from_maybe_shared(value).ok()?;
            // Another one in each request: in the table of HPACK it would drive out what is worth
            // keeping, and `h2` would compare it with every other one there.
            value.set_sensitive(name == "x-request-id" || name == "traceparent");
            headers.append(name, value);
        }
    }
    let scheme = if secure { Scheme::HTTPS } else { Scheme::HTTP };
    let mut uri = http::uri::Parts::default();
    // Without an authority there is no place for the scheme in an `Uri`; no request comes here
    // without one but those of HTTP/1.0.
    uri.authority = Some(authority.unwrap_or_else(|| Authority::from_static("localhost")));
    uri.scheme = Some(scheme);
    uri.path_and_query = Some(target);
    *request.uri_mut() = Uri::from_parts(uri).ok()?;
    *request.method_mut() = method;
    *request.version_mut() = http::Version::HTTP_2;
    Some(request)
}

/// The extended CONNECT that an upgrade to WebSocket stands for, and the `Sec-WebSocket-Accept` that
/// its client waits for: HTTP/2 has neither key nor answer (RFC 8441 5). `None` as with
/// [`to_request()`], or without a key.
pub(crate) fn to_websocket(head: &[u8], secure: bool) -> Option<(Request<()>, String)> {
    let mut request = to_request(head, secure)?;
    let key = request.headers_mut().remove(SEC_WEBSOCKET_KEY)?;
    *request.method_mut() = Method::CONNECT;
    request.extensions_mut().insert(Protocol::from_static(websocket::PROTOCOL));
    Some((request, websocket::accept(key.as_bytes())))
}

/// A response head that our serialiser wrote, for a client.
pub(crate) fn to_response(head: &[u8]) -> Option<Response<()>> {
    let head = Bytes::copy_from_slice(head);
    let (start, mut at) = next_line(&head, 0)?;
    let mut response = Response::new(());
    let status = http::StatusCode::from_bytes(start.get(9..12)?).ok()?;
    let switches = status == http::StatusCode::SWITCHING_PROTOCOLS;
    *response.status_mut() = if switches { http::StatusCode::OK } else { status };
    let headers = response.headers_mut();
    headers.reserve(head.len() / FIELD_BYTES);
    while let Some((name, value, next)) = next_field(&head, at) {
        at = next;
        let handshake = switches && name == SEC_WEBSOCKET_ACCEPT;
        if !belongs_to_connection(&name) && name != TE && !handshake {
            headers.append(name, HeaderValue::from_maybe_shared(value).ok()?);
        }
    }
    *response.version_mut() = http::Version::HTTP_2;
    Some(response)
}

/// Fields that RFC 9113 8.2.2 bans.
fn belongs_to_connection(name: &HeaderName) -> bool {
    *name == http::header::CONNECTION
        || *name == http::header::TRANSFER_ENCODING
        || *name == http::header::UPGRADE
        || name == "keep-alive"
        || name == "proxy-connection"
        || name == "http2-settings"
}

/// The line at `at` without its end, and where the next one begins.
fn next_line(head: &Bytes, at: usize) -> Option<(&[u8], usize)> {
    let rest = head.get(at..)?;
    let end = memchr::memchr(b'\n', rest)?;
    let text = rest.get(..end)?;
    Some((text.strip_suffix(b"\r").unwrap_or(text), at.checked_add(end)?.checked_add(1)?))
}

/// The field line at `at`; `None` at the empty line that ends a head.
fn next_field(head: &Bytes, at: usize) -> Option<(HeaderName, Bytes, usize)> {
    let (text, next) = next_line(head, at)?;
    let colon = memchr::memchr(b':', text)?;
    let name = name_of(text.get(..colon)?)?;
    let value = text.get(colon.checked_add(1)?..)?.trim_ascii();
    Some((name, head.slice_ref(value), next))
}

fn name_of(name: &[u8]) -> Option<HeaderName> {
    if name.starts_with(b"x-")
        && let Some(added) = ADDED.iter().find(|added| added.as_str().as_bytes() == name)
    {
        return Some(added.clone());
    }
    HeaderName::from_bytes(name).ok()
}

/// Trailers for an HTTP/2 peer; `None` when there are none.
pub(crate) fn to_trailers<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
            && !belongs_to_connection(&name)
        {
            map.append(name, value);
        }
    }
    (!map.is_empty()).then_some(map)
}

/// The trailers of an HTTP/2 peer that may be passed on.
pub(crate) fn trailers(map: Option<&HeaderMap>) -> impl Iterator<Item = (&[u8], &[u8])> {
    map.into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()))
        .filter(|(name, _)| http1::may_be_trailer(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(request: Request<()>) -> request::Parts {
        request.into_parts().0
    }

    fn lines(request: Request<()>, ends: bool) -> String {
        let mut out = Vec::new();
        read_request(&parts(request), ends, || "key".to_owned(), &Limits::default(), &mut out)
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_request_becomes_lines_with_framing_of_its_own() {
        let request = Request::post("https://a.example/x?y=1")
            .header("cookie", "a=1")
            .header("x-one", "1")
            .header("cookie", "b=2")
            .header("te", "trailers")
            .body(())
            .unwrap();
        assert_eq!(
            lines(request, false),
            "POST /x?y=1 HTTP/1.1\r\nhost: a.example\r\nx-one: 1\r\ncookie: a=1; b=2\r\n\
             connection: te\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n"
        );
    }

    #[test]
    fn an_equal_content_length_is_written_once() {
        let request = Request::post("http://a.example/")
            .header("content-length", "5")
            .header("content-length", "5")
            .body(())
            .unwrap();
        assert_eq!(
            lines(request, false),
            "POST / HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\n"
        );
    }

    #[test]
    fn two_names_for_the_host_are_refused() {
        let request =
            Request::get("http://a.example/").header("host", "b.example").body(()).unwrap();
        let refused =
            read_request(&parts(request), true, String::new, &Limits::default(), &mut Vec::new());
        assert_eq!(refused, Err(Refusal::Malformed("host_and_authority")));
    }

    #[test]
    fn lines_become_fields_without_those_of_the_connection() {
        let head = b"GET /x?y HTTP/1.1\r\nhost: a.example\r\nX-A: 1\r\nx-a: 2\r\n\
                     te: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\n\r\n";
        let request = to_request(head, false).unwrap();
        assert_eq!(request.uri(), "http://a.example/x?y");
        let names: Vec<_> = request.headers().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-a", "x-a", "te"]);
    }

    #[test]
    fn what_differs_in_each_request_stays_out_of_the_table() {
        let head = b"GET / HTTP/1.1\r\nhost: a.example\r\nx-request-id: 1f\r\n\
                     x-forwarded-proto: https\r\ntraceparent: 00-1-2-00\r\n\r\n";
        let request = to_request(head, false).unwrap();
        let out: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.is_sensitive()))
            .collect();
        assert_eq!(
            out,
            [("x-request-id", true), ("x-forwarded-proto", false), ("traceparent", true)]
        );
    }

    #[test]
    fn a_switch_of_protocols_becomes_a_success() {
        let head = b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\n\
                     sec-websocket-protocol: chat\r\nconnection: upgrade\r\n\
                     upgrade: websocket\r\n\r\n";
        let response = to_response(head).unwrap();
        assert_eq!(response.status(), 200);
        let names: Vec<_> = response.headers().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["sec-websocket-protocol"]);
    }
}
