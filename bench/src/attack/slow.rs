//! Connections that keep the proxy waiting.

use super::{Options, Shared, connect};
use std::{rc::Rc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout_at},
};

/// What is slow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Head,
    Body,
    Read,
}

/// The smallest receive buffer that the kernel grants.
const RECEIVE: u32 = 2048;

pub(super) async fn run(
    options: &Options,
    until: Instant,
    struck: &Shared,
    kind: Kind,
) -> anyhow::Result<()> {
    let receive = (kind == Kind::Read).then_some(RECEIVE);
    let first: &[u8] = match kind {
        Kind::Head => b"GET /attack HTTP/1.1\r\nhost: localhost\r\n",
        Kind::Body => {
            b"POST /attack HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\nx"
        }
        Kind::Read => b"GET /1m HTTP/1.1\r\nhost: localhost\r\n\r\n",
    };
    let mut tasks = Vec::new();
    for _ in 0..options.connections {
        let Ok(mut stream) = connect(options.address, receive, struck).await else { continue };
        if stream.write_all(first).await.is_err() {
            struck.borrow_mut().ended += 1;
            continue;
        }
        struck.borrow_mut().bytes += first.len() as u64;
        let struck = Rc::clone(struck);
        tasks.push(tokio::task::spawn_local(async move {
            if timeout_at(until, wait(stream, kind, &struck)).await.is_ok() {
                struck.borrow_mut().ended += 1;
            }
        }));
    }
    println!("ready");
    for task in tasks {
        task.await?;
    }
    Ok(())
}

/// Until the proxy has enough.
async fn wait(mut stream: TcpStream, kind: Kind, struck: &Shared) {
    let mut buffer = [0; 512];
    let line = b"x-slow: y\r\n";
    match kind {
        Kind::Head => loop {
            tokio::select! {
                read = stream.read(&mut buffer) => {
                    if !matches!(read, Ok(count) if count > 0) {
                        return;
                    }
                }
                () = tokio::time::sleep(Duration::from_secs(2)) => {
                    if stream.write_all(line).await.is_err() {
                        return;
                    }
                    struck.borrow_mut().bytes += line.len() as u64;
                }
            }
        },
        Kind::Body => while matches!(stream.read(&mut buffer).await, Ok(count) if count > 0) {},
        // Nothing is read, so the end is not seen either.
        Kind::Read => std::future::pending().await,
    }
}
