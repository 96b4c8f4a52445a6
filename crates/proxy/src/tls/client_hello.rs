//! What a ClientHello says, read with a bound before any TLS library sees it
//! (RFC 8446 4.1.2, RFC 6066 section 3).

/// What the first flight asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClientHello {
    /// Server name in lower case without a trailing dot; `None` without the extension.
    pub(crate) server_name: Option<String>,
}

/// Outcome of looking at the bytes so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peek {
    Partial,
    Complete(ClientHello),
    /// Not a ClientHello, or a malformed one.
    Invalid,
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
/// Largest plaintext of one record (RFC 8446 5.1).
const RECORD_MOST: usize = 1 << 14;

/// Looks for a whole ClientHello in `bytes`, which start with the first record. The message may
/// be spread over any number of records.
pub(crate) fn peek(bytes: &[u8]) -> Peek {
    let mut message = Vec::new();
    let mut rest = bytes;
    loop {
        let Some((header, after)) = rest.split_at_checked(5) else {
            return if plausible_start(rest) { Peek::Partial } else { Peek::Invalid };
        };
        let [kind, major, _, high, low] = header else { return Peek::Invalid };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind != HANDSHAKE || *major != 3 || length == 0 || length > RECORD_MOST {
            return Peek::Invalid;
        }
        let whole = after.len() >= length;
        message.extend_from_slice(after.get(..length).unwrap_or(after));
        match read_message(&message) {
            Some(Some(hello)) => return Peek::Complete(hello),
            Some(None) => return Peek::Invalid,
            None if !whole => return Peek::Partial,
            None => rest = after.get(length..).unwrap_or_default(),
        }
    }
}

fn plausible_start(bytes: &[u8]) -> bool {
    bytes.first().is_none_or(|kind| *kind == HANDSHAKE)
        && bytes.get(1).is_none_or(|major| *major == 3)
}

/// `None`: more is needed. `Some(None)`: malformed.
fn read_message(message: &[u8]) -> Option<Option<ClientHello>> {
    let mut reader = Reader(message);
    let kind = reader.byte()?;
    if kind != CLIENT_HELLO {
        return Some(None);
    }
    let length = reader.u24()?;
    let body = reader.take(length)?;
    Some(read_hello(body))
}

fn read_hello(body: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader(body);
    reader.take(2 + 32)?;
    let session = reader.byte()?;
    reader.take(usize::from(session))?;
    let suites = reader.u16()?;
    reader.take(usize::from(suites))?;
    let compressions = reader.byte()?;
    reader.take(usize::from(compressions))?;
    let mut hello = ClientHello::default();
    if reader.0.is_empty() {
        return Some(hello);
    }
    let length = usize::from(reader.u16()?);
    let mut extensions = Reader(reader.take(length)?);
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let length = usize::from(extensions.u16()?);
        let content = extensions.take(length)?;
        if kind == SERVER_NAME {
            if hello.server_name.is_some() {
                return None;
            }
            hello.server_name = Some(read_server_name(content)?);
        }
    }
    Some(hello)
}

fn read_server_name(content: &[u8]) -> Option<String> {
    let mut reader = Reader(content);
    let length = usize::from(reader.u16()?);
    let mut names = Reader(reader.take(length)?);
    while !names.0.is_empty() {
        let kind = names.byte()?;
        let length = usize::from(names.u16()?);
        let name = names.take(length)?;
        if kind == HOST_NAME {
            let text = std::str::from_utf8(name).ok()?;
            let text = text.strip_suffix('.').unwrap_or(text);
            let clean = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            let valid = !text.is_empty() && text.len() <= 253 && text.bytes().all(clean);
            return valid.then(|| text.to_ascii_lowercase());
        }
    }
    None
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]))
    }

    fn u24(&mut self) -> Option<usize> {
        let high = usize::from(self.byte()?);
        Some(high << 16 | usize::from(self.u16()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(name: Option<&[u8]>) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7u8; 32]);
        body.push(0);
        // A GREASE cipher suite (RFC 8701) first.
        body.extend([0, 4, 0x0a, 0x0a, 0x13, 0x01]);
        body.extend([1, 0]);
        let mut extensions = vec![0x1a, 0x1a, 0, 0];
        if let Some(name) = name {
            let length = u16::try_from(name.len()).unwrap();
            extensions.extend([0, 0]);
            extensions.extend((length + 5).to_be_bytes());
            extensions.extend((length + 3).to_be_bytes());
            extensions.push(0);
            extensions.extend(length.to_be_bytes());
            extensions.extend(name);
        }
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
        let mut message = vec![1, 0];
        message.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        message.extend(body);
        message
    }

    fn records(message: &[u8], size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in message.chunks(size) {
            out.extend([22, 3, 1]);
            out.extend(u16::try_from(piece.len()).unwrap().to_be_bytes());
            out.extend(piece);
        }
        out
    }

    #[test]
    fn a_server_name_is_found_whatever_the_fragmentation() {
        let message = hello(Some(b"Shop.Example.COM."));
        for size in [1, 2, 7, 100, 16_000] {
            let bytes = records(&message, size);
            for end in 0..bytes.len() {
                assert_eq!(peek(&bytes[..end]), Peek::Partial, "{end} of {}", bytes.len());
            }
            let expected = ClientHello { server_name: Some("shop.example.com".to_owned()) };
            assert_eq!(peek(&bytes), Peek::Complete(expected));
        }
    }

    #[test]
    fn a_hello_without_a_server_name_is_complete() {
        let bytes = records(&hello(None), 16_000);
        assert_eq!(peek(&bytes), Peek::Complete(ClientHello::default()));
    }

    #[test]
    fn what_is_no_client_hello_is_refused_at_once() {
        assert_eq!(peek(b"G"), Peek::Invalid);
        assert_eq!(peek(b"GET / HTTP/1.1\r\n"), Peek::Invalid);
        assert_eq!(peek(&records(&hello(Some(b"a b")), 100)), Peek::Invalid);
        assert_eq!(peek(&[22, 3, 1, 0, 0]), Peek::Invalid);
        assert_eq!(peek(&[22, 3, 1, 0xff, 0xff]), Peek::Invalid);
        assert_eq!(peek(&records(&[2, 0, 0, 0], 100)), Peek::Invalid);
    }
}
