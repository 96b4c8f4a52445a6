//! Heads: HTTP/2 fields into HTTP/1.1 lines and back.
//!
//! Lines that come from a peer's fields go through the parser of the crate `http1` before anything
//! believes them, so a value that could end a line, or a field that frames a message, cannot get
//! to an HTTP/1.1 backend. Lines that become fields were written by this proxy's serialiser.

use ::http2::{Answer, Block, Request, Response};

use crate::{http::local::phrase, http2::websocket, limits::Limits};

/// Bytes of a line beside those of its field.
const LINE_BYTES: usize = 4;
/// Room for the lines that a head has beside its fields.
const HEAD_BYTES: usize = 128;

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
/// What RFC 9113 calls malformed was refused by the crate `http2`; what contradicts itself in
/// HTTP/1.1 is refused here. An extended CONNECT (RFC 8441) becomes the upgrade that it stands for,
/// with `key` as its `Sec-WebSocket-Key`.
///
/// # Errors
/// When the head contradicts itself or holds too many fields.
pub(crate) fn read_request(
    request: &Request,
    ends: bool,
    key: impl FnOnce() -> String,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    // Cookie crumbs count one by one: they are joined, but came as fields.
    if request.field_count() > limits.head.fields {
        return Err(Refusal::TooManyFields);
    }
    let upgrade = match request.protocol() {
        Some(protocol) if protocol == websocket::PROTOCOL.as_bytes() => true,
        Some(_) => return Err(Refusal::Protocol),
        None => false,
    };
    let authority = authority(request)?;
    if request.scheme().is_some_and(|scheme| !is_http(scheme)) {
        return Err(Refusal::Malformed("scheme"));
    }
    let method = if upgrade { b"GET" } else { request.method() };
    // The authority form of a plain CONNECT, which the parser refuses as a method.
    let target = request.path().unwrap_or(authority);
    if target == b"*" && method != b"OPTIONS" {
        return Err(Refusal::Malformed("path"));
    }
    let lines = request.field_count().saturating_mul(LINE_BYTES).saturating_add(HEAD_BYTES);
    out.reserve(request.size().saturating_add(lines));
    line(out, &[method, b" ", target, b" HTTP/1.1"]);
    if !authority.is_empty() {
        line(out, &[b"host: ", authority]);
    }
    let Seen { cookies, te } = copy_fields(request, out);
    if cookies {
        join_cookies(request, out);
    }
    if upgrade {
        line(out, &[b"connection: upgrade"]);
        line(out, &[b"upgrade: websocket"]);
        line(out, &[b"sec-websocket-key: ", key().as_bytes()]);
    } else if te {
        // The crate `http2` lets no other value through.
        line(out, &[b"connection: te"]);
        line(out, &[b"te: trailers"]);
    }
    match request.content_length() {
        _ if upgrade => {}
        // Framed by its length, the request would be whole for a backend before the client showed
        // that it is.
        Some(0) if !ends => line(out, &[b"transfer-encoding: chunked"]),
        Some(length) => http1::write_content_length(out, length),
        None if !ends => line(out, &[b"transfer-encoding: chunked"]),
        None => {}
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn is_http(scheme: &[u8]) -> bool {
    scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https")
}

/// The one authority of a request: `:authority`, else `host`; two that differ are refused, since a
/// backend might believe the other one.
fn authority(request: &Request) -> Result<&[u8], Refusal> {
    let mut hosts = request.fields().filter(|(name, _)| *name == b"host").map(|(_, value)| value);
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::Malformed("duplicate_host"));
    }
    match (request.authority(), host) {
        (Some(authority), Some(host)) if !authority.eq_ignore_ascii_case(host) => {
            Err(Refusal::Malformed("host_and_authority"))
        }
        (Some(authority), _) => Ok(authority),
        (None, host) => Ok(host.unwrap_or_default()),
    }
}

