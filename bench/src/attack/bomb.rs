//! Memory: fields that decode to far more than they take on the wire, and answers that nobody takes.

use super::{
    Options, Shared, connect,
    frames::{self, Watch, frame},
};
use std::{rc::Rc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, tcp::OwnedWriteHalf},
    time::{Instant, timeout_at},
};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Half of the connections send blocks of some thousand references, half stay within usual limits.
    Fields,
    /// Plain requests for large answers.
    Answers,
}

/// Requests in progress on a connection.
const STREAMS: u32 = 100;
/// References to one field of nearly the whole dynamic table: 16 MiB in 12 KiB.
const MANY: usize = 4_000;
const LARGE: usize = 4_000;
/// References that stay within 100 fields and 32 KiB.
const FEW: usize = 90;
const SMALL: usize = 300;

pub(super) async fn run(
    options: &Options,
    until: Instant,
    struck: &Shared,
    kind: Kind,
) -> anyhow::Result<()> {
    println!("ready");
    let mut tasks = Vec::new();
    for number in 0..options.connections {
        let (options, struck) = (options.clone(), Rc::clone(struck));
        let within = number % 2 == 0 || kind == Kind::Answers;
        tasks.push(tokio::task::spawn_local(async move {
            while Instant::now() < until {
                let connected = connect(options.address, None, &struck).await;
                let Ok(stream) = connected else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                match timeout_at(until, connection(stream, kind, within, &struck)).await {
                    Err(_) => return,
                    Ok(()) => struck.borrow_mut().ended += 1,
                }
                // Those that are thrown out at once are not to be a flood of connections.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }));
    }
    for task in tasks {
        task.await?;
    }
    Ok(())
}

/// One connection until the proxy ends it.
async fn connection(stream: TcpStream, kind: Kind, within: bool, struck: &Shared) {
    let (mut read, write) = stream.into_split();
    let watch = async {
        let mut buffer = vec![0; 16 * 1024];
        let mut watch = Watch::default();
        while let Ok(count) = read.read(&mut buffer).await {
            if count == 0 || watch.saw_goaway(buffer.get(..count).unwrap_or_default()) {
                return;
            }
        }
    };
    tokio::select! {
        () = watch => {}
        () = write_on(write, kind, within, struck) => {}
    }
}

async fn write_on(mut write: OwnedWriteHalf, kind: Kind, within: bool, struck: &Shared) {
    let mut bytes = frames::preface(0);
    for number in 0..STREAMS {
        let mut block = frames::request(false, "/100k");
        if kind == Kind::Fields {
            let (times, size) = if within { (FEW, SMALL) } else { (MANY, LARGE) };
            if number == 0 {
                frames::field(&mut block, true, "a", &vec![b'x'; size]);
            }
            // The newest field of the dynamic table (RFC 7541 section 2.3.3).
            block.resize(block.len() + times, 0x80 | 62);
        }
        let whole = frames::END_STREAM | frames::END_HEADERS;
        frame(&mut bytes, frames::HEADERS, whole, 2 * number + 1, &block);
        if write.write_all(&bytes).await.is_err() {
            return;
        }
        struck.borrow_mut().bytes += bytes.len() as u64;
        bytes.clear();
    }
    loop {
        // A byte for each answer, so that none of them is idle.
        tokio::time::sleep(Duration::from_secs(1)).await;
        for number in 0..STREAMS {
            let one = 1_u32.to_be_bytes();
            frame(&mut bytes, frames::WINDOW_UPDATE, frames::NONE, 2 * number + 1, &one);
        }
        if write.write_all(&bytes).await.is_err() {
            return;
        }
        struck.borrow_mut().bytes += bytes.len() as u64;
        bytes.clear();
    }
}
