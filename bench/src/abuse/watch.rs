//! What the kernel says of the proxy during an attack, several times a second.

use crate::proc;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

const PERIOD: Duration = Duration::from_millis(50);

#[derive(Clone, Copy)]
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) rss_kib: u64,
    pub(super) files: usize,
}

/// A thread that samples until it is stopped.
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Sample>>,
}

impl Watch {
    /// `files` says whether open files are counted too, which takes longer.
    pub(super) fn start(pids: Vec<u32>, files: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut samples = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                samples.push(sample(&pids, files));
                std::thread::sleep(PERIOD);
            }
            samples
        });
        Self { stop, thread }
    }

    pub(super) fn stop(self) -> Vec<Sample> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

pub(super) fn sample(pids: &[u32], files: bool) -> Sample {
    Sample {
        at: Instant::now(),
        rss_kib: proc::rss_kib(pids),
        files: if files { proc::files(pids) } else { 0 },
    }
}
