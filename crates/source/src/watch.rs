//! Tells when files may have changed.
//!
//! Folders are watched, not files, so that an editor's rename and the symlink swap of a mounted
//! ConfigMap are seen. An event says only "read again"; those are passed by that tell of bytes
//! written to a file that is no input, such as a log beside the folder. A slow comparison finds
//! changes where the file system sends no events.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _, event::ModifyKind};
use parking_lot::Mutex;

use crate::{
    files::{self, Expansion, Stamp},
    limits,
};

/// Watches PATHs until it is dropped. It owns one thread.
#[derive(Debug)]
pub struct Watcher {
    control: Sender<Message>,
    thread: Option<JoinHandle<()>>,
    events_missing: Option<String>,
}

enum Message {
    /// Something happened in a watched folder.
    Event,
    Stop,
}

/// How often and how patiently to look; see [`limits`] for the defaults.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Quiet time after an event before the signal is given.
    pub quiet: Duration,
    /// Longest wait for that quiet time.
    pub longest: Duration,
    /// Interval of the comparison.
    pub poll: Duration,
    /// Whether to use the file system's events at all.
    pub events: bool,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            quiet: limits::DEBOUNCE_QUIET,
            longest: limits::DEBOUNCE_LONGEST,
            poll: limits::POLL_INTERVAL,
            events: true,
        }
    }
}

impl Watcher {
    /// Watches `paths` (`-` is passed by). Every change after this returns is followed by a
    /// signal; several changes may share one. The channel holds at most one signal.
    pub fn new(paths: &[PathBuf]) -> (Self, Receiver<()>) {
        Self::with_timing(paths, Timing::default())
    }

    /// As [`Watcher::new`], with other times.
    pub fn with_timing(paths: &[PathBuf], timing: Timing) -> (Self, Receiver<()>) {
        let paths: Vec<PathBuf> =
            paths.iter().filter(|path| path.as_os_str() != "-").cloned().collect();
        let (control, messages) = mpsc::channel();
        let (signal, signals) = mpsc::sync_channel(1);
        let events = control.clone();
        let inputs = Inputs::default();
        let known = inputs.clone();
        let inotify = if timing.events {
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                if event.map_or(true, |event| known.concern(&event)) {
                    // The other end is gone only when the watcher is being dropped.
                    drop(events.send(Message::Event));
                }
            })
            .map_err(|error| error.to_string())
        } else {
            Err("not asked for".to_owned())
        };
        let events_missing = inotify.as_ref().err().cloned();
        let mut state = State {
            paths,
            timing,
            notify: inotify.ok(),
            folders: BTreeSet::new(),
            snapshot: Stamps::new(),
            inputs,
        };
        state.look();
        let thread = thread::Builder::new()
            .name("file-watch".to_owned())
            .spawn(move || state.run(&messages, &signal));
        let (thread, events_missing) = match thread {
            Ok(thread) => (Some(thread), events_missing),
            Err(error) => (None, Some(format!("no thread to watch files: {error}"))),
        };
        (Self { control, thread, events_missing }, signals)
    }

    /// Why there are no events from the file system, so that changes are found by the slow
    /// comparison only.
    pub fn events_missing(&self) -> Option<&str> {
        self.events_missing.as_deref()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Fails only when the thread is gone already.
        drop(self.control.send(Message::Stop));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Names of the files that are input, without their folders.
#[derive(Clone, Default)]
struct Inputs(Arc<Mutex<BTreeSet<OsString>>>);

impl Inputs {
    fn set(&self, expansion: &Expansion, paths: &[PathBuf]) {
        let files = expansion.files.iter().map(|file| &file.path).chain(&expansion.real);
        let names = files.chain(paths).filter_map(|path| path.file_name());
        let names = names.map(OsString::from).collect();
        *self.0.lock() = names;
    }

    /// Whether an event may be about an input. Reading a file is an event too, and we read them.
    fn concern(&self, event: &notify::Event) -> bool {
        if matches!(event.kind, EventKind::Access(_)) {
            return false;
        }
        if !matches!(event.kind, EventKind::Modify(ModifyKind::Data(_))) || event.need_rescan() {
            return true;
        }
        let names = self.0.lock();
        event.paths.iter().any(|path| {
            files::has_extension(path) || path.file_name().is_none_or(|name| names.contains(name))
        })
    }
}

type Stamps = BTreeSet<(PathBuf, Option<Stamp>)>;

struct State {
    paths: Vec<PathBuf>,
    timing: Timing,
    notify: Option<RecommendedWatcher>,
    /// The folders that are watched.
    folders: BTreeSet<PathBuf>,
    /// The state of every file at the last look.
    snapshot: Stamps,
    inputs: Inputs,
}

impl State {
    fn run(mut self, messages: &Receiver<Message>, signal: &SyncSender<()>) {
        let mut interval = self.timing.poll;
        loop {
            match messages.recv_timeout(interval) {
                Ok(Message::Event) => {
                    if !self.settle(messages) {
                        return;
                    }
                    self.look();
                    give(signal);
                }
                Err(RecvTimeoutError::Timeout) => {
                    let start = Instant::now();
                    if self.look() {
                        give(signal);
                    }
                    // A look at many files costs; it may take at most about half a percent of
                    // the time.
                    interval = self.timing.poll.max(start.elapsed().saturating_mul(200));
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Waits for a quiet moment. False when the watcher is being dropped.
    fn settle(&self, messages: &Receiver<Message>) -> bool {
        let start = Instant::now();
        loop {
            let left = self.timing.longest.saturating_sub(start.elapsed());
            match messages.recv_timeout(self.timing.quiet.min(left)) {
                Ok(Message::Event) if left.is_zero() => return true,
                Ok(Message::Event) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// Takes stock of the files, and watches every folder they are in. True if something changed.
    fn look(&mut self) -> bool {
        let mut expansion;
        loop {
            expansion = files::expand(&self.paths);
            let mut folders: BTreeSet<PathBuf> = expansion.folders.iter().cloned().collect();
            for path in &self.paths {
                folders.extend(parent(path));
                // The file that a link leads to may be changed in its own folder.
                folders.extend(fs::canonicalize(path).ok().as_deref().and_then(parent));
            }
            if let Some(notify) = &mut self.notify {
                // All of them each time: a folder may have been replaced by another of its name.
                for folder in &folders {
                    // A folder that cannot be watched is left to the comparison.
                    drop(notify.watch(folder, RecursiveMode::NonRecursive));
                }
            }
            // What was made in a new folder before it was watched shows at the next round.
            let new = folders.iter().any(|folder| !self.folders.contains(folder));
            self.folders = folders;
            if !new {
                break;
            }
        }
        self.inputs.set(&expansion, &self.paths);
        let stamps: Stamps = expansion
            .files
            .iter()
            .map(|file| (file.path.clone(), fs::metadata(&file.path).ok().map(|m| Stamp::of(&m))))
            .collect();
        let changed = stamps != self.snapshot;
        self.snapshot = stamps;
        changed
    }
}

fn parent(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    let here = parent.as_os_str().is_empty();
    Some(if here { PathBuf::from(".") } else { parent.to_owned() })
}

fn give(signal: &SyncSender<()>) {
    // Full: a signal waits already. Disconnected: nobody listens any more.
    signal.try_send(()).ok();
}
