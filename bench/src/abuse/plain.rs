//! Single requests by hand, each on a connection of its own.

use anyhow::{Context as _, ensure};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// The body of the answer to GET, which must be 200 and come within a second.
pub(super) fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let limit = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    // What is asked for here fits one piece; the backend does not know `connection: close`.
    while memchr::memmem::find(&answer, b"\r\n\r\n").is_none() {
        let count = stream.read(&mut piece)?;
        ensure!(count > 0, "the connection ended");
        answer.extend_from_slice(piece.get(..count).unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    ensure!(text.starts_with("HTTP/1.1 200 "), "{}", text.lines().next().unwrap_or_default());
    let (_, body) = text.split_once("\r\n\r\n").context("no body")?;
    Ok(body.to_owned())
}

/// A thread that asks again and again; counts answers and failures.
pub(super) struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, u64)>,
}

impl Probe {
    pub(super) fn start(address: SocketAddr, path: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut answered, mut failed) = (0, 0);
            while !stopped.load(Ordering::Relaxed) {
                match get(address, path) {
                    Ok(_) => answered += 1,
                    Err(_) => failed += 1,
                }
                std::thread::sleep(Duration::from_millis(100));
            }
            (answered, failed)
        });
        Self { stop, thread }
    }

    pub(super) fn stop(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or((0, 1))
    }
}
