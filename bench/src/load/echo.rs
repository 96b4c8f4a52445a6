//! Datagrams that come back: each client has one under way.

use super::{Options, Seen};
use std::{
    cell::RefCell,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    time::Duration,
};
use tokio::{net::UdpSocket, time::Instant};

const SIZE: usize = 256;
/// A datagram that is not back by then is lost.
const PATIENCE: Duration = Duration::from_millis(500);

pub(super) async fn run(options: &Options) -> anyhow::Result<Seen> {
    let until = Instant::now() + Duration::from_secs_f64(options.seconds);
    let totals = Rc::new(RefCell::new((Seen::default(), Vec::new())));
    let mut tasks = Vec::new();
    for _ in 0..options.connections {
        let client = Client::new(options.address).await?;
        let totals = Rc::clone(&totals);
        tasks.push(tokio::task::spawn_local(async move {
            let mut client = client;
            while Instant::now() < until {
                let sent = Instant::now();
                let came_back = client.exchange().await;
                let mut totals = totals.borrow_mut();
                if came_back {
                    totals.0.requests += 1;
                    totals.1.push(sent.elapsed().as_secs_f64() * 1e6);
                } else {
                    totals.0.failed += 1;
                }
            }
        }));
    }
    for task in tasks {
        task.await?;
    }
    let (mut seen, latencies) = totals.take();
    seen.set_latencies(&latencies);
    Ok(seen)
}

pub(super) struct Client {
    socket: UdpSocket,
    datagram: Vec<u8>,
    number: u64,
}

impl Client {
    pub(super) async fn new(address: SocketAddr) -> std::io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        socket.connect(address).await?;
        Ok(Self { socket, datagram: vec![b'x'; SIZE], number: 0 })
    }

    /// Whether the next datagram came back as it was sent.
    pub(super) async fn exchange(&mut self) -> bool {
        self.number += 1;
        self.datagram.splice(..8, self.number.to_be_bytes());
        let mut buffer = [0; SIZE + 1];
        let answer = async {
            self.socket.send(&self.datagram).await?;
            loop {
                let count = self.socket.recv(&mut buffer).await?;
                // An older one may come late.
                if buffer.get(..count) == Some(self.datagram.as_slice()) {
                    return std::io::Result::Ok(());
                }
            }
        };
        matches!(tokio::time::timeout(PATIENCE, answer).await, Ok(Ok(())))
    }
}
