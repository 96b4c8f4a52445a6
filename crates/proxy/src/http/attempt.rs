//! One exchange: the decision, then attempts until one of them answers.

use std::{future::poll_fn, net::SocketAddr, rc::Rc, task::Poll, time::Instant};

use http1::BodyEvent;
use smallvec::SmallVec;

use crate::{
    http::{
        connection::{After, Connection},
        exchange::{End, Exchange, Fault, Flow},
        forward,
        local::{self, Answer, Shape},
        mirror,
        record::Record,
        request::{Decision, Plan, decide},
        scratch::Scratch,
        upgrade,
    },
    observe::{metrics::count, reason::Reason},
    upstream::{balance, connect::connect, endpoints::InFlight, pool, stream::UpstreamStream},
    worker::Worker,
};

/// Serves the request whose head is in `scratch.input`.
pub(crate) async fn serve(connection: &mut Connection, scratch: &mut Scratch) -> After {
    let worker = Rc::clone(&connection.worker);
    let Some(table) = worker.table() else { return After::Close };
    connection.count_request();
    let mut record = Record::new(worker.clock.now());
    record.add_received(scratch.input.kept().len());
    scratch.request_body.start_request(scratch.request.framing());
    let after = match decide(connection, &table, scratch, &mut record) {
        Decision::Answer(answer) => {
            respond(&worker, connection, scratch, answer, &mut record).await
        }
        Decision::Forward(plan) => {
            forward_request(&worker, connection, scratch, &plan, &mut record).await
        }
    };
    record.finish(&worker, connection, scratch, &table);
    after
}

/// Sends an answer of ours, then makes the connection fit for the next request.
async fn respond(
    worker: &Rc<Worker>,
    connection: &mut Connection,
    scratch: &mut Scratch,
    mut answer: Answer,
    record: &mut Record<'_>,
) -> After {
    let body = &scratch.request_body;
    let drain = u64::try_from(worker.limits.drain_body).unwrap_or(u64::MAX);
    let unread = !body.is_done() && body.remaining().is_none_or(|left| left > drain);
    let waits = !body.is_done() && scratch.request.expect_continue();
    answer.close |= unread || waits || !scratch.request.keep_alive() || connection.is_last();
    let shape = Shape { method: scratch.request.method(), version: scratch.request.version() };
    local::write(worker, scratch, &answer, record, shape);
    if !local::send(connection, scratch, record).await || answer.close {
        return After::Close;
    }
    drain_body(worker, connection, scratch).await
}

