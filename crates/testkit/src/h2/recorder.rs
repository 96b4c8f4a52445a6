//! An HTTP/2 backend (prior knowledge) on a real socket that writes down what it received and answers by script.

use super::{client::read_body, map, pairs};
use crate::{DEADLINE, ports};
use bytes::Bytes;
use h2::{
    Reason, RecvStream,
    server::{Builder, SendResponse},
};
use http::{Request, Response};
use parking_lot::{Condvar, Mutex};
use serde_json::json;
use std::{
    net::SocketAddr,
    sync::{Arc, mpsc},
    time::Instant,
};
use tokio::sync::{Notify, watch};

/// A request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Which connection, counted from 0.
    pub connection: usize,
    /// `:method`
    pub method: String,
    /// `:scheme`
    pub scheme: String,
    /// `:authority`
    pub authority: String,
    /// `:path`
    pub path: String,
    /// Fields, in order.
    pub headers: Vec<(String, String)>,
    /// Content.
    pub body: Vec<u8>,
    /// Trailers, in order.
    pub trailers: Vec<(String, String)>,
    /// The head ended the stream.
    pub ended_at_head: bool,
    /// The whole request arrived.
    pub complete: bool,
}

impl Seen {
    /// The first value of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        super::value(&self.headers, name)
    }
}

/// What the backend does with one request.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    status: u16,
    interim: Option<u16>,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    trailers: Vec<(String, String)>,
    reset: Option<Reason>,
    abort: Option<Reason>,
    goaway: bool,
    held: Option<watch::Receiver<bool>>,
}

impl Reply {
    /// A response with a body.
    #[must_use]
    pub fn status(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self { status, body: Some(body.as_ref().to_vec()), ..Self::default() }
    }

    /// A response that is a head and nothing more.
    #[must_use]
    pub fn head(status: u16, headers: &[(&str, &str)]) -> Self {
        Self { status, ..Self::default() }.with(headers)
    }

    /// RST_STREAM, as soon as the head is there.
    #[must_use]
    pub fn reset(reason: Reason) -> Self {
        Self { reset: Some(reason), ..Self::default() }
    }

    /// Adds fields.
    #[must_use]
    pub fn with(mut self, headers: &[(&str, &str)]) -> Self {
        self.headers.extend(headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        self
    }

    /// Adds trailers.
    #[must_use]
    pub fn trailers(mut self, trailers: &[(&str, &str)]) -> Self {
        self.trailers.extend(trailers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        self
    }

    /// Sends an interim head first.
    #[must_use]
    pub fn interim(mut self, status: u16) -> Self {
        self.interim = Some(status);
        self
    }

    /// RST_STREAM in place of the end of the body.
    #[must_use]
    pub fn then_reset(mut self, reason: Reason) -> Self {
        self.abort = Some(reason);
        self
    }

    /// GOAWAY on the connection, before the answer.
    #[must_use]
    pub fn goaway(mut self) -> Self {
        self.goaway = true;
        self
    }

    /// Answers when told so.
    #[must_use]
    pub fn held(mut self, hold: &Hold) -> Self {
        self.held = Some(hold.0.subscribe());
        self
    }
}

/// Holds answers back until it is opened.
#[derive(Debug)]
pub struct Hold(watch::Sender<bool>);

impl Default for Hold {
    fn default() -> Self {
        Self(watch::channel(false).0)
    }
}

impl Hold {
    /// Lets everything through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }
}

/// The backend; dropped, it closes its port and all its connections.
pub struct Recorder {
    shared: Arc<Shared>,
    _stop: watch::Sender<()>,
}

struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    seen: Vec<Seen>,
    queue: std::collections::VecDeque<Reply>,
    default: Option<Reply>,
    connections: usize,
    open: usize,
    most_streams: usize,
    streams: usize,
}

impl Recorder {
    /// A backend that takes as many streams as it is asked.
    #[must_use]
    pub fn start() -> Self {
        Self::with_streams(u32::MAX)
    }