/// Fields that are not copied as they are.
#[derive(Default)]
struct Seen {
    cookies: bool,
    te: bool,
}

fn copy_fields(request: &Request, out: &mut Vec<u8>) -> Seen {
    let mut seen = Seen::default();
    for (name, value) in request.fields() {
        match name {
            b"host" | b"content-length" => {}
            b"te" => seen.te = true,
            b"cookie" => seen.cookies = true,
            _ => line(out, &[name, b": ", value]),
        }
    }
    seen
}

/// RFC 9113 8.2.3.
fn join_cookies(request: &Request, out: &mut Vec<u8>) {
    let crumbs = request.fields().filter(|(name, _)| *name == b"cookie");
    let mut before: &[u8] = b"cookie: ";
    for (_, crumb) in crumbs {
        out.extend_from_slice(before);
        out.extend_from_slice(crumb);
        before = b"; ";
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a backend's response, final or interim, as HTTP/1.1 lines.
pub(crate) fn read_response(response: &Response, out: &mut Vec<u8>) {
    let status = response.status();
    out.reserve(response.size().saturating_add(HEAD_BYTES));
    line(out, &[b"HTTP/1.1 ", &digits(status), b" ", phrase(status).as_bytes()]);
    if let Some(length) = response.content_length() {
        http1::write_content_length(out, length);
    }
    for (name, value) in response.fields().filter(|(name, _)| *name != b"content-length") {
        line(out, &[name, b": ", value]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a backend's consent to a WebSocket as the answer to the upgrade that was asked for.
pub(crate) fn read_switch(response: &Response, accept: &str, out: &mut Vec<u8>) {
    line(out, &[b"HTTP/1.1 101 Switching Protocols"]);
    line(out, &[b"connection: upgrade"]);
    line(out, &[b"upgrade: ", websocket::PROTOCOL.as_bytes()]);
    line(out, &[b"sec-websocket-accept: ", accept.as_bytes()]);
    for (name, value) in response.fields() {
        if name != b"content-length" && name != b"sec-websocket-accept" {
            line(out, &[name, b": ", value]);
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn line(out: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(b"\r\n");
}

/// The three digits of a status.
fn digits(status: u16) -> [u8; 3] {
    [status / 100, status / 10, status].map(|place| b'0' + u8::try_from(place % 10).unwrap_or(0))
}

/// A request head that our serialiser wrote, for a backend.
pub(crate) struct Asked<'a> {
    method: &'a [u8],
    target: &'a [u8],
    fields: &'a [u8],
    secure: bool,
    /// The upgrade to WebSocket that the head is goes as an extended CONNECT.
    websocket: bool,
}

impl<'a> Asked<'a> {
    /// Reads the lines of a request; `None` when they are none, or name no host.
    pub(crate) fn read(head: &'a [u8], secure: bool, websocket: bool) -> Option<Self> {
        let (start, fields) = next_line(head)?;
        let mut words = start.split(|byte| *byte == b' ');
        let (method, target) = (words.next()?, words.next()?);
        if named(fields, b"host").is_some_and(<[u8]>::is_empty) {
            return None;
        }
        Some(Self { method, target, fields, secure, websocket })
    }

    /// What its answer will be.
    pub(crate) fn answer(&self) -> Answer {
        match self.method {
            _ if self.websocket => Answer::Tunnel,
            b"HEAD" => Answer::Empty,
            _ => Answer::Usual,
        }
    }

    /// The `Sec-WebSocket-Accept` that the client of an upgrade waits for: HTTP/2 has neither key
    /// nor answer (RFC 8441 section 5). `None` without a key.
    pub(crate) fn accept(&self) -> Option<String> {
        let key = named(self.fields, b"sec-websocket-key")?;
        Some(websocket::accept(key))
    }

    /// Writes it as fields.
    pub(crate) fn write(&self, block: &mut Block<'_>) {
        let method = if self.websocket { b"CONNECT" } else { self.method };
        block.field(b":method", method);
        block.field(b":scheme", if self.secure { b"https" } else { b"http" });
        // Only a request of HTTP/1.0 comes here without.
        block.field(b":authority", named(self.fields, b"host").unwrap_or(b"localhost"));
        block.field(b":path", self.target);
        if self.websocket {
            block.field(b":protocol", websocket::PROTOCOL.as_bytes());
        }
        for (name, value) in fields(self.fields) {
            let handshake = self.websocket && name.eq_ignore_ascii_case(b"sec-websocket-key");
            if !name.eq_ignore_ascii_case(b"host") && !belongs_to_connection(name) && !handshake {
                block.field(name, value);
            }
        }
    }
}

/// Writes a response head that our serialiser wrote, for a client.
pub(crate) fn write_response(head: &[u8], block: &mut Block<'_>) {
    let Some((start, lines)) = next_line(head) else { return };
    let status = start.get(9..12).unwrap_or(b"500");
    let switches = status == b"101";
    block.field(b":status", if switches { b"200" } else { status });
    for (name, value) in fields(lines) {
        let handshake = switches && name.eq_ignore_ascii_case(b"sec-websocket-accept");
        if !belongs_to_connection(name) && !name.eq_ignore_ascii_case(b"te") && !handshake {
            block.field(name, value);
        }
    }
}

/// Writes trailers for an HTTP/2 peer.
pub(crate) fn write_trailers<'a>(
    trailers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    block: &mut Block<'_>,
) {
    for (name, value) in trailers.filter(|(name, _)| !belongs_to_connection(name)) {
        block.field(name, value);
    }
}

/// Fields that RFC 9113 8.2.2 bans, and the settings of an upgrade to HTTP/2.
fn belongs_to_connection(name: &[u8]) -> bool {
    let first = name.first().copied().unwrap_or_default().to_ascii_lowercase();
    let banned: &[u8] = match (first, name.len()) {
        (b'c', 10) => b"connection",
        (b'h', 14) => b"http2-settings",
        (b'k', 10) => b"keep-alive",
        (b'p', 16) => b"proxy-connection",
        (b't', 17) => b"transfer-encoding",
        (b'u', 7) => b"upgrade",
        _ => return false,
    };
    name.eq_ignore_ascii_case(banned)
}

/// The first line without its end, and what follows it.
fn next_line(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', head)?;
    let (line, rest) = head.split_at_checked(end)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..)?))
}

/// The fields of lines, up to the empty one that ends a head.
fn fields(mut lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let (line, rest) = next_line(lines)?;
        lines = rest;
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at_checked(colon)?;
        Some((name, value.get(1..)?.trim_ascii()))
    })
}

/// The value of the first field of that name.
fn named<'a>(lines: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    fields(lines).find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http2::{Config, Connection, ErrorCode, Role};
    use std::task::{Context, Poll, Waker};

    fn config(role: Role) -> Config {
        crate::http2::shared::config(role, &Limits::default())
    }

    fn carry(from: &mut Connection, to: &mut Connection) {
        to.receive(from.output(), 0);
        from.advance(from.output().len());
    }

    /// A client and a server that have heard of each other.
    fn pair() -> (Connection, Connection) {
        let mut client = Connection::new(Role::Client, config(Role::Client));
        let mut server = Connection::new(Role::Server, config(Role::Server));
        carry(&mut client, &mut server);
        carry(&mut server, &mut client);
        (client, server)
    }

    fn request(pairs: &[(&str, &str)]) -> Request {
        let (mut client, mut server) = pair();
        let write = |block: &mut Block<'_>| {
            pairs.iter().for_each(|(name, value)| block.field(name.as_bytes(), value.as_bytes()));
        };
        client.open(write, false, Answer::Usual).unwrap();
        carry(&mut client, &mut server);
        server.accept().unwrap().request.unwrap()
    }

    fn post(more: &[(&str, &str)]) -> Request {
        let post = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "a.example"),
            (":path", "/x?y=1"),
        ];
        request(&[&post[..], more].concat())
    }

    fn lines(request: &Request) -> Result<String, Refusal> {
        let mut out = Vec::new();
        read_request(request, false, || "key".to_owned(), &Limits::default(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    /// What a backend gets for the lines of a request.
    fn asked(head: &[u8], websocket: bool) -> Request {
        let (mut client, mut server) = pair();
        let asked = Asked::read(head, false, websocket).unwrap();
        client.open(|block| asked.write(block), true, asked.answer()).unwrap();
        carry(&mut client, &mut server);
        server.accept().unwrap().request.unwrap()
    }

    fn names(fields: impl Iterator<Item = (impl AsRef<[u8]>, impl AsRef<[u8]>)>) -> Vec<String> {
        fields.map(|(name, _)| String::from_utf8(name.as_ref().to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_request_becomes_lines_with_framing_of_its_own() {
        let request =
            post(&[("cookie", "a=1"), ("x-one", "1"), ("cookie", "b=2"), ("te", "trailers")]);
        assert_eq!(
            lines(&request).unwrap(),
            "POST /x?y=1 HTTP/1.1\r\nhost: a.example\r\nx-one: 1\r\ncookie: a=1; b=2\r\n\
             connection: te\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n"
        );
    }

    #[test]
    fn an_equal_content_length_is_written_once() {
        let request = post(&[("content-length", "5"), ("content-length", "5")]);
        assert_eq!(
            lines(&request).unwrap(),
            "POST /x?y=1 HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\n"
        );
    }

    #[test]
    fn two_names_for_the_host_are_refused() {
        let request = post(&[("host", "b.example")]);
        assert_eq!(lines(&request), Err(Refusal::Malformed("host_and_authority")));
    }

    #[test]
    fn lines_become_fields_without_those_of_the_connection() {
        let head = b"GET /x?y HTTP/1.1\r\nhost: a.example\r\nX-A: 1\r\nx-a: 2\r\n\
                     te: trailers\r\nconnection: te\r\ntransfer-encoding: chunked\r\n\r\n";
        let request = asked(head, false);
        assert_eq!(request.authority(), Some(&b"a.example"[..]));
        assert_eq!(request.path(), Some(&b"/x?y"[..]));
        assert_eq!(names(request.fields()), ["x-a", "x-a", "te"]);
    }

    #[test]
    fn an_upgrade_becomes_an_extended_connect() {
        let head = b"GET /chat HTTP/1.1\r\nhost: a.example\r\nconnection: upgrade\r\n\
                     upgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                     sec-websocket-version: 13\r\n\r\n";
        let request = asked(head, true);
        assert_eq!(
            (request.method(), request.protocol()),
            (&b"CONNECT"[..], Some(&b"websocket"[..]))
        );
        assert_eq!(names(request.fields()), ["sec-websocket-version"]);
        let accept = Asked::read(head, false, true).unwrap().accept();
        assert_eq!(accept.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }

    #[test]
    fn a_switch_of_protocols_becomes_a_success() {
        let head = b"HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\n\
                     sec-websocket-protocol: chat\r\nconnection: upgrade\r\n\
                     upgrade: websocket\r\n\r\n";
        let (mut client, mut server) = pair();
        let get = b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n";
        let asked = Asked::read(get, false, false).unwrap();
        let id = client.open(|block| asked.write(block), true, asked.answer()).unwrap();
        carry(&mut client, &mut server);
        server.send_head(id, |block| write_response(head, block), true, true).unwrap();
        carry(&mut server, &mut client);
        let response = client.poll_response(id, &Context::from_waker(Waker::noop()));
        let Poll::Ready(Ok(response)) = response else { panic!("no response") };
        assert_eq!(response.status(), 200);
        assert_eq!(names(response.fields()), ["sec-websocket-protocol"]);
        client.release(id, ErrorCode::CANCEL);
    }
}
