//! TLS in front of any plain backend: shakes hands, writes down what the client showed, passes the bytes on.

use crate::{DEADLINE, ports};
use parking_lot::{Condvar, Mutex};
use rustls::ServerConfig;
use std::{io, net::SocketAddr, sync::Arc};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;

/// What one client showed in its handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The server name it asked for.
    pub server_name: Option<String>,
    /// The protocol that was agreed on.
    pub alpn: Option<Vec<u8>>,
    /// Its certificate in DER.
    pub certificate: Option<Vec<u8>>,
    /// Whether the handshake continued an earlier session.
    pub resumed: bool,
}

#[derive(Default)]
struct State {
    shown: Vec<Shown>,
    failed: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The front; dropped, it closes its port and all its connections.
pub struct TlsFront {
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

impl TlsFront {
    /// A front on a loopback port of the kernel's choice, for the backend at `target`.
    #[must_use]
    pub fn start(target: SocketAddr, config: Arc<ServerConfig>) -> Self {
        Self::by_protocol(target, target, config)
    }

    /// A front for two backends: one for what was agreed to be HTTP/2, the other for the rest.
    #[must_use]
    pub fn by_protocol(
        target: SocketAddr,
        http2_target: SocketAddr,
        config: Arc<ServerConfig>,
    ) -> Self {
        let listener = ports::listener();
        listener.set_nonblocking(true).expect("a listener without blocking");
        let address = listener.local_addr().expect("a bound listener");
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let state = Arc::clone(&shared);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = accept(listener, [target, http2_target], config, state) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address, shared, _stop: stop }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The handshakes that succeeded, in order.
    #[must_use]
    pub fn shown(&self) -> Vec<Shown> {
        self.shared.state.lock().shown.clone()
    }

    /// How many handshakes failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.shared.state.lock().failed
    }

    /// Waits until `count` handshakes failed.
    #[track_caller]
    pub fn wait_for_failed(&self, count: usize) {
        let mut state = self.shared.state.lock();
        while state.failed < count {
            let waited = self.shared.changed.wait_for(&mut state, DEADLINE);
            assert!(!waited.timed_out(), "{} of {count} handshakes failed", state.failed);
        }
    }
}

async fn accept(
    listener: TcpListener,
    targets: [SocketAddr; 2],
    config: Arc<ServerConfig>,
    shared: Arc<Shared>,
) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (acceptor, shared) = (TlsAcceptor::from(Arc::clone(&config)), Arc::clone(&shared));
        tokio::spawn(async move {
            let served = serve(acceptor, tcp, targets, &shared).await;
            if served.is_err() {
                shared.changed.notify_all();
            }
        });
    }
}

async fn serve(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    [target, http2_target]: [SocketAddr; 2],
    shared: &Shared,
) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut tls = match acceptor.accept(tcp).await {
        Ok(tls) => tls,
        Err(error) => {
            shared.state.lock().failed += 1;
            shared.changed.notify_all();
            return Err(error);
        }
    };
    let session = tls.get_ref().1;
    let target = if session.alpn_protocol() == Some(b"h2") { http2_target } else { target };
    shared.state.lock().shown.push(Shown {
        server_name: session.server_name().map(ToOwned::to_owned),
        alpn: session.alpn_protocol().map(<[u8]>::to_vec),
        certificate: session
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|certificate| certificate.to_vec()),
        resumed: session.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
    });
    shared.changed.notify_all();
    let mut plain = TcpStream::connect(target).await?;
    tokio::io::copy_bidirectional(&mut tls, &mut plain).await?;
    Ok(())
}
