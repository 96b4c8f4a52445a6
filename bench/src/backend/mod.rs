//! The backend behind every proxy: fixed responses, one thread, as little work as possible.

mod batched;
mod http1;
mod http2;

use crate::site::Backends;
use anyhow::Context as _;
use clap::Args;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use std::{cell::Cell, net::SocketAddr, path::PathBuf, rc::Rc, sync::Arc};
use tokio::{
    net::{TcpListener, TcpSocket, UdpSocket},
    task::{LocalSet, spawn_local},
};
use tokio_rustls::TlsAcceptor;

#[derive(Args)]
pub(crate) struct Options {
    /// HTTP/1.1.
    http1: SocketAddr,
    /// HTTP/2 without TLS, gRPC too.
    http2: SocketAddr,
    /// HTTP/1.1 over TLS.
    tls: SocketAddr,
    /// Datagrams, which go back as they came.
    udp: SocketAddr,
    /// Certificate and key for TLS.
    #[arg(long)]
    certificate: PathBuf,
    #[arg(long)]
    key: PathBuf,
}

impl Options {
    /// The arguments that make a backend listen on these addresses.
    pub(crate) fn arguments(backends: &Backends) -> [String; 4] {
        [backends.http1, backends.http2, backends.tls, backends.udp]
            .map(|address| address.to_string())
    }
}

/// How many requests came for paths that start with `/attack`; `/count` answers it.
type Attacks = Rc<Cell<u64>>;

/// Bodies by path: 1 KiB for every other one.
fn body(path: &[u8]) -> usize {
    if path.starts_with(b"/100k") {
        100 * 1024
    } else if path.starts_with(b"/1m") {
        1024 * 1024
    } else if path.starts_with(b"/4m") {
        4 * 1024 * 1024
    } else {
        1024
    }
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(options))
}

async fn serve(options: &Options) -> anyhow::Result<()> {
    let attacks = Attacks::default();
    let responses = Rc::new(http1::Responses::new());
    let acceptor = TlsAcceptor::from(Arc::new(tls(options)?));
    let udp = UdpSocket::bind(options.udp)
        .await
        .with_context(|| format!("cannot bind {}", options.udp))?;
    let (plain, over_tls) = (listen(options.http1)?, listen(options.tls)?);
    let http2 = listen(options.http2)?;
    spawn_local(echo(udp));
    let counted = Rc::clone(&attacks);
    spawn_local(async move {
        while let Ok((stream, _)) = http2.accept().await {
            // A peer that is gone is the normal end of a connection, here and below.
            drop(stream.set_nodelay(true));
            let attacks = Rc::clone(&counted);
            spawn_local(async move { drop(http2::connection(stream, &attacks).await) });
        }
    });
    let (counted, shared) = (Rc::clone(&attacks), Rc::clone(&responses));
    spawn_local(async move {
        while let Ok((stream, _)) = over_tls.accept().await {
            drop(stream.set_nodelay(true));
            let (acceptor, attacks, responses) =
                (acceptor.clone(), Rc::clone(&counted), Rc::clone(&shared));
            spawn_local(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                drop(http1::connection(stream, &responses, &attacks).await);
            });
        }
    });
    loop {
        // It fails when all files are taken, which an attack may try.
        let Ok((stream, _)) = plain.accept().await else {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            continue;
        };
        drop(stream.set_nodelay(true));
        let (attacks, responses) = (Rc::clone(&attacks), Rc::clone(&responses));
        spawn_local(async move { drop(http1::connection(stream, &responses, &attacks).await) });
    }
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address).with_context(|| format!("cannot bind {address}"))?;
    Ok(socket.listen(4096)?)
}

async fn echo(socket: UdpSocket) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        // An error here is that of a datagram sent before.
        let Ok((count, from)) = socket.recv_from(&mut buffer).await else { continue };
        drop(socket.send_to(buffer.get(..count).unwrap_or_default(), from).await);
    }
}

fn tls(options: &Options) -> anyhow::Result<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certificate = CertificateDer::from_pem_file(&options.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&options.key)?;
    Ok(rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?)
}
