//! From an accepted connection on a TLS port to one that carries HTTP.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::Poll,
};

use ir::{ClientValidation, Listener, ListenerId, Protocol};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    accept::{Open, PortState},
    http::connection,
    observe::metrics::count,
    stream::Stream,
    tls::{
        client_hello::{ClientHello, Peek, peek},
        replay::Replay,
    },
    worker::Worker,
};

/// What a handshake was made for; each request on the connection asks whether that still holds.
pub(crate) struct TlsContext {
    listener: ListenerId,
    /// What was asked of the client then.
    client_validation: Option<Arc<ClientValidation>>,
}

impl TlsContext {
    fn of(listener: &Listener) -> Self {
        Self { listener: listener.id.clone(), client_validation: validation_of(listener).cloned() }
    }

    /// Whether this is the listener of the handshake, and still asks the same of clients.
    pub(crate) fn holds_for(&self, listener: &Listener) -> bool {
        self.listener == listener.id && self.client_validation.as_ref() == validation_of(listener)
    }
}

fn validation_of(listener: &Listener) -> Option<&Arc<ClientValidation>> {
    match &listener.protocol {
        Protocol::Https(tls) | Protocol::TlsTerminate(tls) => tls.client_validation.as_ref(),
        Protocol::Http | Protocol::TlsPassthrough | Protocol::Tcp | Protocol::Udp => None,
    }
}

/// Serves a connection on a TLS port to its end.
pub(crate) async fn serve(
    open: Open,
    worker: Rc<Worker>,
    port: Rc<PortState>,
    tcp: TcpStream,
    peer: SocketAddr,
) {
    if worker.handshakes.get() >= worker.limits.handshakes {
        count(&worker.counters.totals.refused);
        return;
    }
    let handshaking = Handshaking::new(&worker);
    // Boxed: it is large, and gone when the connection idles.
    let shaken = Box::pin(handshake(&worker, &port, tcp)).await;
    drop(handshaking);
    match shaken {
        Some((stream, context)) => {
            count(&worker.counters.totals.handshakes);
            connection::serve_tls(open, worker, port, stream, peer, context).await;
        }
        None => count(&worker.counters.totals.handshake_errors),
    }
}

/// Counts a handshake in progress until dropped.
struct Handshaking<'a>(&'a Worker);

impl<'a> Handshaking<'a> {
    fn new(worker: &'a Worker) -> Self {
        worker.handshakes.set(worker.handshakes.get().saturating_add(1));
        Self(worker)
    }
}

impl Drop for Handshaking<'_> {
    fn drop(&mut self) {
        self.0.handshakes.set(self.0.handshakes.get().saturating_sub(1));
    }
}

async fn handshake(
    worker: &Rc<Worker>,
    port: &PortState,
    mut tcp: TcpStream,
) -> Option<(Stream, TlsContext)> {
    let timer = poll_fn(|cx| Poll::Ready(worker.slot(cx))).await;
    timer.arm(worker.limits.handshake_timeout);
    let (head, hello) = {
        let mut reading = pin!(read_hello(&mut tcp, worker.limits.client_hello));
        poll_fn(|cx| match reading.as_mut().poll(cx) {
            Poll::Pending if timer.expired() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
            Poll::Ready(read) => Poll::Ready(read.ok().flatten()),
        })
        .await?
    };
    // No alert when no listener fits: the port does not exist for that name.
    let (config, context) = choose(worker, port, &hello)?;
    let accepting = TlsAcceptor::from(config).accept(Replay::new(head, tcp));
    let mut accepting = pin!(accepting);
    let stream = poll_fn(|cx| match accepting.as_mut().poll(cx) {
        Poll::Pending if timer.expired() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
        Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
    })
    .await?;
    Some((Stream::Tls(Box::new(stream)), context))
}

/// The listener that the server name selects, when it terminates TLS for HTTP.
fn choose(
    worker: &Worker,
    port: &PortState,
    hello: &ClientHello,
) -> Option<(Arc<ServerConfig>, TlsContext)> {
    let table = worker.table()?;
    let entry = table.table().ports.get(&port.key)?;
    let found = entry.listener_for(hello.server_name.as_deref().unwrap_or_default())?;
    match &found.listener.protocol {
        Protocol::Https(_) => {}
        Protocol::Http
        | Protocol::TlsPassthrough
        | Protocol::TlsTerminate(_)
        | Protocol::Tcp
        | Protocol::Udp => return None,
    }
    let index = usize::try_from(found.index.0).ok()?;
    let config = table.generation.tls.get(index)?.clone()?;
    Some((config, TlsContext::of(&found.listener)))
}

/// Reads until the ClientHello is complete; `None` when it is not one, or too large.
async fn read_hello(
    tcp: &mut TcpStream,
    most: usize,
) -> io::Result<Option<(Vec<u8>, ClientHello)>> {
    let mut bytes = vec![0u8; 2048];
    let mut filled = 0usize;
    loop {
        if filled == bytes.len() {
            if filled >= most {
                return Ok(None);
            }
            bytes.resize(filled.saturating_mul(2).min(most), 0);
        }
        let space = bytes.get_mut(filled..).unwrap_or_default();
        let mut target = ReadBuf::new(space);
        poll_fn(|cx| Pin::new(&mut *tcp).poll_read(cx, &mut target)).await?;
        let count = target.filled().len();
        if count == 0 {
            return Ok(None);
        }
        filled = filled.saturating_add(count);
        match peek(bytes.get(..filled).unwrap_or_default()) {
            Peek::Partial => {}
            Peek::Invalid => return Ok(None),
            Peek::Complete(hello) => {
                bytes.truncate(filled);
                return Ok(Some((bytes, hello)));
            }
        }
    }
}
