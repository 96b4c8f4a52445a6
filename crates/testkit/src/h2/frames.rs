//! Frames written by hand, for what no client would send.

use crate::DEADLINE;
use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
};

/// Frame types (RFC 9113 section 6).
#[allow(missing_docs, reason = "the names of the RFC")]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Frame flags.
#[allow(missing_docs, reason = "the names of the RFC")]
pub mod flag {
    pub const END_STREAM: u8 = 0x1;
    pub const ACK: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Type.
    pub kind: u8,
    /// Flags.
    pub flags: u8,
    /// Stream, 0 for the connection.
    pub stream: u32,
    /// Payload.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame of any content.
    #[must_use]
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Self {
        Self { kind, flags, stream, payload: payload.as_ref().to_vec() }
    }

    /// HEADERS with the whole field block.
    #[must_use]
    pub fn headers(stream: u32, fields: &[(&str, &str)], ends: bool) -> Self {
        let flags = flag::END_HEADERS | if ends { flag::END_STREAM } else { 0 };
        Self::new(kind::HEADERS, flags, stream, block(fields))
    }

    /// DATA.
    #[must_use]
    pub fn data(stream: u32, payload: impl AsRef<[u8]>, ends: bool) -> Self {
        Self::new(kind::DATA, if ends { flag::END_STREAM } else { 0 }, stream, payload)
    }

    /// The frame as it is sent.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a payload").to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// The whole frames at the beginning of `bytes`.
    #[must_use]
    pub fn all(mut bytes: &[u8]) -> Vec<Self> {
        let mut frames = Vec::new();
        while let Some((frame, rest)) = Self::first(bytes) {
            frames.push(frame);
            bytes = rest;
        }
        frames
    }

    /// The frame at the beginning of `bytes`, and what follows it.
    fn first(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (header, rest) = bytes.split_at_checked(9)?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let stream = u32::from_be_bytes([header[5] & 0x7f, header[6], header[7], header[8]]);
        let (payload, rest) = rest.split_at_checked(usize::try_from(length).expect("a length"))?;
        Some((Self { kind: header[3], flags: header[4], stream, payload: payload.to_vec() }, rest))
    }

    /// The status of a response's head whose first field is `:status`, as encoders write it that
    /// have no table entry for it: by static index, or literal (RFC 7541 6.1 and 6.2, Huffman codes
    /// of digits from its appendix B).
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
        match *self.payload.first()? {
            byte @ 0x88..=0x8e => INDEXED.get(usize::from(byte - 0x88)).copied(),
            0x08 | 0x18 | 0x48 => {
                let length = *self.payload.get(1)?;
                let text = self.payload.get(2..2 + usize::from(length & 0x7f))?;
                let digits = if length < 0x80 { text.to_vec() } else { huffman_digits(text)? };
                std::str::from_utf8(&digits).ok()?.parse().ok()
            }
            _ => None,
        }
    }

    /// The error code of RST_STREAM (at 0) or GOAWAY (at 4).
    #[must_use]
    pub fn code(&self) -> u32 {
        let at = if self.kind == kind::GOAWAY { 4 } else { 0 };
        let bytes = self.payload[at..at + 4].try_into().expect("four bytes");
        u32::from_be_bytes(bytes)
    }
}

/// A field block: every field literal, without indexing and without Huffman codes (RFC 7541 6.2.2).
#[must_use]
pub fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            integer(&mut out, text.len());
            out.extend(text);
        }
    }
    out
}

/// A length with a prefix of seven bits (RFC 7541 5.1).
fn integer(out: &mut Vec<u8>, value: usize) {
    if value < 127 {
        out.push(u8::try_from(value).expect("seven bits"));
        return;
    }
    out.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        out.push(u8::try_from(rest % 128 + 128).expect("eight bits"));
        rest /= 128;
    }
    out.push(u8::try_from(rest).expect("seven bits"));
}

fn prepare(stream: &TcpStream) {
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
}

