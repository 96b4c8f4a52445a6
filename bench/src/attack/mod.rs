//! Attackers: raw clients that do what no honest client does, for a bounded time, on loopback.
//!
//! One thread; says `ready` when the attack has begun (or, where connections are held, when all are open) and ends with one line of JSON.

mod bomb;
mod crowd;
mod flood;
mod frames;
mod slow;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::{cell::RefCell, net::SocketAddr, rc::Rc, time::Duration};
use tokio::{
    net::{TcpSocket, TcpStream},
    task::LocalSet,
    time::Instant,
};

#[derive(Args, Clone)]
pub(crate) struct Options {
    kind: Kind,
    address: SocketAddr,
    #[arg(long, default_value_t = 16)]
    connections: usize,
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
}

/// What is done to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Requests that are cancelled at once (CVE-2023-44487).
    RapidReset,
    /// Requests that the server is made to reset (CVE-2025-8671), in six ways.
    WindowZero,
    WindowOverflow,
    PriorityLength,
    PrioritySelf,
    HeadersAfterEnd,
    DataAfterEnd,
    /// A header block without end.
    Continuation,
    Settings,
    Ping,
    EmptyData,
    /// Fields that decode to far more than they take on the wire, and answers that are not taken.
    Bomb,
    /// As many answers as streams allow, asked for and not taken.
    Stall,
    /// A head that arrives a line every two seconds.
    SlowHead,
    /// A body that stops after its first byte.
    SlowBody,
    /// An answer that is not read.
    SlowRead,
    /// Connections that make one request each and stay.
    Crowd,
    /// Connections that make one request each and leave, as fast as they can.
    Churn,
}

/// What an attacker saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Struck {
    /// Connections that were opened, and those that the proxy closed or answered with GOAWAY.
    pub(crate) connections: u64,
    pub(crate) ended: u64,
    /// Connections that could not be opened.
    pub(crate) refused: u64,
    pub(crate) bytes: u64,
    /// Requests that were answered 200 (crowd, churn).
    pub(crate) answered: u64,
}

type Shared = Rc<RefCell<Struck>>;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(options.address.ip().is_loopback(), "attacks are for loopback alone");
    ensure!(options.seconds <= 300.0, "an attack ends after 300 seconds at the latest");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let struck = LocalSet::new().block_on(&runtime, async {
        let struck = Shared::default();
        let until = Instant::now() + Duration::from_secs_f64(options.seconds);
        match options.kind {
            Kind::Bomb => bomb::run(options, until, &struck, bomb::Kind::Fields).await?,
            Kind::Stall => bomb::run(options, until, &struck, bomb::Kind::Answers).await?,
            Kind::SlowHead => slow::run(options, until, &struck, slow::Kind::Head).await?,
            Kind::SlowBody => slow::run(options, until, &struck, slow::Kind::Body).await?,
            Kind::SlowRead => slow::run(options, until, &struck, slow::Kind::Read).await?,
            Kind::Crowd => crowd::hold(options, until, &struck).await?,
            Kind::Churn => crowd::churn(options, until, &struck).await?,
            Kind::RapidReset
            | Kind::WindowZero
            | Kind::WindowOverflow
            | Kind::PriorityLength
            | Kind::PrioritySelf
            | Kind::HeadersAfterEnd
            | Kind::DataAfterEnd
            | Kind::Continuation
            | Kind::Settings
            | Kind::Ping
            | Kind::EmptyData => flood::run(options, until, &struck).await?,
        }
        anyhow::Ok(struck.take())
    })?;
    println!("{}", serde_json::to_string(&struck)?);
    Ok(())
}

/// A new connection, counted; `receive` bounds what the kernel takes without being asked.
async fn connect(
    address: SocketAddr,
    receive: Option<u32>,
    struck: &Shared,
) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(receive) = receive {
        socket.set_recv_buffer_size(receive)?;
    }
    let connected = socket.connect(address).await;
    let mut struck = struck.borrow_mut();
    match &connected {
        Ok(stream) => {
            stream.set_nodelay(true)?;
            struck.connections += 1;
        }
        Err(_) => struck.refused += 1,
    }
    connected
}
