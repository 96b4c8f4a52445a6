//! A client that sends exactly the bytes it is given and reads answers strictly.

use crate::{
    DEADLINE,
    wire::{Body, Framing, Head, Reader, WireError, invalid},
};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

/// One connection. Every wait ends after [`DEADLINE`].
pub struct Client {
    reader: Reader<Stream>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }
}

/// A final response, with the interim ones that came before it.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// Status line and fields.
    pub head: Head,
    /// How the body ended.
    pub framing: Framing,
    /// Content, chunks and trailers.
    pub body: Body,
    /// The 1xx responses before it, in order.
    pub interim: Vec<Head>,
}

impl Response {
    /// The first value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.content).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body.content)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {:?}", self.text()))
    }
}

impl Client {
    /// A plain connection.
    #[must_use]
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Self {
        Self { reader: Reader::new(Stream::Plain(tcp(address))) }
    }

    /// A TLS connection for `server_name`, handshake included.
    ///
    /// # Errors
    /// The handshake's, alerts of the peer included.
    pub fn connect_tls(
        address: SocketAddr,
        server_name: &str,
        config: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let name = ServerName::try_from(server_name.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, tcp(address));
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self { reader: Reader::new(Stream::Tls(Box::new(stream))) })
    }

    /// The peer's certificate (DER) on a TLS connection.
    #[must_use]
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        match &self.reader.source {
            Stream::Plain(_) => None,
            Stream::Tls(tls) => tls.conn.peer_certificates()?.first().map(|cert| cert.to_vec()),
        }
    }

    /// Whether the TLS handshake continued an earlier session.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        match &self.reader.source {
            Stream::Plain(_) => false,
            Stream::Tls(tls) => tls.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        }
    }

    /// Our address.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.reader.source.tcp().local_addr().expect("a bound socket")
    }

    /// Sends bytes in one write.
    ///
    /// # Errors
    /// The socket's; a peer that has closed is a normal case in tests of bad input.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.reader.source {
            Stream::Plain(tcp) => tcp.write_all(bytes),
            Stream::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        }
    }

    /// Sends bytes in one write.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes.as_ref()).expect("the peer takes the bytes");
        self
    }

    /// Sends byte by byte, each in a write (and, with no delay set, a segment) of its own. Stops quietly when the peer has closed.
    pub fn send_bytewise(&mut self, bytes: &[u8]) -> &mut Self {
        for byte in bytes {
            if self.try_send(std::slice::from_ref(byte)).is_err() {
                break;
            }
        }
        self
    }

    /// Sends in pieces of 1 to 64 bytes that follow from `seed` alone. Stops quietly when the peer has closed.
    pub fn send_split(&mut self, bytes: &[u8], seed: u64) -> &mut Self {
        for piece in split(bytes, seed) {
            if self.try_send(piece).is_err() {
                break;
            }
        }
        self
    }

    /// Reads the final response to a request with this method.
    ///
    /// # Errors
    /// A response that breaks a rule, or an end or a deadline within it.
    pub fn read_response(&mut self, method: &str) -> Result<Response, WireError> {
        let mut interim = Vec::new();
        loop {
            let head = self.reader.head()?;
            let (status, reason) = status_line(&head.start)?;
            if (100..200).contains(&status) && status != 101 {
                if head.declared()?.is_some() {
                    return Err(invalid("an interim response with a body"));
                }
                interim.push(head);
                continue;
            }
            let framing = response_framing(method, status, &head)?;
            let (body, result) = self.reader.body(framing);
            result?;
            return Ok(Response { status, reason, head, framing, body, interim });
        }
    }

    /// As [`Client::read_response`]; a bad or missing response fails the test.
    #[track_caller]
    pub fn response(&mut self, method: &str) -> Response {
        match self.read_response(method) {
            Ok(response) => response,
            Err(error) => panic!("no response to {method}: {error}"),
        }
    }

    /// Reads one head, interim or final, and nothing of its body.
    ///
    /// # Errors
    /// As [`Client::read_response`].
    pub fn read_head(&mut self) -> Result<Head, WireError> {
        self.reader.head()
    }

    /// `GET path` with this host, on this connection.
    #[track_caller]
    pub fn get(&mut self, host: &str, path: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n")).response("GET")
    }

    /// Reads exactly `count` bytes, as after an upgrade.
    #[track_caller]
    pub fn read_exact(&mut self, count: usize) -> Vec<u8> {
        let length = u64::try_from(count).expect("a length");
        let (body, result) = self.reader.body(Framing::Length(length));
        if let Err(error) = result {
            panic!("{error}: got {:?}", String::from_utf8_lossy(&body.content));
        }
        body.content
    }

    /// Reads until the peer closes; an abrupt end (a reset) is an end as well.
    ///
    /// # Panics
    /// When the peer keeps the connection open past the deadline.
    #[track_caller]
    pub fn read_to_end(&mut self) -> Vec<u8> {
        match self.reader.body(Framing::UntilClose) {
            (body, Ok(()) | Err(WireError::Cut(_))) => body.content,
            (_, Err(error)) => panic!("the peer did not close: {error}"),
        }
    }

    /// Whether the peer closes (or resets) without sending anything more.
    #[track_caller]
    pub fn is_closed_by_peer(&mut self) -> bool {
        self.read_to_end().is_empty()
    }

    /// Whether nothing comes for `quiet`: the connection stays open and silent.
    ///
    /// It is for asserting an absence and costs its whole time when the code is right: keep it short.
    pub fn is_silent(&mut self, quiet: Duration) -> bool {
        self.reader.source.tcp().set_read_timeout(Some(quiet)).expect("a timeout");
        let silent = matches!(self.reader.fill(), Err(WireError::TimedOut));
        self.reader.source.tcp().set_read_timeout(Some(DEADLINE)).expect("a timeout");
        silent
    }

    /// Ends our direction and keeps reading.
    pub fn shutdown_write(&mut self) -> &mut Self {
        if let Stream::Tls(tls) = &mut self.reader.source {
            tls.conn.send_close_notify();
            // The peer may be gone already; then there is nobody to tell.
            drop(tls.flush());
        }
        drop(self.reader.source.tcp().shutdown(Shutdown::Write));
        self
    }

    /// Ends the connection with a TCP reset.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(self.reader.source.tcp());
        socket.set_linger(Some(Duration::ZERO)).expect("linger");
    }
}

