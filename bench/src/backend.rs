//! The backend behind every proxy: fixed responses, one thread, as little work as possible.

use anyhow::Context as _;
use memchr::memmem;
use std::{net::SocketAddr, rc::Rc};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::LocalSet,
};

const SMALL: usize = 1024;
const LARGE: usize = 100 * 1024;

pub(crate) fn run(address: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(address))
}

async fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address).with_context(|| format!("cannot bind {address}"))?;
    let listener = socket.listen(4096)?;
    let responses = Rc::new((response(SMALL), response(LARGE)));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let responses = Rc::clone(&responses);
        tokio::task::spawn_local(async move {
            // A peer that is gone is the normal end of a connection.
            drop(connection(stream, &responses.0, &responses.1).await);
        });
    }
}

async fn connection(mut stream: TcpStream, small: &[u8], large: &[u8]) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    while stream.read_buf(&mut buffer).await? > 0 {
        while let Some(end) = memmem::find(&buffer, b"\r\n\r\n") {
            let response = if buffer.starts_with(b"GET /100k") { large } else { small };
            stream.write_all(response).await?;
            buffer.drain(..end + 4);
        }
    }
    Ok(())
}

fn response(size: usize) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nserver: bench\r\ncontent-type: text/plain\r\ncontent-length: {size}\r\n\r\n"
    )
    .into_bytes();
    bytes.resize(bytes.len() + size, b'x');
    bytes
}