    /// A backend that takes `most` streams at once.
    #[must_use]
    pub fn with_streams(most: u32) -> Self {
        let listener = ports::listener();
        let address = listener.local_addr().expect("a bound listener");
        let shared = Arc::new(Shared { address, state: Mutex::default(), changed: Condvar::new() });
        let (stop, stopped) = watch::channel(());
        let (ready, is_ready) = mpsc::channel();
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                listener.set_nonblocking(true).expect("non-blocking");
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                ready.send(()).expect("the starting thread");
                accept(listener, serving, stopped, most).await;
            });
        });
        is_ready.recv().expect("a listening backend");
        Self { shared, _stop: stop }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// Queues the answer to the next request without one.
    pub fn script(&self, reply: Reply) -> &Self {
        self.shared.state.lock().queue.push_back(reply);
        self
    }

    /// Answers every request that nothing else answers so, in place of the echo.
    pub fn always(&self, reply: Reply) -> &Self {
        self.shared.state.lock().default = Some(reply);
        self
    }

    /// All requests whose head arrived.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state.lock().seen.clone()
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.state.lock().connections
    }

    /// The most requests that were in progress at once.
    #[must_use]
    pub fn most_streams(&self) -> usize {
        self.shared.state.lock().most_streams
    }

    /// Waits until `count` whole requests arrived and returns all.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Seen> {
        self.wait("whole requests", |state| {
            state.seen.iter().filter(|seen| seen.complete).count() >= count
        });
        self.seen()
    }

    /// Waits until the heads of `count` requests arrived and returns all.
    #[track_caller]
    pub fn wait_for_heads(&self, count: usize) -> Vec<Seen> {
        self.wait("heads", |state| state.seen.len() >= count);
        self.seen()
    }

    /// Waits until exactly `count` connections are open.
    #[track_caller]
    pub fn wait_for_open(&self, count: usize) {
        self.wait("open connections", |state| state.open == count);
    }

    /// Waits until exactly `count` requests are in progress.
    #[track_caller]
    pub fn wait_for_streams(&self, count: usize) {
        self.wait("requests in progress", |state| state.streams == count);
    }

    #[track_caller]
    fn wait(&self, what: &str, done: impl Fn(&State) -> bool) {
        let until = Instant::now() + DEADLINE;
        let mut state = self.shared.state.lock();
        while !done(&state) {
            let timed_out = self.shared.changed.wait_until(&mut state, until).timed_out();
            assert!(
                !timed_out || done(&state),
                "waited {DEADLINE:?} for {what}; saw {:?}",
                state.seen
            );
        }
    }
}

impl Shared {
    fn edit<T>(&self, edit: impl FnOnce(&mut State) -> T) -> T {
        let edited = edit(&mut self.state.lock());
        self.changed.notify_all();
        edited
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<()>,
    most: u32,
) {
    loop {
        let tcp = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.changed() => return,
        };
        let Ok((tcp, _)) = tcp else { return };
        tcp.set_nodelay(true).expect("no delay");
        let number = shared.edit(|state| {
            state.connections += 1;
            state.open += 1;
            state.connections - 1
        });
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            serve(tcp, number, &shared, most).await;
            shared.edit(|state| state.open -= 1);
        });
    }
}

async fn serve(tcp: tokio::net::TcpStream, number: usize, shared: &Arc<Shared>, most: u32) {
    let mut builder = Builder::new();
    if most < u32::MAX {
        builder.max_concurrent_streams(most);
    }
    let Ok(mut connection) = builder.handshake::<_, Bytes>(tcp).await else { return };
    let leave = Arc::new(Notify::new());
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            () = leave.notified() => {
                connection.graceful_shutdown();
                continue;
            }
        };
        let Some(Ok((request, answer))) = accepted else { return };
        let (shared, leave) = (Arc::clone(shared), Arc::clone(&leave));
        tokio::spawn(async move {
            shared.edit(|state| {
                state.streams += 1;
                state.most_streams = state.most_streams.max(state.streams);
            });
            // A request that is cut shows in what was seen of it.
            drop(one(request, answer, number, &shared, &leave).await);
            shared.edit(|state| state.streams -= 1);
        });
    }
}