/// `GET path` on a connection of its own.
#[must_use]
#[track_caller]
pub fn get(address: SocketAddr, host: &str, path: &str) -> Response {
    Client::connect(address).get(host, path)
}

/// Pieces of 1 to 64 bytes that follow from `seed` alone (xorshift64*).
pub fn split(bytes: &[u8], seed: u64) -> impl Iterator<Item = &[u8]> {
    let mut state = seed | 1;
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let random = state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 58;
        let size = usize::try_from(random).unwrap_or(0) + 1;
        let (piece, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        Some(piece)
    })
}

fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, DEADLINE)
        .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
    stream.set_nodelay(true).expect("no delay");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

fn status_line(line: &str) -> Result<(u16, String), WireError> {
    let bad = || invalid(format!("status line {line:?}"));
    let rest = line.strip_prefix("HTTP/1.1 ").ok_or_else(bad)?;
    let (code, reason) = rest.split_once(' ').ok_or_else(bad)?;
    if code.len() != 3 || !code.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(bad());
    }
    let status = code.parse().map_err(|_| bad())?;
    if !(100..600).contains(&status) {
        return Err(bad());
    }
    Ok((status, reason.to_owned()))
}

/// RFC 9112, 6.3.
fn response_framing(method: &str, status: u16, head: &Head) -> Result<Framing, WireError> {
    let declared = head.declared()?;
    if status == 101 || status == 204 {
        return match declared {
            None => Ok(Framing::None),
            Some(_) => Err(invalid(format!("a {status} with {declared:?}"))),
        };
    }
    if method == "HEAD" || status == 304 {
        return Ok(Framing::None);
    }
    Ok(declared.unwrap_or(Framing::UntilClose))
}