/// Digits in Huffman codes: those of 0, 1 and 2 have five bits, the others six.
fn huffman_digits(text: &[u8]) -> Option<Vec<u8>> {
    let bits = text.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
    let mut left = text.len().checked_mul(8).filter(|left| *left <= 64)?;
    let mut digits = Vec::new();
    while left >= 5 && digits.len() < 3 {
        let five = u8::try_from(bits >> (left - 5) & 0x1f).ok()?;
        if five < 3 {
            digits.push(b'0' + five);
            left -= 5;
        } else {
            let six = u8::try_from(bits >> left.checked_sub(6)? & 0x3f).ok()?;
            digits.push(b'3' + six.checked_sub(0x19).filter(|digit| *digit < 7)?);
            left -= 6;
        }
    }
    Some(digits)
}

/// A connection that speaks frames.
pub struct RawH2 {
    stream: TcpStream,
    received: Vec<u8>,
}

impl RawH2 {
    /// Connects and sends the preface and empty SETTINGS.
    ///
    /// # Panics
    /// When nobody listens.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        let mut raw = Self::silent(address);
        raw.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        raw.send(&Frame::new(kind::SETTINGS, 0, 0, b""));
        raw
    }

    /// Connects and sends nothing.
    ///
    /// # Panics
    /// When nobody listens.
    #[must_use]
    pub fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a listening port");
        prepare(&stream);
        Self { stream, received: Vec::new() }
    }

    /// The backend's side of a connection: takes the preface and sends empty SETTINGS.
    ///
    /// # Panics
    /// When the client does not begin with the preface.
    #[must_use]
    pub fn accept(listener: &TcpListener) -> Self {
        let (mut stream, _) = listener.accept().expect("a client");
        prepare(&stream);
        let mut preface = [0u8; 24];
        stream.read_exact(&mut preface).expect("a preface");
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut raw = Self { stream, received: Vec::new() };
        raw.send(&Frame::new(kind::SETTINGS, 0, 0, b""));
        raw
    }

    /// Sends bytes; false when the peer is gone.
    pub fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends a frame; false when the peer is gone.
    pub fn send(&mut self, frame: &Frame) -> bool {
        self.write(&frame.bytes())
    }

    /// The next frame; `None` at the end of the connection.
    ///
    /// # Panics
    /// When nothing comes for [`DEADLINE`].
    pub fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.parsed() {
                return Some(frame);
            }
            let mut piece = [0u8; 16 * 1024];
            match self.stream.read(&mut piece) {
                Ok(0) => return None,
                Ok(count) => self.received.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("no frame and no end within {DEADLINE:?}")
                }
                Err(_) => return None,
            }
        }
    }

    fn parsed(&mut self) -> Option<Frame> {
        let (frame, rest) = Frame::first(&self.received)?;
        let used = self.received.len() - rest.len();
        self.received.drain(..used);
        Some(frame)
    }

    /// The next frame that `wanted` accepts; `None` at the end of the connection.
    pub fn find(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        while let Some(frame) = self.read() {
            if wanted(&frame) {
                return Some(frame);
            }
        }
        None
    }

    /// Whether a GOAWAY is among what has arrived; waits for nothing.
    pub fn has_goaway(&mut self) -> bool {
        let mut piece = [0u8; 16 * 1024];
        self.stream.set_nonblocking(true).expect("a mode");
        while let Ok(count @ 1..) = self.stream.read(&mut piece) {
            self.received.extend_from_slice(&piece[..count]);
        }
        self.stream.set_nonblocking(false).expect("a mode");
        Frame::all(&self.received).iter().any(|frame| frame.kind == kind::GOAWAY)
    }

    /// How the peer ended a stream or the connection: RST_STREAM, GOAWAY, or END_STREAM; `None` when it just closed.
    pub fn outcome(&mut self, stream: u32) -> Option<Frame> {
        self.find(|frame| match frame.kind {
            kind::GOAWAY => true,
            kind::RST_STREAM => frame.stream == stream,
            kind::DATA | kind::HEADERS => {
                frame.stream == stream && frame.flags & flag::END_STREAM != 0
            }
            _ => false,
        })
    }

    /// Ends our side.
    pub fn half_close(&mut self) {
        // It may be closed by the peer already.
        drop(self.stream.shutdown(Shutdown::Write));
    }
}
