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
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            integer(&mut out, text.len());
            out.extend(text.as_bytes());
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
        let header = self.received.get(..9)?;
        let length =
            usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
        let stream = u32::from_be_bytes([header[5] & 0x7f, header[6], header[7], header[8]]);
        let (kind, flags) = (header[3], header[4]);
        if self.received.len() < 9 + length {
            return None;
        }
        let mut frame: Vec<u8> = self.received.drain(..9 + length).collect();
        let payload = frame.split_off(9);
        Some(Frame { kind, flags, stream, payload })
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
        let mut rest = &self.received[..];
        while let Some(header) = rest.get(..9) {
            if header[3] == kind::GOAWAY {
                return true;
            }
            let length =
                usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
            rest = rest.get(9 + length..).unwrap_or_default();
        }
        false
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
