//! The attempts of one request: which endpoint is next, and when.

use std::{
    future::poll_fn,
    net::SocketAddr,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use ir::Rule;
use smallvec::SmallVec;

use crate::{
    http::{connection::Connection, local::Answer, record::Record, request::Plan, retry::Retries},
    observe::{metrics::count, reason::Reason},
    upstream::{balance, endpoints::InFlight, health, reach::Reach, stream::UpstreamStream},
    worker::Worker,
};

/// What one request has tried, and may still try.
pub(super) struct Tries<'t> {
    pub(super) retries: Retries<'t>,
    /// Endpoints that failed; they are passed over while there are others.
    pub(super) tried: SmallVec<[SocketAddr; 4]>,
    /// Pooled connections are not trusted any more.
    pub(super) fresh: bool,
    /// The request is an upgrade to WebSocket.
    websocket: bool,
    /// Of the rule's whole request.
    pub(super) deadline: Option<Instant>,
}

impl<'t> Tries<'t> {
    pub(super) fn new(
        rule: &'t Rule,
        worker: &Worker,
        record: &Record<'_>,
        websocket: bool,
    ) -> Self {
        let timeout = rule.timeouts.request;
        Self {
            websocket,
            retries: Retries::new(rule, &worker.limits),
            tried: SmallVec::new(),
            fresh: false,
            deadline: timeout.and_then(|timeout| record.start.checked_add(timeout)),
        }
    }

    /// Brings the deadline forward.
    pub(super) fn hurry(&mut self, deadline: Option<Instant>) {
        self.deadline = match (self.deadline, deadline) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }

    /// An endpoint and a connection to it; other endpoints are tried while connects fail.
    pub(super) async fn pick(
        &mut self,
        worker: &Rc<Worker>,
        connection: &mut Connection,
        plan: &Plan<'t>,
        record: &mut Record<'t>,
    ) -> Result<(InFlight, UpstreamStream, bool), Answer> {
        let mut last = Reason::NoEndpoint;
        loop {
            let Some(pick) = self.choose(worker, plan) else {
                if self.tried.is_empty() || !self.retries.begin_again() {
                    return Err(Answer::of(last));
                }
                self.tried.clear();
                if last != Reason::NoEndpoint && !self.wait(worker, connection).await {
                    return Err(Answer::of(Reason::RequestTimeout));
                }
                continue;
            };
            record.attempts = record.attempts.saturating_add(1);
            if record.attempts > 1 {
                count(&worker.counters.totals.retried);
            }
            let address = pick.entry().endpoint.address;
            record.endpoint = Some(address);
            let before = worker.clock.now();
            let reach = Reach {
                worker,
                timer: &connection.timer,
                cluster: plan.cluster,
                entry: pick.entry(),
                client: plan.cluster.id.0.proxy_protocol.and_then(|_| connection.hop()),
                fresh: self.fresh,
                websocket: self.websocket,
                deadline: self.deadline,
            };
            match reach.stream().await {
                Ok((stream, reused)) => {
                    record.detail = "";
                    if !reused {
                        record.connect = Some(worker.clock.now().saturating_duration_since(before));
                    }
                    return Ok((pick, stream, reused));
                }
                Err(error) => {
                    last = error.reason;
                    record.detail = error.detail;
                    // Neither says anything of this endpoint in particular.
                    let others =
                        [Reason::RequestTimeout, Reason::Shed, Reason::WebsocketUnsupported];
                    if others.contains(&last) {
                        return Err(Answer::of(last));
                    }
                    hold_against(worker, plan, &pick);
                    if !self.retries.after_connect() {
                        return Err(Answer::of(last));
                    }
                    self.retries.take();
                    self.tried.push(address);
                }
            }
        }
    }

    fn choose(&self, worker: &Worker, plan: &Plan<'_>) -> Option<InFlight> {
        let wanted = plan.session.as_ref().and_then(|session| session.wanted());
        let pinned = wanted.and_then(|token| balance::pinned(plan.cluster, token, &self.tried));
        pinned.or_else(|| balance::pick(plan.cluster, &worker.random, &self.tried))
    }

    /// Takes a retry and waits for its time.
    pub(super) async fn pause(
        &mut self,
        worker: &Rc<Worker>,
        connection: &Connection,
        record: &Record<'_>,
    ) -> Result<(), Answer> {
        self.retries.take();
        self.tried.extend(record.endpoint);
        if self.wait(worker, connection).await {
            Ok(())
        } else {
            Err(Answer::of(Reason::RequestTimeout))
        }
    }

    /// Waits before the next attempt; false when the request's time is up before.
    async fn wait(&self, worker: &Worker, connection: &Connection) -> bool {
        let pause = self.retries.pause(&worker.limits, &worker.random);
        connection.timer.arm_until(pause, self.deadline);
        let passed = |_: &mut Context<'_>| {
            if connection.timer.expired() { Poll::Ready(()) } else { Poll::Pending }
        };
        poll_fn(passed).await;
        // What fired must not end the attempt that follows.
        connection.timer.arm(worker.limits.response_idle);
        self.deadline.is_none_or(|deadline| worker.clock.now() < deadline)
    }
}

/// Holds an attempt without an answer against its endpoint.
pub(super) fn hold_against(worker: &Worker, plan: &Plan<'_>, pick: &InFlight) {
    if health::failed(plan.cluster, pick.entry()) {
        count(&worker.counters.totals.ejected);
    }
}
