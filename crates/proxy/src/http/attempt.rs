//! One exchange: the decision, then attempts until one of them answers.

use std::{future::poll_fn, rc::Rc, task::Poll, time::Duration};

use http1::{BodyEvent, BodyFraming};

use crate::{
    http::{
        auth,
        connection::{After, Connection},
        exchange::{End, Exchange, Fault, Flow},
        forward, grpc,
        local::{self, Answer, Shape},
        mirror,
        record::Record,
        request::{Decision, Plan, decide},
        scratch::Scratch,
        tries::{Tries, hold_against},
        upgrade,
    },
    http2::{backend::Failure, websocket},
    observe::{metrics::count, reason::Reason},
    pressure::{Held, Pressure},
    stream::Multiplexed as _,
    upstream::{endpoints::InFlight, health, pool, stream::UpstreamStream},
    worker::Worker,
};

/// How long a stream of HTTP/2 may still send after its answer. To end it at once would take a reset
/// (RFC 9113 8.1), and some clients then forget the answer that they have.
const STREAM_LINGER: Duration = Duration::from_secs(1);

/// Serves the request whose head is in `scratch.input`.
pub(crate) async fn serve(connection: &mut Connection, scratch: &mut Scratch) -> After {
    let worker = Rc::clone(&connection.worker);
    let Some(table) = worker.table() else { return After::Close };
    connection.count_request();
    let mut record = Record::new(worker.clock.now());
    record.add_received(scratch.input.kept().len());
    // A body of HTTP/2 ends with its stream; what its length promised was checked there.
    let framing = scratch.request.framing();
    let until_end = connection.stream.is_http2() && framing != BodyFraming::None;
    let framing = if until_end { BodyFraming::UntilClose } else { framing };
    scratch.request_body.start_request(framing);
    let mut decision = decide(connection, &table, scratch, &mut record);
    while let Decision::Ask(asking) = decision {
        // Apart, so that requests without such filters do not pay for the size of it.
        let asked = auth::ask(connection, &table, scratch, asking, &mut record);
        decision = Box::pin(asked).await;
    }
    let after = match decision {
        Decision::Ask(_) => After::Close,
        Decision::Answer(answer) => {
            respond(&worker, connection, scratch, answer, &mut record).await
        }
        Decision::Forward(plan) => match connection.held.take().or_else(|| Held::take(&worker)) {
            Some(held) => {
                forward_request(&worker, connection, scratch, &plan, &mut record, held).await
            }
            None => {
                count(&worker.counters.totals.shed);
                let answer = Answer::closing(Reason::Shed);
                respond(&worker, connection, scratch, answer, &mut record).await
            }
        },
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
    if answer.reason == Reason::Shed && connection.stream.is_http2() {
        // A body would wait for a window, and hold what is short.
        answer.body = Some(Vec::new());
    }
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
    let http2 = connection.stream.is_http2();
    connection.timer.arm(if http2 { STREAM_LINGER } else { worker.limits.body_idle });
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
    /// It failed in a way that the rule retries.
    Retry,
    /// An HTTP/2 endpoint did not look at it, and another attempt is left.
    Refused,
}

async fn forward_request<'t>(
    worker: &Rc<Worker>,
    connection: &mut Connection,
    scratch: &mut Scratch,
    plan: &Plan<'t>,
    record: &mut Record<'t>,
    held: Held,
) -> After {
    let listener = &plan.found.listener.listener;
    if forward::write_head(connection, listener, scratch).is_err() {
        let answer = Answer::of(Reason::FilterFailed);
        return respond(worker, connection, scratch, answer, record).await;
    }
    let websocket = websocket::is_asked(&scratch.request, scratch.input.kept());
    let mut tries = Tries::new(&plan.found.entry.rule, worker, record, websocket);
    tries.hurry(grpc_timeout(scratch).and_then(|asked| record.start.checked_add(asked)));
    let mut tees = mirror::start(worker, connection, scratch, plan);
    let mut flow = Flow::new(scratch.to_upstream.bytes.len());
    plan.cluster.budget.request(record.start);
    loop {
        flow.retries_codes = !tries.retries.after_codes().is_empty();
        let outcome = match tries.pick(worker, connection, plan, record).await {
            Err(answer) => Tried::Failed(answer),
            Ok((pick, upstream, reused)) => {
                if plan.session.is_some() {
                    scratch.names.session.clear();
                    scratch.names.session.push_str(pick.entry().token());
                }
                let mut run = Run {
                    worker,
                    connection,
                    scratch,
                    plan,
                    record,
                    tees: &mut tees,
                    flow: &mut flow,
                    tries: &tries,
                };
                run.attempt(&pick, upstream, reused).await
            }
        };
        match outcome {
            Tried::Stale => tries.fresh = true,
            Tried::Retry => {
                if let Err(answer) = tries.pause(worker, connection, record).await {
                    flow.abandon(&mut scratch.input);
                    return respond(worker, connection, scratch, answer, record).await;
                }
            }
            Tried::Refused => tries.retries.take(),
            Tried::Over(After::KeepAlive) => {
                flow.abandon(&mut scratch.input);
                return drain_body(worker, connection, scratch).await;
            }
            Tried::Over(After::Close) => return After::Close,
            Tried::Upgraded(upstream) => {
                // What a tunnel holds is bounded by itself, and it may last for hours.
                drop(held);
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

/// The deadline that a gRPC client set.
fn grpc_timeout(scratch: &Scratch) -> Option<Duration> {
    if !scratch.names.grpc {
        return None;
    }
    grpc::timeout(scratch.request.fields(), scratch.input.kept())
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
    tries: &'a Tries<'t>,
}

impl Run<'_, '_> {
    async fn attempt(
        &mut self,
        pick: &InFlight,
        mut upstream: UpstreamStream,
        reused: bool,
    ) -> Tried {
        if !self.flow.fits(&upstream, self.scratch) {
            return Tried::Failed(Answer::of(Reason::UpstreamReset));
        }
        if self.worker.peers.memory.pressure() >= Pressure::Requests {
            // Many may have come here since they were let in; each would now take its buffers.
            count(&self.worker.counters.totals.shed);
            return Tried::Failed(Answer::closing(Reason::Shed));
        }
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
            (self.tries.deadline, attempt_deadline),
        );
        let ended = poll_fn(|cx| exchange.poll(cx)).await;
        let heard = exchange.heard();
        let failure = upstream.http2().and_then(|stream| stream.failure());
        let refused = failure == Some(Failure::Refused);
        if ended.is_ok() || ended == Err(Fault::Retry) {
            health::succeeded(pick.entry());
        }
        match ended {
            Ok(End::Complete) => {
                // A connection that told who the client is serves no other client.
                let shared = self.plan.cluster.id.0.proxy_protocol.is_none();
                if self.flow.reusable && shared {
                    let most = self.worker.limits.pool_per_endpoint;
                    pool::give(pick.entry(), upstream, self.worker.clock.now(), most);
                    self.worker.deadlines.nudge();
                }
                let close = self.flow.close;
                Tried::Over(if close { After::Close } else { After::KeepAlive })
            }
            Ok(End::Upgraded) => Tried::Upgraded(upstream),
            Err(Fault::UpstreamClosed) if refused && !heard && self.flow.replayable => {
                if self.tries.retries.after_connect() {
                    Tried::Refused
                } else {
                    Tried::Failed(Answer::of(Reason::UpstreamRefused))
                }
            }
            Err(fault) => {
                // A reset is the endpoint's answer; a connection that had ended before is none.
                let unheard = reused && !heard && failure != Some(Failure::Reset);
                self.failed(pick, fault, unheard)
            }
        }
    }

    /// `unheard` says that the connection had carried others and may have ended before.
    fn failed(&mut self, pick: &InFlight, fault: Fault, unheard: bool) -> Tried {
        let (reason, detail) = match fault {
            Fault::ClientGone => (Reason::ClientGone, ""),
            Fault::BadBody(error) => (Reason::BadBody, error.label()),
            Fault::Expired(reason) => (reason, ""),
            Fault::UpstreamClosed => (Reason::UpstreamReset, ""),
            Fault::UpstreamProtocol(detail) => (Reason::UpstreamProtocol, detail),
            Fault::Retry => return Tried::Retry,
            Fault::Unsayable => (Reason::FilterFailed, ""),
        };
        let unsent = self.scratch.to_upstream.sent == 0;
        let repeatable = unsent || self.scratch.request.method().is_idempotent();
        if fault == Fault::UpstreamClosed && unheard && self.flow.replayable && repeatable {
            return Tried::Stale;
        }
        if [Reason::UpstreamReset, Reason::UpstreamProtocol].contains(&reason)
            && !self.flow.answered
        {
            hold_against(self.worker, self.plan, pick);
        }
        if self.may_repeat(reason, repeatable) {
            return Tried::Retry;
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
            self.end_call(reason);
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

    /// Whether the rule retries an attempt that was lost on its way.
    fn may_repeat(&self, reason: Reason, repeatable: bool) -> bool {
        let lost = [Reason::BackendTimeout, Reason::UpstreamProtocol, Reason::UpstreamReset];
        lost.contains(&reason)
            && self.flow.replayable
            && !self.flow.answered
            && self.tries.retries.after_loss(repeatable)
            && self.plan.cluster.budget.take(self.worker.clock.now())
    }

    /// Tells a gRPC client the outcome of a call whose response was cut.
    fn end_call(&mut self, reason: Reason) {
        if self.scratch.names.grpc
            && let Some(client) = self.connection.stream.http2()
        {
            let code = grpc::Code::of(reason, reason.status()).as_str();
            let message = reason.as_str().as_bytes();
            let trailers = [(&b"grpc-status"[..], code.as_bytes()), (b"grpc-message", message)];
            if client.finish(trailers.into_iter()).is_err() {
                tracing::debug!("a client left before its call could be ended");
            }
        }
    }
}
