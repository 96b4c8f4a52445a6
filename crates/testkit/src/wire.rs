//! A strict HTTP/1.1 reader of its own, for both directions (RFC 9112), so that a fault of the codec under test cannot hide in its own reader.
//!
//! It accepts exactly what a careful gateway may send: no bare CR or LF, no folded fields, no whitespace before a colon, one framing, no chunk extensions.

use std::{fmt, io};

/// Most bytes of one head; more is an error of the peer under test.
pub const MAX_HEAD: usize = 1 << 20;

/// What was wrong with a message, or how its connection ended.
#[derive(Debug)]
pub enum WireError {
    /// The connection ended cleanly before the first byte of a message.
    Closed,
    /// The connection ended (or was reset) within a message.
    Cut(String),
    /// The message breaks a rule of RFC 9112.
    Invalid(String),
    /// Nothing came before the deadline.
    TimedOut,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the connection was closed before a message"),
            Self::Cut(what) => write!(f, "the connection ended within a message: {what}"),
            Self::Invalid(what) => write!(f, "invalid message: {what}"),
            Self::TimedOut => f.write_str("nothing came before the deadline"),
        }
    }
}

impl std::error::Error for WireError {}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body at all.
    None,
    /// `Content-Length`, in bytes.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Until the connection is closed (responses only).
    UntilClose,
}

/// A start line and its fields, as received.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// All bytes up to and with the empty line.
    pub raw: Vec<u8>,
    /// The start line without CRLF.
    pub start: String,
    /// Names as they were spelled and values without outer whitespace, in order. Bytes above 0x7f are read as Latin-1.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// The first value of a field; the name in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a field in order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let name = name.to_ascii_lowercase();
        let same = move |(key, _): &&(String, String)| key.eq_ignore_ascii_case(&name);
        self.fields.iter().filter(same).map(|(_, value)| value.as_str())
    }

    /// The framing that the fields declare; `None` when they declare none.
    pub(crate) fn declared(&self) -> Result<Option<Framing>, WireError> {
        let lengths: Vec<&str> = self.all("content-length").collect();
        let codings: Vec<&str> = self.all("transfer-encoding").collect();
        match (lengths.as_slice(), codings.as_slice()) {
            ([], []) => Ok(None),
            ([length], []) => {
                if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(WireError::Invalid(format!("content-length {length:?}")));
                }
                let length = length.parse();
                length
                    .map(Framing::Length)
                    .map(Some)
                    .map_err(|_| invalid("content-length too large"))
            }
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Some(Framing::Chunked)),
            _ => Err(WireError::Invalid(format!(
                "framing: content-length {lengths:?}, transfer-encoding {codings:?}"
            ))),
        }
    }
}

/// A body as received.
#[derive(Clone, Debug, Default)]
pub struct Body {
    /// The content, without framing.
    pub content: Vec<u8>,
    /// The bytes on the wire, with chunk framing and trailers.
    pub raw: Vec<u8>,
    /// The size of each chunk, in order.
    pub chunks: Vec<usize>,
    /// The trailer section's fields, in order.
    pub trailers: Vec<(String, String)>,
}

pub(crate) fn invalid(what: impl Into<String>) -> WireError {
    WireError::Invalid(what.into())
}

/// Bytes that were read ahead from a connection.
pub(crate) struct Reader<R> {
    pub(crate) source: R,
    buffer: Vec<u8>,
}

