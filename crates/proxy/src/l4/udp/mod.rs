//! Datagrams: one socket per worker on each port, flows from clients to endpoints.
//!
//! The kernel spreads clients over the workers by their addresses, so the number of sockets of a
//! port never changes while it is bound. A datagram of a new client chooses route, backend and
//! endpoint once; what follows takes the same way until the flow idles out, its endpoint leaves or
//! its route changes. A reply leaves from the address that the client asked. We send nothing of our
//! own to clients, neither errors nor repetitions: their addresses may be forged.

mod flow;
mod socket;
mod table;

use std::{
    cell::RefCell,
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    rc::Rc,
};

use ir::{L4Entry, PortKey, Table};

use crate::{
    accept::PortState,
    l4::{
        plan::{Plan, only_listener, plan},
        record::{Kind, Record},
    },
    observe::{metrics::count, reason::Reason},
    worker::Worker,
};
use flow::Flow;
use socket::{Datagram, PortSocket};
use table::Flows;

/// Datagrams that are taken in a row before other tasks have their turn.
const BATCH: usize = 64;
/// Largest datagram.
const LARGEST: usize = 65_535;

/// A flow by both ends of what the client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlowKey {
    client: SocketAddr,
    /// The address that was asked, where the port has several.
    asked: Option<IpAddr>,
}

/// A UDP port in one worker: owns its flows.
pub(crate) struct UdpPort {
    pub(crate) state: Rc<PortState>,
    socket: PortSocket,
    flows: RefCell<Flows>,
}

/// Starts to receive on a bound socket.
///
/// # Errors
/// When the socket cannot be registered with the event loop.
pub(crate) fn start(
    worker: &Rc<Worker>,
    state: &Rc<PortState>,
    socket: UdpSocket,
) -> io::Result<Rc<UdpPort>> {
    let socket = PortSocket::new(socket, state.key.address)?;
    let most = worker.limits.udp_flows / worker.peers.open.len().max(1);
    let flows = RefCell::new(Flows::new(most.max(1), worker.limits.udp_flows_per_source));
    let port = Rc::new(UdpPort { state: Rc::clone(state), socket, flows });
    let (worker, receiving) = (Rc::clone(worker), Rc::clone(&port));
    tokio::task::spawn_local(async move { receiving.receive(&worker).await });
    Ok(port)
}

impl UdpPort {
    async fn receive(self: Rc<Self>, worker: &Rc<Worker>) {
        let mut space = vec![0u8; LARGEST];
        loop {
            let ready = tokio::select! {
                biased;
                () = self.state.until_closed() => break,
                ready = self.socket.readable() => ready,
            };
            if ready.is_err() {
                break;
            }
            for _ in 0..BATCH {
                match self.socket.receive(&mut space) {
                    Ok(datagram) => {
                        let payload = space.get(..datagram.length).unwrap_or_default();
                        self.take(worker, &datagram, payload);
                    }
                    // Nothing more, or an error that some reply of ours caused.
                    Err(_) => break,
                }
            }
            tokio::task::yield_now().await;
        }
        self.end_where(worker, |_| true);
        let state = Rc::clone(&self.state);
        drop(self);
        state.release();
    }

    fn take(self: &Rc<Self>, worker: &Rc<Worker>, datagram: &Datagram, payload: &[u8]) {
        let totals = &worker.counters.totals;
        count(&totals.udp_received);
        let key = FlowKey { client: datagram.from, asked: datagram.asked };
        if self.is_own(worker, &key) {
            count(&totals.udp_drops);
            return;
        }
        let known = self.flows.borrow().get(&key);
        if let Some(flow) = known {
            match flow.send(worker, payload) {
                Ok(()) => return,
                // The endpoint is gone: the datagram goes another way.
                Err(reason) => self.end(worker, &key, Some(reason)),
            }
        }
        if self.open(worker, key, payload).is_none() {
            count(&totals.udp_drops);
        }
    }

    /// Whether a datagram claims to come from a port of ours: answered, it would go round in
    /// circles. Port 0 cannot be answered at all.
    fn is_own(&self, worker: &Worker, key: &FlowKey) -> bool {
        let (ip, port) = (key.client.ip(), key.client.port());
        let bound = match self.state.key.address {
            ir::BindAddress::Ip(ip) => Some(ip),
            ir::BindAddress::Any => key.asked,
        };
        port == 0
            || ((ip.is_loopback() || bound.is_none_or(|bound| bound.to_canonical() == ip))
                && worker.serves_udp(port))
    }

    /// Opens a flow with its first datagram.
    fn open(self: &Rc<Self>, worker: &Rc<Worker>, key: FlowKey, payload: &[u8]) -> Option<()> {
        let mut record = Record::new(Kind::Udp, worker.clock.now(), key.client);
        let opened = self.planned(worker, &mut record).and_then(|plan| {
            let victim = self.flows.borrow().room_for(&key, &worker.random)?;
            if let Some(victim) = victim {
                count(&worker.counters.totals.udp_evictions);
                self.end(worker, &victim, Some(Reason::FlowEvicted));
            }
            Flow::open(worker, key, plan, &mut record, payload)
        });
        match opened {
            Ok(flow) => {
                let flow = Rc::new(flow);
                flow.run(worker, self);
                self.flows.borrow_mut().insert(key, flow);
                worker.deadlines.nudge();
                Some(())
            }
            Err(reason) => {
                record.reason = Some(reason);
                record.finish(worker, None);
                None
            }
        }
    }

    fn planned(&self, worker: &Worker, record: &mut Record) -> Result<Plan, Reason> {
        let table = worker.table().ok_or(Reason::NoListener)?;
        let listener = only_listener(&table, &self.state.key).ok_or(Reason::NoListener)?;
        plan(worker, &table, listener, None, &mut record.known)
    }

    fn end(&self, worker: &Worker, key: &FlowKey, reason: Option<Reason>) {
        let flow = self.flows.borrow_mut().remove(key);
        if let Some(flow) = flow {
            flow.finish(worker, reason);
        }
    }

    /// Ends what idled too long. Returns how many flows remain.
    pub(crate) fn sweep(&self, worker: &Worker) -> usize {
        let now = worker.clock.now();
        let longest = worker.limits.udp_idle;
        self.end_where(worker, |flow| flow.idles(now, longest));
        self.flows.borrow().len()
    }

    /// Ends flows whose way the table does not hold any more.
    pub(crate) fn revise(&self, worker: &Worker, table: &Table) {
        let entry = entry_of(table, &self.state.key);
        self.end_where(worker, |flow| !entry.is_some_and(|entry| flow.plan.is_among(entry)));
    }

    fn end_where(&self, worker: &Worker, wanted: impl Fn(&Flow) -> bool) {
        let keys = self.flows.borrow().keys_where(wanted);
        keys.iter().for_each(|key| self.end(worker, key, None));
    }
}

fn entry_of<'t>(table: &'t Table, key: &PortKey) -> Option<&'t L4Entry> {
    Some(&**table.ports.get(key)?.listener_for("")?.l4_for(None)?)
}
