//! HTTP/1.1: a request ends with its head, or with the body that its head announces.

use super::{Attacks, body};
use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Whole responses, made once.
pub(super) struct Responses {
    small: Vec<u8>,
    large: Vec<u8>,
    larger: Vec<u8>,
    largest: Vec<u8>,
}

impl Responses {
    pub(super) fn new() -> Self {
        let of = |path: &[u8]| response(&vec![b'x'; body(path)]);
        Self { small: of(b"/"), large: of(b"/100k"), larger: of(b"/1m"), largest: of(b"/4m") }
    }

    fn get(&self, path: &[u8]) -> &[u8] {
        if path.starts_with(b"/100k") {
            &self.large
        } else if path.starts_with(b"/1m") {
            &self.larger
        } else if path.starts_with(b"/4m") {
            &self.largest
        } else {
            &self.small
        }
    }
}

fn response(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nserver: bench\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

pub(super) async fn connection<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    responses: &Responses,
    attacks: &Attacks,
) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    while stream.read_buf(&mut buffer).await? > 0 {
        while let Some(end) = memmem::find(&buffer, b"\r\n\r\n") {
            let head = buffer.get(..end).unwrap_or_default();
            let path = head.splitn(3, |byte| *byte == b' ').nth(1).unwrap_or_default();
            if path.starts_with(b"/attack") {
                attacks.set(attacks.get() + 1);
            }
            let count = path.starts_with(b"/count").then(|| attacks.get().to_string());
            let path = path.to_vec();
            let framing = if head.starts_with(b"GET") { Framing::None } else { framing(head) };
            buffer.drain(..end + 4);
            skip(&mut stream, &mut buffer, framing).await?;
            match count {
                Some(count) => stream.write_all(&response(count.as_bytes())).await?,
                None => stream.write_all(responses.get(&path)).await?,
            }
            stream.flush().await?;
        }
    }
    Ok(())
}

/// Where a request ends.
enum Framing {
    None,
    Length(usize),
    Chunked,
}

fn framing(head: &[u8]) -> Framing {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    if text.contains("transfer-encoding: chunked") {
        return Framing::Chunked;
    }
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    length.map_or(Framing::None, Framing::Length)
}

/// Reads a body and forgets it. Clients of ours send one request at a time and no trailers.
async fn skip<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    framing: Framing,
) -> std::io::Result<()> {
    match framing {
        Framing::None => Ok(()),
        Framing::Length(mut left) => loop {
            let taken = left.min(buffer.len());
            buffer.drain(..taken);
            left -= taken;
            if left == 0 {
                return Ok(());
            }
            more(stream, buffer).await?;
        },
        Framing::Chunked => {
            while !buffer.ends_with(b"0\r\n\r\n") {
                // Only the end matters.
                buffer.drain(..buffer.len().saturating_sub(4));
                more(stream, buffer).await?;
            }
            buffer.clear();
            Ok(())
        }
    }
}

async fn more<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    match stream.read_buf(buffer).await? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
