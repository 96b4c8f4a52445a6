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
    accept::{Open, Permit, PortState},
    http::connection,
    l4::{
        plan::{Plan, plan},
        record::{Kind, Record},
        tcp::{self, Client},
    },
    observe::metrics::count,
    stream::Stream,
    timer::Slot,
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
    mut open: Open,
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
    let begun = Box::pin(begin(&worker, &port, tcp, peer)).await;
    drop(handshaking);
    match begun {
        Some(Begun::Http(stream, context, permit)) => {
            open.keep(permit);
            count(&worker.counters.totals.handshakes);
            connection::serve_tls(open, worker, port, stream, peer, context).await;
        }
        Some(Begun::Stream(forwarding)) => {
            let Forwarding { timer, plan, client, record } = *forwarding;
            if record.kind == Kind::TlsTerminate {
                count(&worker.counters.totals.handshakes);
            }
            tcp::forward(&worker, &timer, &plan, client, record).await;
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

/// What a connection turned out to carry.
enum Begun {
    Http(Stream, TlsContext, Option<Permit>),
    Stream(Box<Forwarding>),
}

/// A connection that goes to a backend as a stream of bytes.
struct Forwarding {
    timer: Slot,
    plan: Plan,
    client: Client,
    record: Record,
}

/// Reads the ClientHello, chooses the listener by its server name, and terminates TLS where the
/// listener says so. No alert where no listener or route fits: the port does not exist for that
/// name.
async fn begin(
    worker: &Rc<Worker>,
    port: &PortState,
    mut tcp: TcpStream,
    peer: SocketAddr,
) -> Option<Begun> {
    let start = worker.clock.now();
    let timer = poll_fn(|cx| Poll::Ready(worker.slot(cx))).await;
    timer.arm(worker.limits.handshake_timeout);
    let (head, hello) = {
        let reading = read_hello(&mut tcp, worker.limits.client_hello);
        within(&timer, reading).await?.ok().flatten()?
    };
    let table = worker.table()?;
    let name = hello.server_name.as_deref().unwrap_or_default();
    let found = table.table().ports.get(&port.key)?.listener_for(name)?;
    let index = usize::try_from(found.index.0).ok()?;
    let config = table.generation.tls.get(index)?.clone();
    let kind = match &found.listener.protocol {
        Protocol::Https(_) => {
            let context = TlsContext::of(&found.listener);
            let permit = match table.permit(found) {
                Ok(permit) => permit,
                Err(reason) => {
                    worker.counters.reason(reason);
                    return None;
                }
            };
            drop(table);
            let stream = shake(&timer, config?, head, tcp).await?;
            return Some(Begun::Http(stream, context, permit));
        }
        Protocol::TlsPassthrough => Kind::TlsPassthrough,
        Protocol::TlsTerminate(_) => Kind::TlsTerminate,
        Protocol::Http | Protocol::Tcp | Protocol::Udp => return None,
    };
    let mut record = Record::new(kind, start, peer);
    record.server_name.clone_from(&hello.server_name);
    let plan = match plan(worker, &table, found, Some(name), &mut record.known) {
        Ok(plan) => plan,
        Err(reason) => {
            tcp::refuse(worker, Stream::Plain(tcp), reason, record);
            return None;
        }
    };
    // The handshake may take long, and must not keep an old table.
    drop(table);
    let client = if kind == Kind::TlsTerminate {
        let stream = shake(&timer, config?, head, tcp).await?;
        Client { stream, head: Vec::new(), peer }
    } else {
        Client { stream: Stream::Plain(tcp), head, peer }
    };
    Some(Begun::Stream(Box::new(Forwarding { timer, plan, client, record })))
}

async fn shake(
    timer: &Slot,
    config: Arc<ServerConfig>,
    head: Vec<u8>,
    tcp: TcpStream,
) -> Option<Stream> {
    let accepting = TlsAcceptor::from(config).accept(Replay::new(head, tcp));
    let stream = within(timer, accepting).await?.ok()?;
    Some(Stream::Tls(Box::new(stream)))
}

/// The outcome of `work`, unless the timer fires before.
async fn within<T>(timer: &Slot, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Pending if timer.expired() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
        Poll::Ready(done) => Poll::Ready(Some(done)),
    })
    .await
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