impl<R: io::Read> Reader<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, buffer: Vec::new() }
    }

    /// What was read ahead and not yet used.
    pub(crate) fn take_buffered(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// Reads more; `false` at the end of the stream.
    pub(crate) fn fill(&mut self) -> Result<bool, WireError> {
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.source.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.buffer.extend_from_slice(chunk.get(..count).unwrap_or_default());
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(&error)),
            }
        }
    }

    fn error(&self, error: &io::Error) -> WireError {
        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            return WireError::TimedOut;
        }
        WireError::Cut(format!("{error}, {} bytes unread", self.buffer.len()))
    }

    fn need(&mut self, what: &str) -> Result<(), WireError> {
        if self.fill()? { Ok(()) } else { Err(WireError::Cut(format!("closed within {what}"))) }
    }

    /// One line without its CRLF.
    fn line(&mut self, what: &str) -> Result<Vec<u8>, WireError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                if line.pop() != Some(b'\r') {
                    return Err(invalid(format!("a line of the {what} ends without CR")));
                }
                if line.contains(&b'\r') {
                    return Err(invalid(format!("a bare CR in the {what}")));
                }
                return Ok(line);
            }
            if self.buffer.len() > MAX_HEAD {
                return Err(invalid(format!("a line of the {what} has no end")));
            }
            self.need(what)?;
        }
    }

    /// The next head.
    pub(crate) fn head(&mut self) -> Result<Head, WireError> {
        if self.buffer.is_empty() && !self.fill()? {
            return Err(WireError::Closed);
        }
        let mut head = Head::default();
        let start = self.line("start line")?;
        if !start.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            let start = String::from_utf8_lossy(&start);
            return Err(invalid(format!(
                "start line {start:?} has a byte outside printable ASCII"
            )));
        }
        head.start = latin1(&start);
        head.raw.extend_from_slice(&start);
        head.raw.extend_from_slice(b"\r\n");
        head.fields = self.fields("head", &mut head.raw)?;
        Ok(head)
    }

    /// Field lines up to and with the empty line; their bytes are added to `raw`.
    fn fields(
        &mut self,
        what: &str,
        raw: &mut Vec<u8>,
    ) -> Result<Vec<(String, String)>, WireError> {
        let mut fields = Vec::new();
        loop {
            let line = self.line(what)?;
            raw.extend_from_slice(&line);
            raw.extend_from_slice(b"\r\n");
            if line.is_empty() {
                return Ok(fields);
            }
            fields.push(field(&line)?);
            if raw.len() > MAX_HEAD {
                return Err(invalid(format!("the {what} is larger than {MAX_HEAD} bytes")));
            }
        }
    }

    /// The body that `framing` declares, or as much of it as came before the error.
    pub(crate) fn body(&mut self, framing: Framing) -> (Body, Result<(), WireError>) {
        let mut body = Body::default();
        let result = self.body_into(framing, &mut body);
        (body, result)
    }

    fn body_into(&mut self, framing: Framing, body: &mut Body) -> Result<(), WireError> {
        match framing {
            Framing::None => Ok(()),
            Framing::Length(length) => {
                let mut left = usize::try_from(length).map_err(|_| invalid("length"))?;
                self.exactly(&mut left, body)
            }
            Framing::UntilClose => loop {
                let bytes = self.take_buffered();
                body.content.extend_from_slice(&bytes);
                body.raw.extend_from_slice(&bytes);
                if !self.fill()? {
                    return Ok(());
                }
            },
            Framing::Chunked => self.chunks(body),
        }
    }

    fn exactly(&mut self, left: &mut usize, body: &mut Body) -> Result<(), WireError> {
        while *left > 0 {
            if self.buffer.is_empty() {
                self.need("a body")?;
            }
            let count = self.buffer.len().min(*left);
            let bytes: Vec<u8> = self.buffer.drain(..count).collect();
            body.content.extend_from_slice(&bytes);
            body.raw.extend_from_slice(&bytes);
            *left -= count;
        }
        Ok(())
    }

    fn chunks(&mut self, body: &mut Body) -> Result<(), WireError> {
        loop {
            let line = self.line("chunk size")?;
            body.raw.extend_from_slice(&line);
            body.raw.extend_from_slice(b"\r\n");
            if line.is_empty() || line.len() > 15 || !line.iter().all(u8::is_ascii_hexdigit) {
                return Err(invalid(format!("chunk size {:?}", latin1(&line))));
            }
            let size = usize::from_str_radix(&latin1(&line), 16);
            let mut size = size.map_err(|_| invalid("chunk size"))?;
            if size == 0 {
                body.trailers = self.fields("trailers", &mut body.raw)?;
                let forbidden = ["content-length", "transfer-encoding", "host", "trailer"];
                let bad = body
                    .trailers
                    .iter()
                    .find(|(name, _)| forbidden.contains(&name.to_ascii_lowercase().as_str()));
                return bad.map_or(Ok(()), |(name, _)| Err(invalid(format!("trailer {name}"))));
            }
            body.chunks.push(size);
            self.exactly(&mut size, body)?;
            if !self.line("chunk end")?.is_empty() {
                return Err(invalid("chunk data does not end with CRLF"));
            }
            body.raw.extend_from_slice(b"\r\n");
        }
    }
}

/// A field line: `token ":" OWS value OWS` (RFC 9112, 5).
fn field(line: &[u8]) -> Result<(String, String), WireError> {
    let bad = |why: &str| invalid(format!("field line {:?}: {why}", latin1(line)));
    let colon = line.iter().position(|byte| *byte == b':').ok_or_else(|| bad("no colon"))?;
    let (name, value) = line.split_at(colon);
    let value = value.get(1..).unwrap_or_default();
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(bad("the name is no token"));
    }
    let allowed = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..=0xff);
    if !value.iter().all(allowed) {
        return Err(bad("a control character in the value"));
    }
    Ok((latin1(name), latin1(value).trim_matches([' ', '\t']).to_owned()))
}

/// A byte of a token (RFC 9110, 5.6.2).
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Head, WireError> {
        Reader::new(text.as_bytes()).head()
    }

    #[test]
    fn a_head_keeps_the_spelling_and_order_of_its_fields() {
        let head = head("GET / HTTP/1.1\r\nHost: a\r\nX-B:  1 \r\nx-b:\t2\r\n\r\n").unwrap();
        assert_eq!(head.start, "GET / HTTP/1.1");
        assert_eq!(head.fields[1], ("X-B".to_owned(), "1".to_owned()));
        assert_eq!(head.all("X-b").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn heads_that_a_gateway_must_not_send_are_refused() {
        for text in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
            "GET /\u{7f} HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\n: a\r\n\r\n",
        ] {
            assert!(matches!(head(text), Err(WireError::Invalid(_))), "{text:?}");
        }
    }

    #[test]
    fn two_framings_or_an_odd_length_are_refused() {
        for fields in [
            "content-length: 1\r\ntransfer-encoding: chunked\r\n",
            "content-length: 1\r\ncontent-length: 1\r\n",
            "content-length: +1\r\n",
            "transfer-encoding: gzip, chunked\r\n",
        ] {
            let head = head(&format!("GET / HTTP/1.1\r\n{fields}\r\n")).unwrap();
            assert!(head.declared().is_err(), "{fields:?}");
        }
    }

    #[test]
    fn chunks_and_trailers_are_read_and_extensions_are_refused() {
        let mut reader = Reader::new(&b"3\r\nabc\r\n1\r\nd\r\n0\r\nx-sum: 4\r\n\r\nrest"[..]);
        let (body, result) = reader.body(Framing::Chunked);
        result.unwrap();
        assert_eq!(body.content, b"abcd");
        assert_eq!(body.chunks, [3, 1]);
        assert_eq!(body.trailers, [("x-sum".to_owned(), "4".to_owned())]);
        assert_eq!(reader.take_buffered(), b"rest");
        let mut reader = Reader::new(&b"3;x=1\r\nabc\r\n0\r\n\r\n"[..]);
        assert!(reader.body(Framing::Chunked).1.is_err());
    }
}
