//! One client's way to one endpoint.

use std::{
    cell::{Cell, RefCell},
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};

use socket2::SockRef;
use tokio::{net::UdpSocket, task::AbortHandle};

use crate::{
    l4::{
        plan::Plan,
        record::Record,
        udp::{BATCH, FlowKey, LARGEST, UdpPort},
    },
    observe::{l4::Opened, metrics::count, reason::Reason},
    upstream::{balance, endpoints::InFlight},
    worker::Worker,
};

/// A flow; its task sends replies until it is dropped from its port.
pub(crate) struct Flow {
    key: FlowKey,
    pub(crate) plan: Plan,
    socket: UdpSocket,
    endpoint: InFlight,
    opened: Opened,
    record: RefCell<Record>,
    task: Cell<Option<AbortHandle>>,
    last: Cell<Instant>,
    /// Place in the table's list.
    pub(crate) place: Cell<usize>,
    /// Replies since the client's last datagram.
    replies: Cell<u32>,
    /// The client sent again after a reply: its address is not forged.
    proven: Cell<bool>,
    received: Cell<u64>,
    sent: Cell<u64>,
}

impl Flow {
    /// Chooses an endpoint and sends the first datagram.
    ///
    /// # Errors
    /// The reason, when there is no endpoint or no socket.
    pub(crate) fn open(
        worker: &Worker,
        key: FlowKey,
        plan: Plan,
        record: &mut Record,
        payload: &[u8],
    ) -> Result<Self, Reason> {
        let endpoint =
            balance::pick(&plan.cluster, &worker.random, &[]).ok_or(Reason::NoEndpoint)?;
        let address = endpoint.entry().endpoint.address;
        record.endpoint = Some(address);
        record.attempts = 1;
        let socket = connected(address).map_err(|_| Reason::ConnectRefused)?;
        // A full queue drops it, as any hop on the way may.
        drop(socket.send(payload));
        let socket = UdpSocket::from_std(socket).map_err(|_| Reason::ConnectRefused)?;
        let opened = plan.counters.begin(plan.position);
        let now = worker.clock.now();
        let fresh = Record::new(record.kind, now, key.client);
        let flow = Self {
            key,
            plan,
            socket,
            endpoint,
            opened,
            record: RefCell::new(std::mem::replace(record, fresh)),
            task: Cell::new(None),
            last: Cell::new(now),
            place: Cell::new(0),
            replies: Cell::new(0),
            proven: Cell::new(false),
            received: Cell::new(0),
            sent: Cell::new(0),
        };
        flow.count_received(payload.len());
        Ok(flow)
    }

    /// Starts to send replies.
    pub(crate) fn run(self: &Rc<Self>, worker: &Rc<Worker>, port: &Rc<UdpPort>) {
        let (flow, worker, port) = (Rc::clone(self), Rc::clone(worker), Rc::clone(port));
        let task = tokio::task::spawn_local(async move {
            let reason = flow.reply(&worker, &port).await;
            port.end(&worker, &flow.key, Some(reason));
        });
        self.task.set(Some(task.abort_handle()));
    }

    /// Passes a datagram of the client on.
    ///
    /// # Errors
    /// When the endpoint left, or said that it does not listen.
    pub(crate) fn send(&self, worker: &Worker, payload: &[u8]) -> Result<(), Reason> {
        if self.endpoint.entry().closed.get() {
            return Err(Reason::NoEndpoint);
        }
        self.last.set(worker.clock.now());
        if self.replies.replace(0) > 0 {
            self.proven.set(true);
        }
        // Not through the event loop, whose first word on a new socket comes late.
        match SockRef::from(&self.socket).send(payload) {
            Err(error) if is_unreachable(&error) => return Err(Reason::ConnectRefused),
            Err(_) => count(&worker.counters.totals.udp_drops),
            Ok(_) => self.count_received(payload.len()),
        }
        Ok(())
    }

    fn count_received(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.received.set(self.received.get().saturating_add(bytes));
        self.opened.add(bytes, 0);
    }

    /// Sends replies until the endpoint says that it does not listen.
    async fn reply(&self, worker: &Worker, port: &UdpPort) -> Reason {
        loop {
            if self.socket.readable().await.is_err() {
                return Reason::UpstreamReset;
            }
            for _ in 0..BATCH {
                let mut space = worker.relay_space.borrow_mut();
                let size = space.len().max(LARGEST);
                space.resize(size, 0);
                match self.socket.try_recv(&mut space) {
                    Err(error) if is_unreachable(&error) => return Reason::ConnectRefused,
                    Err(_) => break,
                    Ok(length) => {
                        self.pass(worker, port, space.get(..length).unwrap_or_default());
                    }
                }
            }
            tokio::task::yield_now().await;
        }
    }

    fn pass(&self, worker: &Worker, port: &UdpPort, payload: &[u8]) {
        let totals = &worker.counters.totals;
        let replies = self.replies.get();
        if !self.proven.get() && replies >= worker.limits.udp_replies {
            count(&totals.udp_drops);
            return;
        }
        self.replies.set(replies.saturating_add(1));
        self.last.set(worker.clock.now());
        if port.socket.send(&self.key, payload).is_err() {
            count(&totals.udp_drops);
            return;
        }
        count(&totals.udp_sent);
        let bytes = u64::try_from(payload.len()).unwrap_or(u64::MAX);
        self.sent.set(self.sent.get().saturating_add(bytes));
        self.opened.add(0, bytes);
    }

    pub(crate) fn idles(&self, now: Instant, longest: Duration) -> bool {
        now.saturating_duration_since(self.last.get()) >= longest
    }

    /// Who goes first where there is no room: addresses that may be forged, then the longest idle.
    pub(crate) fn worth(&self) -> (bool, Instant) {
        (self.proven.get(), self.last.get())
    }

    /// Ends the flow. It is not in its table any more.
    pub(crate) fn finish(&self, worker: &Worker, reason: Option<Reason>) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        if reason.is_some() {
            self.opened.fail();
        }
        let mut record = self.record.borrow_mut();
        record.reason = reason;
        record.received = self.received.get();
        record.sent = self.sent.get();
        record.finish(worker, Some(&self.plan));
    }
}

/// A socket that only hears the endpoint, and hears of it when nobody listens there (ICMP).
fn connected(endpoint: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let any: SocketAddr = match endpoint {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    socket.connect(endpoint)?;
    Ok(socket)
}

fn is_unreachable(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
        || error.kind() == io::ErrorKind::HostUnreachable
        || error.kind() == io::ErrorKind::NetworkUnreachable
}
