//! Opening a connection to an endpoint, as its cluster asks: plain, or with TLS.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use nix::errno::Errno;
use socket2::SockRef;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
};

use crate::{
    l4::proxy_protocol::{self, Hop},
    observe::{metrics::count, reason::Reason},
    port::UNSENT_MOST,
    timer::Slot,
    tls::upstream::{Security, failure_label},
    upstream::{endpoints::ClusterState, pool, stream::UpstreamStream},
    worker::Worker,
};

/// Why there is no connection to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectError {
    pub(crate) reason: Reason,
    /// More of it in one word, for the access log.
    pub(crate) detail: &'static str,
}

/// The process, or the machine, has as many open files as it may: nothing that an endpoint did.
const NO_FILES: ConnectError = ConnectError { reason: Reason::Shed, detail: "files" };

impl ConnectError {
    fn of(reason: Reason) -> Self {
        Self { reason, detail: "" }
    }
}

/// Which endpoint is wanted.
pub(crate) struct Dial<'a> {
    pub(crate) cluster: &'a ClusterState,
    pub(crate) address: SocketAddr,
    /// Told to an endpoint whose cluster asks for the PROXY protocol; `None` where the connection
    /// serves many clients or none.
    pub(crate) client: Option<Hop>,
    /// HTTP/2 is not offered, whatever the cluster speaks else.
    pub(crate) http1: bool,
    pub(crate) deadline: Option<Instant>,
}

/// Connects to an endpoint within the connect limit and before the deadline. `timer` is the
/// caller's, and is armed anew. What fails may be tried at another endpoint: nothing was sent.
///
/// # Errors
/// A timeout, a refusal, or a TLS handshake that failed; never plaintext instead of TLS.
pub(crate) async fn connect(
    worker: &Worker,
    timer: &Slot,
    dial: &Dial<'_>,
) -> Result<UpstreamStream, ConnectError> {
    timer.arm_until(worker.limits.connect, dial.deadline);
    let mut opened = open_within(timer, dial).await;
    if matches!(opened, Some(Err(NO_FILES))) {
        // Connections that nobody uses hold what this one needs.
        pool::sweep(&worker.upstreams, worker.clock.now(), Duration::ZERO);
        opened = open_within(timer, dial).await;
    }
    let error = match opened {
        Some(Ok(stream)) => {
            count(&worker.counters.totals.connects);
            return Ok(stream);
        }
        Some(Err(error)) => error,
        None if dial.deadline.is_some_and(|deadline| deadline <= worker.clock.now()) => {
            ConnectError::of(Reason::RequestTimeout)
        }
        None => ConnectError::of(Reason::ConnectTimeout),
    };
    count(&worker.counters.totals.connect_errors);
    Err(error)
}

/// `None` when the timer fires before.
async fn open_within(
    timer: &Slot,
    dial: &Dial<'_>,
) -> Option<Result<UpstreamStream, ConnectError>> {
    let mut opening = pin!(open(dial));
    poll_fn(|cx| match opening.as_mut().poll(cx) {
        Poll::Ready(opened) => Poll::Ready(Some(opened)),
        Poll::Pending if timer.expired() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
    .await
}

async fn open(dial: &Dial<'_>) -> Result<UpstreamStream, ConnectError> {
    let security = dial.cluster.security.borrow().clone();
    let tls = match security {
        Security::Plain => None,
        Security::Tls(tls) => Some(tls),
        Security::Unusable => {
            let reason = Reason::UpstreamTlsHandshake;
            return Err(ConnectError { reason, detail: "settings" });
        }
    };
    let tcp = open_tcp(dial).await.map_err(|error| {
        let errno = error.raw_os_error().map(Errno::from_raw);
        if matches!(errno, Some(Errno::EMFILE | Errno::ENFILE)) {
            return NO_FILES;
        }
        let timed_out = error.kind() == io::ErrorKind::TimedOut;
        let reason = if timed_out { Reason::ConnectTimeout } else { Reason::ConnectRefused };
        ConnectError::of(reason)
    })?;
    let Some(tls) = tls else { return Ok(UpstreamStream::Plain(tcp)) };
    // Boxed: a handshake is large, and those who connect in plaintext need not carry it.
    Box::pin(tls.connect(tcp, dial.http1)).await.map_err(|error| {
        let (reason, detail) = (Reason::UpstreamTlsHandshake, failure_label(&error));
        tracing::debug!(address = %dial.address, %error, "a tls handshake with an endpoint failed");
        ConnectError { reason, detail }
    })
}

/// Without delayed small writes; with the PROXY protocol's header where it is asked for.
async fn open_tcp(dial: &Dial<'_>) -> io::Result<TcpStream> {
    let socket = match dial.address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_MOST)?;
    let mut tcp = socket.connect(dial.address).await?;
    if let Some(version) = dial.cluster.id.0.proxy_protocol {
        tcp.write_all(&proxy_protocol::header(version, dial.client)).await?;
    }
    Ok(tcp)
}
