//! Backends of bytes and of datagrams that say who they are.

use crate::{DEADLINE, ports};
use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// How long a thread waits before it looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// Sends back every byte; when the client ends its side, `END NAME` and its own end.
pub struct TcpEcho {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl TcpEcho {
    /// An echo on a loopback port of the kernel's choice.
    #[must_use]
    pub fn start(name: &str) -> Self {
        let listener = ports::listener();
        let address = listener.local_addr().expect("a bound listener");
        let (accepted, stopped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (count, stop, name) = (Arc::clone(&accepted), Arc::clone(&stopped), name.to_owned());
        std::thread::spawn(move || accept(&listener, &count, &stop, &name));
        Self { address, accepted, stopped }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for TcpEcho {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(self.address));
    }
}

fn accept(listener: &TcpListener, accepted: &AtomicUsize, stopped: &AtomicBool, name: &str) {
    for stream in listener.incoming() {
        if stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        accepted.fetch_add(1, Ordering::SeqCst);
        let name = name.to_owned();
        std::thread::spawn(move || echo(stream, &name));
    }
}

fn echo(mut stream: TcpStream, name: &str) {
    let set = stream.set_read_timeout(Some(DEADLINE)).and_then(|()| stream.set_nodelay(true));
    if set.is_err() {
        return;
    }
    let mut buffer = vec![0u8; 64 * 1024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => {
                drop(stream.write_all(format!("END {name}").as_bytes()));
                return;
            }
            Ok(read) => {
                if stream.write_all(buffer.get(..read).unwrap_or_default()).is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
}

/// Answers each datagram with `NAME:` and the datagram.
pub struct UdpEcho {
    address: SocketAddr,
    received: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl UdpEcho {
    /// An echo on a loopback port of the kernel's choice that answers each datagram once.
    #[must_use]
    pub fn start(name: &str) -> Self {
        Self::answering(name, 1)
    }

    /// An echo that answers each datagram so many times.
    #[must_use]
    pub fn answering(name: &str, times: usize) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        socket.set_read_timeout(Some(LOOK)).expect("a timeout");
        let address = socket.local_addr().expect("a bound socket");
        let (received, stopped) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (count, stop, name) = (Arc::clone(&received), Arc::clone(&stopped), name.to_owned());
        std::thread::spawn(move || {
            let mut buffer = vec![0u8; 65_536];
            while !stop.load(Ordering::SeqCst) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                let payload = buffer.get(..length).unwrap_or_default();
                let answer = [name.as_bytes(), b":", payload].concat();
                for _ in 0..times {
                    drop(socket.send_to(&answer, from));
                }
            }
        });
        Self { address, received, stopped }
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Datagrams so far.
    #[must_use]
    pub fn received(&self) -> usize {
        self.received.load(Ordering::SeqCst)
    }
}

impl Drop for UdpEcho {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}
