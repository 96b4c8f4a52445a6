//! A backend of HTTP/2 that answers with frames written by hand ([`super::script`]), for tests of
//! what a gateway does with answers that no honest backend sends.

use super::{Frame, kind, script};
use crate::{DEADLINE, ports};
use parking_lot::{Condvar, Mutex};
use std::{
    collections::VecDeque,
    io::{Read, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    time::Instant,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One scripted answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The frames, in the words of [`super::script`], written when the head of a request has come.
    /// A script that begins with `raw` takes the place of our SETTINGS, too.
    pub script: String,
    /// In writes of one byte.
    pub bytewise: bool,
    /// The connection is closed behind the frames.
    pub closes: bool,
}

/// The backend; dropped, it closes its port and all its connections. A request without a scripted
/// answer gets 200 and `ok`.
pub struct RawBackend {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    answers: VecDeque<Answer>,
    /// The connection of each request.
    requests: Vec<usize>,
    open: Vec<(usize, Arc<TcpStream>)>,
    accepted: usize,
    stopped: bool,
}

impl RawBackend {
    /// A backend on a loopback port of the kernel's choice.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn start() -> Self {
        let listener = ports::listener();
        let address = listener.local_addr().expect("a bound listener");
        let shared = Arc::new(Shared { address, state: Mutex::default(), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &accepting));
        Self { shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// Queues the answer to a request that has none.
    pub fn script(&self, answer: Answer) {
        self.shared.state.lock().answers.push_back(answer);
    }

    /// Which connection, counted from 0, each request came on.
    #[must_use]
    pub fn requests(&self) -> Vec<usize> {
        self.shared.state.lock().requests.clone()
    }

    /// Waits until no connection but the last one is open.
    ///
    /// # Panics
    /// When that does not happen within [`DEADLINE`].
    pub fn wait_for_one_open(&self) {
        let until = Instant::now() + DEADLINE;
        let mut state = self.shared.state.lock();
        while state.open.len() > 1 {
            let timed_out = self.shared.changed.wait_until(&mut state, until).timed_out();
            assert!(!timed_out, "{} connections are open", state.open.len());
        }
    }
}

impl Drop for RawBackend {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.stopped = true;
        for (_, stream) in &state.open {
            // The peer may have closed it already.
            drop(stream.shutdown(Shutdown::Both));
        }
        drop(state);
        // Wakes the accepting thread; when that fails it is gone.
        drop(TcpStream::connect(self.shared.address));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let mut state = shared.state.lock();
        if state.stopped {
            return;
        }
        let Ok(stream) = stream else { continue };
        let stream = Arc::new(stream);
        let number = state.accepted;
        state.accepted += 1;
        state.open.push((number, Arc::clone(&stream)));
        drop(state);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // An end of the connection is what the tests look at, however it comes.
            let _ended = serve(&shared, number, &stream);
            drop(stream.shutdown(Shutdown::Both));
            shared.state.lock().open.retain(|(open, _)| *open != number);
            shared.changed.notify_all();
        });
    }
}

/// Reads frames and answers each request's head; ends with the connection.
fn serve(shared: &Shared, number: usize, mut stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface)?;
    let greets = {
        let state = shared.state.lock();
        state.answers.front().is_none_or(|answer| !answer.script.starts_with("raw"))
    };
    if greets {
        stream.write_all(&Frame::new(kind::SETTINGS, 0, 0, b"").bytes())?;
    }
    loop {
        let frame = read(stream)?;
        if frame.kind != kind::HEADERS {
            continue;
        }
        let answer = {
            let mut state = shared.state.lock();
            state.requests.push(number);
            state.answers.pop_front()
        };
        let Some(answer) = answer else {
            let id = frame.stream;
            stream.write_all(&script::bytes(&format!("answer@{id} | data@{id} ok end")))?;
            continue;
        };
        let bytes = script::bytes(&answer.script);
        let size = if answer.bytewise { 1 } else { bytes.len().max(1) };
        for piece in bytes.chunks(size) {
            stream.write_all(piece)?;
        }
        if answer.closes {
            return Ok(());
        }
    }
}

fn read(mut stream: &TcpStream) -> std::io::Result<Frame> {
    let mut header = [0; 9];
    stream.read_exact(&mut header)?;
    let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
    let id = u32::from_be_bytes([header[5] & 0x7f, header[6], header[7], header[8]]);
    let mut payload = vec![0; usize::try_from(length).expect("a length")];
    stream.read_exact(&mut payload)?;
    Ok(Frame { kind: header[3], flags: header[4], stream: id, payload })
}