async fn one(
    request: Request<RecvStream>,
    mut answer: SendResponse<Bytes>,
    number: usize,
    shared: &Shared,
    leave: &Notify,
) -> Result<(), h2::Error> {
    let (parts, body) = request.into_parts();
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let seen = Seen {
        connection: number,
        method: parts.method.to_string(),
        scheme: text(parts.uri.scheme_str()),
        authority: text(parts.uri.authority().map(http::uri::Authority::as_str)),
        path: text(parts.uri.path_and_query().map(http::uri::PathAndQuery::as_str)),
        headers: pairs(&parts.headers),
        ended_at_head: body.is_end_stream(),
        ..Seen::default()
    };
    let (index, reply) = shared.edit(|state| {
        state.seen.push(seen);
        let queued = state.queue.pop_front();
        (state.seen.len() - 1, queued.or_else(|| state.default.clone()))
    });
    if let Some(reason) = reply.as_ref().and_then(|reply| reply.reset) {
        answer.send_reset(reason);
        return Ok(());
    }
    let (content, trailers) = read_body(body).await?;
    let echo = shared.edit(|state| {
        let seen = &mut state.seen[index];
        seen.body = content;
        seen.trailers = pairs(&trailers);
        seen.complete = true;
        echo(seen)
    });
    let reply = reply.unwrap_or(echo);
    if reply.goaway {
        leave.notify_one();
    }
    if let Some(mut held) = reply.held.clone() {
        let gone = std::future::poll_fn(|cx| answer.poll_reset(cx));
        tokio::select! {
            // A hold that is dropped is open.
            _ = held.wait_for(|open| *open) => {}
            _ = gone => return Ok(()),
        }
    }
    send(&mut answer, reply).await
}

async fn send(answer: &mut SendResponse<Bytes>, reply: Reply) -> Result<(), h2::Error> {
    let response = |status: u16| {
        let mut response = Response::new(());
        *response.status_mut() = http::StatusCode::from_u16(status).expect("a status");
        response
    };
    if let Some(status) = reply.interim {
        answer.send_informational(response(status))?;
    }
    let mut head = response(reply.status);
    *head.headers_mut() = map(&reply.headers);
    let Some(body) = reply.body else {
        answer.send_response(head, reply.trailers.is_empty())?;
        return Ok(());
    };
    let mut stream = answer.send_response(head, false)?;
    let plain = reply.trailers.is_empty() && reply.abort.is_none();
    let mut rest = &body[..];
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len());
        let Some(capacity) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else {
            return Ok(());
        };
        let (piece, behind) = rest.split_at(capacity?.min(rest.len()));
        rest = behind;
        stream.send_data(Bytes::copy_from_slice(piece), plain && rest.is_empty())?;
    }
    if let Some(reason) = reply.abort {
        // What was sent before it must not be lost to the reset.
        tokio::task::yield_now().await;
        stream.send_reset(reason);
    } else if !reply.trailers.is_empty() {
        stream.send_trailers(map(&reply.trailers))?;
    } else if body.is_empty() {
        stream.send_data(Bytes::new(), true)?;
    }
    Ok(())
}

fn echo(seen: &Seen) -> Reply {
    let body = json!({
        "connection": seen.connection,
        "method": seen.method,
        "path": seen.path,
        "host": seen.authority,
        "headers": seen.headers,
        "body": String::from_utf8_lossy(&seen.body),
        "trailers": seen.trailers,
    });
    Reply::status(200, body.to_string()).with(&[("content-type", "application/json")])
}
