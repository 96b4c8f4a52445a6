//! The least HTTP/1.1 client that counts answers.

use super::{Options, Protocol, client_config, server_name};
use std::{io, pin::Pin, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// A plain or TLS stream.
pub(super) trait Stream: AsyncRead + AsyncWrite {}
impl<T: AsyncRead + AsyncWrite> Stream for T {}

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector {
    address: std::net::SocketAddr,
    tls: Option<(TlsConnector, rustls::pki_types::ServerName<'static>)>,
}

impl Connector {
    pub(super) fn new(options: &Options) -> anyhow::Result<Self> {
        let tls = match &options.trust {
            Some(trust) => {
                let http2 = matches!(options.protocol, Protocol::Http2 | Protocol::Grpc);
                Some((TlsConnector::from(client_config(trust, http2)?), server_name()?))
            }
            None => None,
        };
        Ok(Self { address: options.address, tls })
    }

    /// A connection, with TLS where it is asked for.
    pub(super) async fn stream(&self) -> io::Result<Pin<Box<dyn Stream>>> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            Some((connector, name)) => Box::pin(connector.connect(name.clone(), stream).await?),
            None => Box::pin(stream),
        })
    }

    pub(super) async fn connect(&self) -> io::Result<Connection> {
        let stream = self.stream().await?;
        Ok(Connection { stream, buffer: Vec::with_capacity(4096) })
    }
}

pub(super) struct Connection {
    stream: Pin<Box<dyn Stream>>,
    buffer: Vec<u8>,
}

impl Connection {
    /// Sends `request` and reads its whole answer; the status code.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        let head = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
        };
        let (status, length) = parse(self.buffer.get(..head).unwrap_or_default())?;
        while self.buffer.len() < head + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(status)
    }

    /// Returns when the peer closes the idle connection (or speaks without being asked).
    pub(super) async fn closed(&mut self) {
        // Whatever comes, the connection cannot be used any more.
        drop(self.stream.read_u8().await);
    }
}

/// Status and content length; without a length there is no body.
fn parse(head: &[u8]) -> io::Result<(u16, usize)> {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or(io::ErrorKind::InvalidData)?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().ok()).flatten()
    });
    Ok((status, length.unwrap_or(0)))
}

pub(super) fn request(host: &str, path: &str, close: bool) -> Arc<[u8]> {
    let close = if close { "connection: close\r\n" } else { "" };
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: bench\r\n{close}\r\n")
        .into_bytes()
        .into()
}
