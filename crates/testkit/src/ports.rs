//! Ports that a test may use without racing other tests or the kernel's choice of outgoing ports.

use std::{
    fs::{File, TryLockError},
    net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket},
    sync::atomic::{AtomicU16, Ordering},
};

/// Below the range from which Linux takes ports for outgoing connections and for port 0 (32768 and up).
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port that another process (or the code under test) binds itself.
///
/// It is kept by a lock on a file, shared by all tests of this machine, until it is dropped: the port itself stays free to bind.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// A port free for TCP and UDP, on IPv4 and IPv6.
    #[must_use]
    pub fn free() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let folder = std::env::temp_dir().join("portcullis-test-ports");
        std::fs::create_dir_all(&folder).expect("a folder for port locks");
        // Test binaries start at different places, so that they seldom meet.
        let start = std::process::id().wrapping_mul(97) % u32::from(COUNT);
        let start = u16::try_from(start).unwrap_or_default();
        for _ in 0..COUNT {
            let offset = (start + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT;
            let number = FIRST + offset;
            let file = File::create(folder.join(number.to_string())).expect("a port lock file");
            match file.try_lock() {
                Ok(()) if is_free(number) => return Self { number, _lock: file },
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => panic!("cannot lock a port file: {error}"),
            }
        }
        panic!("no free port between {FIRST} and {}", FIRST + COUNT)
    }

    /// The port's number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}

fn is_free(port: u16) -> bool {
    let tcp4 = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok();
    let udp4 = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok();
    // A machine without IPv6 refuses every IPv6 address; that is not a port in use.
    let in_use = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    let tcp6 = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).err();
    tcp4 && udp4 && !tcp6.as_ref().is_some_and(in_use)
}

/// A listener on a port of the kernel's choice, for code that takes a bound socket.
#[must_use]
pub fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener on the loopback address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_held_at_the_same_time_differ_and_can_be_bound() {
        let ports: Vec<Port> = (0..20).map(|_| Port::free()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 20);
        for number in numbers {
            TcpListener::bind((Ipv4Addr::LOCALHOST, number)).unwrap();
        }
    }
}
