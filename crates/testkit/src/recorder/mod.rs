//! A backend on a real socket that writes down what it received and answers by script.
//!
//! Each request is read strictly ([`crate::wire`]); what breaks a rule is a problem, and a problem that nobody asked for fails the test when the recorder is dropped.
//!
//! ```
//! use testkit::{raw, recorder::{Recorder, Reply}};
//!
//! let backend = Recorder::start();
//! backend.script(Reply::status(503, &[("retry-after", "1")], "later"));
//! assert_eq!(raw::get(backend.addr(), "a.example", "/x").status, 503);
//! assert_eq!(raw::get(backend.addr(), "a.example", "/y?z").json()["path"], "/y?z");
//! assert_eq!(backend.requests()[0].target, "/x");
//! ```

mod hostile;
mod reply;
mod serve;

pub use hostile::hostile;
pub use reply::Reply;

use crate::{
    DEADLINE, ports,
    wire::{Body, Framing, Head},
};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::{BTreeMap, VecDeque},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Instant,
};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Which connection, counted from 0 in the order of accepting.
    pub connection: usize,
    /// The method.
    pub method: String,
    /// The request target, as sent.
    pub target: String,
    /// Request line and fields.
    pub head: Head,
    /// How the body was framed.
    pub framing: Framing,
    /// Content, chunks and trailers.
    pub body: Body,
    /// Whether the whole request arrived.
    pub complete: bool,
}

impl Recorded {
    /// The first value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body.content).into_owned()
    }
}

/// The backend; dropped, it closes its port and all its connections.
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    name: String,
    address: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requests: Vec<Recorded>,
    problems: Vec<String>,
    problems_seen: bool,
    queue: VecDeque<Reply>,
    by_path: Vec<(String, Reply)>,
    default: Option<Reply>,
    accepted: usize,
    open: BTreeMap<usize, Arc<TcpStream>>,
    stopped: bool,
    port_closed: bool,
}

impl Recorder {
    /// A recorder named `backend` on a loopback port of the kernel's choice.
    #[must_use]
    pub fn start() -> Self {
        Self::named("backend")
    }

    /// A recorder whose echo says `name`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::on(name, ports::listener())
    }

    /// A recorder on a listener that is bound already.
    #[must_use]
    pub fn on(name: &str, listener: TcpListener) -> Self {
        let address = listener.local_addr().expect("a bound listener");
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            address,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || serve::accept(listener, &accepting));
        Self { shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// The port of [`Recorder::addr`].
    #[must_use]
    pub fn port(&self) -> u16 {
        self.shared.address.port()
    }

    /// Queues the answer to the next request without one (after [`Recorder::on_path`] had its say).
    pub fn script(&self, reply: Reply) -> &Self {
        self.shared.state.lock().queue.push_back(reply);
        self
    }

    /// Answers every request whose target starts with `prefix` so; the rule that was added last wins.
    pub fn on_path(&self, prefix: &str, reply: Reply) -> &Self {
        self.shared.state.lock().by_path.push((prefix.to_owned(), reply));
        self
    }

    /// Answers every request that nothing else answers so, in place of the echo.
    pub fn always(&self, reply: Reply) -> &Self {
        self.shared.state.lock().default = Some(reply);
        self
    }

    /// The requests that arrived whole, by arrival of their heads.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        let state = self.shared.state.lock();
        state.requests.iter().filter(|request| request.complete).cloned().collect()
    }

    /// All requests whose head arrived.
    #[must_use]
    pub fn heads(&self) -> Vec<Recorded> {
        self.shared.state.lock().requests.clone()
    }

    /// Waits until `count` whole requests arrived and returns them.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Recorded> {
        self.wait(&format!("{count} requests"), |state| {
            state.requests.iter().filter(|request| request.complete).count() >= count
        });
        self.requests()
    }

    /// Waits until the heads of `count` requests arrived and returns them.
    #[track_caller]
    pub fn wait_for_heads(&self, count: usize) -> Vec<Recorded> {
        self.wait(&format!("{count} heads"), |state| state.requests.len() >= count);
        self.heads()
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state.lock().accepted
    }

    /// How many connections are open.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.shared.state.lock().open.len()
    }

    /// Waits until exactly `count` connections are open.
    #[track_caller]
    pub fn wait_for_open(&self, count: usize) {
        self.wait(&format!("{count} open connections"), |state| state.open.len() == count);
    }

    /// What was wrong with requests so far. Asking takes the responsibility from the drop check.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut state = self.shared.state.lock();
        state.problems_seen = true;
        state.problems.clone()
    }

    /// Waits for a problem, for tests of this kit and of peers that send rubbish.
    #[track_caller]
    pub fn wait_for_problem(&self) -> Vec<String> {
        self.wait("a problem", |state| !state.problems.is_empty());
        self.problems()
    }

    /// Closes the port and every connection; connecting is refused from now on.
    #[track_caller]
    pub fn stop(&self) {
        self.shared.stop();
        self.wait("the closed port", |state| state.port_closed);
    }

    #[track_caller]
    fn wait(&self, what: &str, done: impl Fn(&State) -> bool) {
        let until = Instant::now() + DEADLINE;
        let mut state = self.shared.state.lock();
        while !done(&state) {
            let timed_out = self.shared.changed.wait_until(&mut state, until).timed_out();
            if timed_out && !done(&state) {
                let seen: Vec<&str> =
                    state.requests.iter().map(|request| request.head.start.as_str()).collect();
                panic!(
                    "{}: waited {DEADLINE:?} for {what}; heads {seen:?}, problems {:?}",
                    self.shared.name, state.problems
                );
            }
        }
    }
}

impl Shared {
    fn stop(&self) {
        let connections = {
            let mut state = self.state.lock();
            if std::mem::replace(&mut state.stopped, true) {
                return;
            }
            state.open.values().cloned().collect::<Vec<_>>()
        };
        for connection in connections {
            // It may be closed by the peer already.
            drop(connection.shutdown(Shutdown::Both));
        }
        // Wakes the accepting thread; when that fails it is gone.
        drop(TcpStream::connect(self.address));
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.stop();
        let state = self.shared.state.lock();
        if !state.problems_seen && !state.problems.is_empty() && !std::thread::panicking() {
            panic!("{}: invalid requests arrived: {:?}", self.shared.name, state.problems);
        }
    }
}