/// Reads and drops what is left of the request body, within bounds.
async fn drain_body(
    worker: &Rc<Worker>,
    connection: &mut Connection,
    scratch: &mut Scratch,
) -> After {
    if scratch.request_body.is_done() {
        return After::KeepAlive;
    }
    let mut left = worker.limits.drain_body;
    connection.timer.arm(worker.limits.body_idle);
    poll_fn(|cx| {
        loop {
            let Scratch { input, request_body, .. } = &mut *scratch;
            match request_body.decode(input.unread(), &worker.limits.head) {
                Err(_) => return Poll::Ready(After::Close),
                Ok(BodyEvent::End { consumed }) => {
                    input.consume(consumed);
                    return Poll::Ready(After::KeepAlive);
                }
                Ok(BodyEvent::Data { end, .. }) => {
                    input.consume(end);
                    if end > left {
                        return Poll::Ready(After::Close);
                    }
                    left = left.saturating_sub(end);
                    continue;
                }
                Ok(BodyEvent::NeedMore) => {
                    let count = input.len();
                    input.consume(count);
                }
            }
            match connection.stream.poll_read(cx, input.space()) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(After::Close),
                Poll::Ready(Ok(read)) => {
                    input.filled(read);
                    connection.received(read);
                }
                Poll::Pending if connection.timer.expired() => {
                    return Poll::Ready(After::Close);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

/// How an attempt leaves the request.
enum Tried {
    Over(After),
    Upgraded(UpstreamStream),
    Failed(Answer),
    /// The pooled connection was dead; nothing was lost.
    Stale,
}

async fn forward_request<'t>(
    worker: &Rc<Worker>,
    connection: &mut Connection,
    scratch: &mut Scratch,
    plan: &Plan<'t>,
    record: &mut Record<'t>,
) -> After {
    let listener = &plan.found.listener.listener;
    if forward::write_head(connection, listener, scratch).is_err() {
        let answer = Answer::of(Reason::FilterFailed);
        return respond(worker, connection, scratch, answer, record).await;
    }
    let timeouts = plan.found.entry.rule.timeouts;
    let deadline = timeouts.request.and_then(|timeout| record.start.checked_add(timeout));
    let mut tees = mirror::start(worker, connection, scratch, plan);
    let mut flow = Flow::new();
    let mut tried = SmallVec::<[SocketAddr; 4]>::new();
    let mut fresh = false;
    loop {
        let outcome =
            match pick(worker, connection, plan, record, &mut tried, fresh, deadline).await {
                Err(answer) => Tried::Failed(answer),
                Ok((pick, upstream, reused)) => {
                    let mut run = Run {
                        worker,
                        connection,
                        scratch,
                        plan,
                        record,
                        tees: &mut tees,
                        flow: &mut flow,
                        deadline,
                    };
                    run.attempt(&pick, upstream, reused).await
                }
            };
        match outcome {
            Tried::Stale => fresh = true,
            Tried::Over(After::KeepAlive) => {
                flow.abandon(&mut scratch.input);
                return drain_body(worker, connection, scratch).await;
            }
            Tried::Over(After::Close) => return After::Close,
            Tried::Upgraded(upstream) => {
                count(&worker.counters.totals.tunnels);
                upgrade::tunnel(worker, connection, scratch, upstream, record).await;
                return After::Close;
            }
            Tried::Failed(answer) => {
                flow.abandon(&mut scratch.input);
                return respond(worker, connection, scratch, answer, record).await;
            }
        }
    }
}

/// An endpoint and a connection to it; other endpoints are tried while connects fail.
async fn pick<'t>(
    worker: &Rc<Worker>,
    connection: &mut Connection,
    plan: &Plan<'t>,
    record: &mut Record<'t>,
    tried: &mut SmallVec<[SocketAddr; 4]>,
    fresh: bool,
    deadline: Option<Instant>,
) -> Result<(InFlight, UpstreamStream, bool), Answer> {
    let no_failover = plan.found.entry.rule.retry.as_ref().is_some_and(|r| r.attempts == 0);
    let most = if no_failover { 1 } else { worker.limits.connect_attempts };
    let mut last = Reason::NoEndpoint;
    for attempt in 0..most {
        let Some(pick) = balance::pick(plan.cluster, &worker.random, tried) else { break };
        record.attempts = record.attempts.saturating_add(1);
        if attempt > 0 || record.attempts > 1 {
            count(&worker.counters.totals.retried);
        }
        let address = pick.entry().endpoint.address;
        record.endpoint = Some(address);
        if !fresh && let Some(tcp) = pool::take(pick.entry()) {
            count(&worker.counters.totals.reused);
            return Ok((pick, tcp, true));
        }
        let before = worker.clock.now();
        match connect(worker, &connection.timer, plan.cluster, address, deadline).await {
            Ok(tcp) => {
                record.detail = "";
                record.connect = Some(worker.clock.now().saturating_duration_since(before));
                return Ok((pick, tcp, false));
            }
            Err(error) => {
                last = error.reason;
                record.detail = error.detail;
                if last == Reason::RequestTimeout {
                    break;
                }
                tried.push(address);
            }
        }
    }
    Err(Answer::of(last))
}

/// What one attempt works with.
struct Run<'a, 't> {
    worker: &'a Rc<Worker>,
    connection: &'a mut Connection,
    scratch: &'a mut Scratch,
    plan: &'a Plan<'t>,
    record: &'a mut Record<'t>,
    tees: &'a mut Vec<mirror::Tee>,
    flow: &'a mut Flow,
    deadline: Option<Instant>,
}

impl Run<'_, '_> {
    async fn attempt(
        &mut self,
        pick: &InFlight,
        mut upstream: UpstreamStream,
        reused: bool,
    ) -> Tried {
        let now = self.worker.clock.now();
        let timeout = self.plan.found.entry.rule.timeouts.backend_request;
        let attempt_deadline = timeout.and_then(|timeout| now.checked_add(timeout));
        let mut exchange = Exchange::new(
            self.connection,
            self.scratch,
            self.worker,
            &mut upstream,
            self.plan,
            self.record,
            self.tees,
            self.flow,
            (self.deadline, attempt_deadline),
        );
        let ended = poll_fn(|cx| exchange.poll(cx)).await;
        let heard = exchange.heard();
        match ended {
            Ok(End::Complete) => {
                if self.flow.reusable {
                    let most = self.worker.limits.pool_per_endpoint;
                    pool::give(pick.entry(), upstream, self.worker.clock.now(), most);
                    self.worker.deadlines.nudge();
                }
                let close = self.flow.close;
                Tried::Over(if close { After::Close } else { After::KeepAlive })
            }
            Ok(End::Upgraded) => Tried::Upgraded(upstream),
            Err(fault) => self.failed(fault, reused && !heard),
        }
    }

    fn failed(&mut self, fault: Fault, unheard_reuse: bool) -> Tried {
        let (reason, detail) = match fault {
            Fault::ClientGone => (Reason::ClientGone, ""),
            Fault::BadBody(error) => (Reason::BadBody, error.label()),
            Fault::Expired(reason) => (reason, ""),
            Fault::UpstreamClosed => (Reason::UpstreamReset, ""),
            Fault::UpstreamProtocol(detail) => (Reason::UpstreamProtocol, detail),
        };
        let unsent = self.scratch.to_upstream.sent == 0;
        let repeatable = unsent || self.scratch.request.method().is_idempotent();
        if fault == Fault::UpstreamClosed && unheard_reuse && self.flow.replayable && repeatable {
            return Tried::Stale;
        }
        self.record.detail = detail;
        if fault == Fault::ClientGone || reason == Reason::WriteTimeout {
            self.record.reason = Some(reason);
            if fault == Fault::ClientGone && self.record.status == 0 {
                self.record.status = reason.status();
            }
            return Tried::Over(After::Close);
        }
        if self.flow.answered {
            let upstream = [Reason::UpstreamReset, Reason::UpstreamProtocol].contains(&reason);
            self.record.reason = Some(if upstream { Reason::ResponseAborted } else { reason });
            return Tried::Over(After::Close);
        }
        self.scratch.response_overlay.clear();
        let mut answer = Answer::of(reason);
        if let Fault::BadBody(error) = fault {
            answer.status = error.status();
        }
        answer.close |= [Reason::BadBody, Reason::BodyTimeout].contains(&reason);
        Tried::Failed(answer)
    }
}
