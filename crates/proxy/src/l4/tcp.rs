//! The life of a connection whose bytes are not understood.

use std::{future::poll_fn, net::SocketAddr, rc::Rc, task::Poll};

use tokio::net::TcpStream;

use crate::{
    accept::{Open, PortState},
    l4::{
        plan::{Plan, only_listener, plan},
        proxy_protocol::Hop,
        record::{Kind, Record},
        relay::relay,
    },
    observe::{metrics::count, reason::Reason},
    stream::Stream,
    timer::Slot,
    upstream::{
        balance,
        connect::{Dial, connect},
        endpoints::InFlight,
        health,
        stream::UpstreamStream,
    },
    worker::Worker,
};

/// Serves a connection on a TCP port to its end.
pub(crate) async fn serve(
    _open: Open,
    worker: Rc<Worker>,
    port: Rc<PortState>,
    tcp: TcpStream,
    peer: SocketAddr,
) {
    let mut record = Record::new(Kind::Tcp, worker.clock.now(), peer);
    let timer = poll_fn(|cx| Poll::Ready(worker.slot(cx))).await;
    let planned = worker.table().ok_or(Reason::NoListener).and_then(|table| {
        let listener = only_listener(&table, &port.key).ok_or(Reason::NoListener)?;
        plan(&worker, &table, listener, None, &mut record.known)
    });
    let client = Stream::Plain(tcp);
    match planned {
        Ok(plan) => {
            let client = Client { stream: client, head: Vec::new(), peer };
            forward(&worker, &timer, &plan, client, record).await;
        }
        Err(reason) => refuse(&worker, client, reason, record),
    }
}

/// Ends a connection that cannot be served: the client sees a reset, as if nobody listened.
pub(crate) fn refuse(worker: &Worker, mut client: Stream, reason: Reason, mut record: Record) {
    client.reset();
    record.reason = Some(reason);
    record.finish(worker, None);
}

/// A client's connection, and what was read from it already.
pub(crate) struct Client {
    pub(crate) stream: Stream,
    pub(crate) head: Vec<u8>,
    pub(crate) peer: SocketAddr,
}

/// Connects to an endpoint of the plan and copies until the end.
pub(crate) async fn forward(
    worker: &Worker,
    timer: &Slot,
    plan: &Plan,
    mut client: Client,
    mut record: Record,
) {
    let opened = plan.counters.begin(plan.position);
    match reach(worker, timer, plan, &client, &mut record).await {
        Ok((_in_flight, mut endpoint)) => {
            let heads = [client.head, Vec::new()];
            let count = |received, sent| {
                opened.add(received, sent);
                record.received = record.received.saturating_add(received);
                record.sent = record.sent.saturating_add(sent);
            };
            let stream = &mut client.stream;
            record.reason = relay(worker, timer, stream, &mut endpoint, heads, count).await;
            // So that neither takes what it has for the whole.
            if record.reason.is_some() {
                stream.reset();
                endpoint.reset();
            }
        }
        Err(reason) => {
            client.stream.reset();
            record.reason = Some(reason);
        }
    }
    if record.reason.is_some() {
        opened.fail();
    }
    record.finish(worker, Some(plan));
}

/// A connection to an endpoint; others are tried while connects fail.
async fn reach(
    worker: &Worker,
    timer: &Slot,
    plan: &Plan,
    client: &Client,
    record: &mut Record,
) -> Result<(InFlight, UpstreamStream), Reason> {
    let mut tried = Vec::new();
    let mut last = Reason::NoEndpoint;
    let destination = client.stream.local_addr();
    let hop = destination.map(|destination| Hop { source: client.peer, destination });
    for _ in 0..worker.limits.connect_attempts {
        let Some(pick) = balance::pick(&plan.cluster, &worker.random, &tried) else { break };
        let address = pick.entry().endpoint.address;
        record.attempts = record.attempts.saturating_add(1);
        record.endpoint = Some(address);
        if record.attempts > 1 {
            count(&worker.counters.totals.retried);
        }
        let before = worker.clock.now();
        let dial =
            Dial { cluster: &plan.cluster, address, client: hop, http1: false, deadline: None };
        match connect(worker, timer, &dial).await {
            Ok(stream) => {
                health::succeeded(pick.entry());
                record.detail = "";
                record.connect = Some(worker.clock.now().saturating_duration_since(before));
                return Ok((pick, stream));
            }
            Err(error) => {
                last = error.reason;
                record.detail = error.detail;
                if health::failed(&plan.cluster, pick.entry()) {
                    count(&worker.counters.totals.ejected);
                }
                tried.push(address);
            }
        }
    }
    Err(last)
}
