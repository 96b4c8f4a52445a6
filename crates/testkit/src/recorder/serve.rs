//! The recorder's threads: one that accepts, one for each connection.

use super::{Recorded, Reply, Shared, reply::Step};
use crate::{
    DEADLINE,
    wire::{Body, Framing, Head, Reader, WireError, invalid, is_token},
};
use serde_json::json;
use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

pub(super) fn accept(listener: TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let mut state = shared.state.lock();
        if state.stopped {
            break;
        }
        let Ok(stream) = stream else { continue };
        let number = state.accepted;
        let stream = Arc::new(stream);
        state.accepted += 1;
        state.open.insert(number, Arc::clone(&stream));
        drop(state);
        shared.changed.notify_all();
        let shared = Arc::clone(shared);
        std::thread::spawn(move || connection(&shared, number, &stream));
    }
    drop(listener);
    shared.state.lock().port_closed = true;
    shared.changed.notify_all();
}

/// Takes a connection from the list of open ones when its thread ends, however it ends.
struct Closed<'a>(&'a Shared, usize);

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.0.state.lock().open.remove(&self.1);
        self.0.changed.notify_all();
    }
}

fn connection(shared: &Shared, number: usize, stream: &Arc<TcpStream>) {
    let _closed = Closed(shared, number);
    let set = stream
        .set_nodelay(true)
        .and_then(|()| stream.set_read_timeout(Some(DEADLINE)))
        .and_then(|()| stream.set_write_timeout(Some(DEADLINE)));
    if set.is_err() {
        return;
    }
    let mut one = Connection { shared, number, stream, reader: Reader::new(stream) };
    while one.request() {}
}

struct Connection<'a> {
    shared: &'a Shared,
    number: usize,
    stream: &'a TcpStream,
    reader: Reader<&'a TcpStream>,
}

impl Connection<'_> {
    /// One request and its reply; `false` when the connection is done.
    fn request(&mut self) -> bool {
        let head = match self.reader.head() {
            Ok(head) => head,
            // An idle connection is kept as long as the test runs.
            Err(WireError::TimedOut) => return !self.shared.state.lock().stopped,
            Err(WireError::Closed | WireError::Cut(_)) => return false,
            Err(error @ WireError::Invalid(_)) => return self.problem(&error),
        };
        let recorded = match parse(self.number, head) {
            Ok(recorded) => recorded,
            Err(error) => return self.problem(&error),
        };
        let reply = self.reply_to(&recorded);
        let index = {
            let mut state = self.shared.state.lock();
            state.requests.push(recorded);
            state.requests.len() - 1
        };
        self.shared.changed.notify_all();
        for step in reply.steps {
            if !self.step(step, index) {
                return false;
            }
        }
        self.read_body(index)
    }

    fn problem(&self, error: &WireError) -> bool {
        self.shared.state.lock().problems.push(error.to_string());
        self.shared.changed.notify_all();
        false
    }

    fn reply_to(&self, request: &Recorded) -> Reply {
        let mut state = self.shared.state.lock();
        let mut rules = state.by_path.iter().rev();
        if let Some((_, reply)) = rules.find(|(prefix, _)| request.target.starts_with(prefix)) {
            return reply.clone();
        }
        let queued = state.queue.pop_front();
        queued.or_else(|| state.default.clone()).unwrap_or_else(Reply::echo)
    }

    /// One step; `false` when the connection is done.
    fn step(&mut self, step: Step, index: usize) -> bool {
        match step {
            Step::ReadBody => self.read_body(index),
            Step::Echo => {
                let bytes = self.echo(index);
                self.write(&bytes)
            }
            Step::Bytes(bytes) => self.write(&bytes),
            Step::Dribble(bytes, size) => bytes.chunks(size).all(|piece| self.write(piece)),
            Step::Wait(gate) => gate.pass(),
            Step::EchoStream => {
                self.complete(index, Body::default());
                self.echo_stream();
                false
            }
            Step::HalfClose => {
                drop(self.stream.shutdown(Shutdown::Write));
                while matches!(self.reader.fill(), Ok(true)) {}
                false
            }
            Step::Close => {
                drop(self.stream.shutdown(Shutdown::Both));
                false
            }
            Step::Reset => {
                let socket = socket2::SockRef::from(self.stream);
                socket.set_linger(Some(Duration::ZERO)).expect("linger");
                false
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> bool {
        let mut stream = self.stream;
        stream.write_all(bytes).is_ok()
    }

    fn read_body(&mut self, index: usize) -> bool {
        let (framing, done) = {
            let state = self.shared.state.lock();
            let request = &state.requests[index];
            (request.framing, request.complete)
        };
        if done {
            return true;
        }
        match self.reader.body(framing) {
            (body, Ok(())) => {
                self.complete(index, body);
                true
            }
            (body, Err(error)) => {
                self.shared.state.lock().requests[index].body = body;
                if matches!(error, WireError::Invalid(_)) {
                    self.problem(&error);
                }
                self.shared.changed.notify_all();
                false
            }
        }
    }

    fn complete(&self, index: usize, body: Body) {
        let mut state = self.shared.state.lock();
        let request = &mut state.requests[index];
        request.body = body;
        request.complete = true;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Sends back what arrives, until the peer ends its direction.
    fn echo_stream(&mut self) {
        let early = self.reader.take_buffered();
        if !self.write(&early) {
            return;
        }
        let mut buffer = vec![0; 16 * 1024];
        let mut stream = self.stream;
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            if !self.write(buffer.get(..count).unwrap_or_default()) {
                return;
            }
        }
        drop(self.stream.shutdown(Shutdown::Both));
    }

    fn echo(&self, index: usize) -> Vec<u8> {
        let state = self.shared.state.lock();
        let request = &state.requests[index];
        let body = json!({
            "backend": self.shared.name,
            "connection": request.connection,
            "method": request.method,
            "path": request.target,
            "host": request.field("host"),
            "headers": request.head.fields,
            "body": request.text(),
            "trailers": request.body.trailers,
        });
        let body = body.to_string();
        let shown = if request.method == "HEAD" { "" } else { body.as_str() };
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{shown}",
            body.len()
        )
        .into_bytes()
    }
}

/// Request line, host and framing (RFC 9112, 3).
fn parse(connection: usize, head: Head) -> Result<Recorded, WireError> {
    let bad = |why: &str| invalid(format!("request line {:?}: {why}", head.start));
    let mut parts = head.start.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(bad("not three parts"));
    };
    if method.is_empty() || !method.bytes().all(is_token) {
        return Err(bad("the method is no token"));
    }
    if version != "HTTP/1.1" {
        return Err(bad("the version is not HTTP/1.1"));
    }
    if target.is_empty() || target.contains('#') {
        return Err(bad("no request target"));
    }
    let hosts = head.all("host").count();
    if hosts != 1 {
        return Err(bad(&format!("{hosts} host fields")));
    }
    let framing = head.declared()?.unwrap_or(Framing::None);
    let (method, target) = (method.to_owned(), target.to_owned());
    Ok(Recorded {
        connection,
        method,
        target,
        head,
        framing,
        body: Body::default(),
        complete: false,
    })
}
