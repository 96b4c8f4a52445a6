//! More connections than there is room for, each with an honest request.

use super::{Options, Shared, connect};
use std::{rc::Rc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};

const REQUEST: &[u8] = b"GET /x HTTP/1.1\r\nhost: localhost\r\n\r\n";
/// How long all of them stay at least, however long it took to open them.
const STAY: Duration = Duration::from_secs(5);
/// For the answer to one request.
const PATIENCE: Duration = Duration::from_secs(3);

/// Connections that make a request and stay until the end, or until the proxy closes them.
pub(super) async fn hold(options: &Options, until: Instant, struck: &Shared) -> anyhow::Result<()> {
    let (ready, opened) = tokio::sync::watch::channel(until);
    let mut tasks = Vec::new();
    for _ in 0..options.connections {
        let Ok(mut stream) = connect(options.address, None, struck).await else { continue };
        if exchange(&mut stream, struck).await {
            struck.borrow_mut().answered += 1;
        }
        let (struck, mut opened) = (Rc::clone(struck), opened.clone());
        tasks.push(tokio::task::spawn_local(async move {
            let mut buffer = [0; 512];
            let closed =
                async { while matches!(stream.read(&mut buffer).await, Ok(count) if count > 0) {} };
            let over = async {
                // It fails when nobody is left who could say more.
                drop(opened.changed().await);
                let until = *opened.borrow();
                tokio::time::sleep_until(until).await;
            };
            tokio::select! {
                () = closed => struck.borrow_mut().ended += 1,
                () = over => {}
            }
        }));
    }
    println!("ready");
    ready.send_replace(until.max(Instant::now() + STAY));
    for task in tasks {
        task.await?;
    }
    Ok(())
}

/// Connections that come, ask, stay for a moment and leave.
pub(super) async fn churn(
    options: &Options,
    until: Instant,
    struck: &Shared,
) -> anyhow::Result<()> {
    println!("ready");
    let mut tasks = Vec::new();
    for _ in 0..options.connections {
        let (address, struck) = (options.address, Rc::clone(struck));
        tasks.push(tokio::task::spawn_local(async move {
            while Instant::now() < until {
                if let Ok(mut stream) = connect(address, None, &struck).await {
                    let answered = exchange(&mut stream, &struck).await;
                    let mut struck = struck.borrow_mut();
                    if answered {
                        struck.answered += 1;
                    } else {
                        struck.ended += 1;
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }));
    }
    for task in tasks {
        task.await?;
    }
    Ok(())
}

/// Whether a request is answered 200.
async fn exchange(stream: &mut TcpStream, struck: &Shared) -> bool {
    let mut buffer = [0; 4096];
    let answer = async {
        stream.write_all(REQUEST).await?;
        stream.read(&mut buffer).await
    };
    let Ok(Ok(count)) = timeout(PATIENCE, answer).await else { return false };
    struck.borrow_mut().bytes += REQUEST.len() as u64;
    buffer.get(..count).unwrap_or_default().starts_with(b"HTTP/1.1 200 ")
}
