//! Filter ExternalAuth (GEP-1494): another service is asked whether a request may pass.
//!
//! Fail closed: whatever keeps the service from giving a usable answer in time refuses the
//! request. Nothing here runs for a request without such a filter; one that has it waits in its own
//! task, and holds the part of its body that the service sees, a bounded one.

mod body;
mod call;
mod check;
mod http_form;
mod protobuf;
mod query;
mod shown;

use std::{
    future::{Future as _, poll_fn},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Instant,
};

use ir::{AuthProtocol, ClusterIndex, ExternalAuth, FieldName, FieldValue, Filter, Listener};

use self::{call::Reply, shown::Shown};
use crate::{
    http::{
        connection::Connection,
        forwarded,
        local::Answer,
        record::Record,
        request::{self, Asking, Decision},
        scratch::Scratch,
    },
    observe::reason::Reason,
    upstream::endpoints::ClusterState,
    worker::WorkerTable,
};

/// Why a service could not decide, in one word for the access log.
type Failure = &'static str;

/// What a service says.
enum Verdict {
    Allowed(Edits),
    Denied(Denial),
}

/// What the request, and then its response, take on. `Host` is never among it.
#[derive(Default)]
struct Edits {
    set: Vec<(FieldName, FieldValue)>,
    add: Vec<(FieldName, FieldValue)>,
    /// Only where the request has none.
    default: Vec<(FieldName, FieldValue)>,
    /// Only where the request has one.
    replace: Vec<(FieldName, FieldValue)>,
    remove: Vec<FieldName>,
    response: Vec<(FieldName, FieldValue)>,
    query_set: Vec<(String, String)>,
    query_remove: Vec<String>,
}

/// The answer that a service gives in place of the backend.
struct Denial {
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A request in the form of one service.
struct Message {
    method: http1::Method,
    /// Lines of HTTP/1.1.
    head: Vec<u8>,
    body: Vec<u8>,
}

/// Asks the services of one stage in their order, and goes on where all of them let it pass.
pub(super) async fn ask<'t>(
    connection: &mut Connection,
    table: &'t WorkerTable,
    scratch: &mut Scratch,
    asking: Asking<'t>,
    record: &mut Record<'t>,
) -> Decision<'t> {
    match asking {
        Asking::Listener(arrived, entry) => {
            let stage = Stage { table, listener: &entry.listener, deadline: None };
            let asked = (entry.listener.filters.as_slice(), entry.auths.as_slice());
            match stage.run(connection, scratch, asked, record).await {
                Ok(()) => request::match_rule(connection, table, scratch, arrived, record),
                Err(answer) => Decision::Answer(answer),
            }
        }
        Asking::Rule(found, chosen) => {
            let rule = &found.entry.rule;
            let timeout = rule.timeouts.request;
            let deadline = timeout.and_then(|timeout| record.start.checked_add(timeout));
            let stage = Stage { table, listener: &found.listener.listener, deadline };
            let of_rule = (rule.filters.as_slice(), found.entry.auths.as_slice());
            let of_backend = chosen.map(|(_, backend, entry)| (&*backend.filters, &*entry.auths));
            for asked in [Some(of_rule), of_backend].into_iter().flatten() {
                if let Err(answer) = stage.run(connection, scratch, asked, record).await {
                    return Decision::Answer(answer);
                }
            }
            request::run(connection, table, scratch, found, chosen)
        }
    }
}

/// Where services are asked.
struct Stage<'t> {
    table: &'t WorkerTable,
    listener: &'t Listener,
    /// Of the rule's whole request.
    deadline: Option<Instant>,
}

impl Stage<'_> {
    async fn run(
        &self,
        connection: &mut Connection,
        scratch: &mut Scratch,
        (filters, clusters): (&[Filter], &[Option<ClusterIndex>]),
        record: &mut Record<'_>,
    ) -> Result<(), Answer> {
        for (auth, cluster) in ir::exec::auths(filters).zip(clusters) {
            let position = cluster.and_then(|index| usize::try_from(index.0).ok());
            let cluster = position.and_then(|index| self.table.clusters.get(index));
            let Some(cluster) = cluster else {
                return Err(Answer::of(Reason::InvalidBackend));
            };
            match self.one(connection, scratch, auth, cluster, record).await? {
                Ok(Verdict::Allowed(edits)) => take(scratch, edits),
                Ok(Verdict::Denied(denial)) => return Err(refusal(denial)),
                Err(failure) => {
                    record.detail = failure;
                    return Err(Answer::of(Reason::AuthFailed));
                }
            }
        }
        Ok(())
    }

    /// What one service says. The outer error is about the request itself.
    async fn one(
        &self,
        connection: &mut Connection,
        scratch: &mut Scratch,
        auth: &ExternalAuth,
        cluster: &Rc<ClusterState>,
        record: &mut Record<'_>,
    ) -> Result<Result<Verdict, Failure>, Answer> {
        let most = usize::try_from(auth.body_max).unwrap_or(usize::MAX);
        let body = if most == 0 {
            Vec::new()
        } else {
            body::read(connection, scratch, most, record).await?
        };
        let worker = Rc::clone(&connection.worker);
        let Some(message) = write(self.listener, connection, scratch, auth, cluster, body) else {
            return Ok(Err("unsayable"));
        };
        let own = worker.clock.now().checked_add(worker.limits.auth_timeout);
        let deadline = match (own, self.deadline) {
            (Some(own), Some(deadline)) => Some(own.min(deadline)),
            (own, deadline) => own.or(deadline),
        };
        let grpc = auth.protocol == AuthProtocol::Grpc;
        let mut asked = pin!(call::call(&worker, cluster, message, grpc, deadline));
        let replied = poll_fn(|cx| match asked.as_mut().poll(cx) {
            Poll::Ready(replied) => Poll::Ready(Some(replied)),
            Poll::Pending => connection.poll_left(cx, &mut scratch.input).map(|()| None),
        });
        let Some(replied) = replied.await else {
            return Err(Answer::closing(Reason::ClientGone));
        };
        Ok(replied.and_then(|reply| read(auth, &reply)))
    }
}

/// The question of a request; `None` when it cannot be said.
fn write(
    listener: &Listener,
    connection: &Connection,
    scratch: &Scratch,
    auth: &ExternalAuth,
    cluster: &ClusterState,
    body: Vec<u8>,
) -> Option<Message> {
    let Scratch { input, request, names, request_overlay, .. } = scratch;
    let bytes = input.kept();
    let view = request::View::edited(request, bytes, &names.host, &names.path, request_overlay);
    let arrival = forwarded::arrival(connection, &names.authority, listener.port);
    let judged = ir::forwarded::Judged::new(&view, &listener.http.trusted_peers, arrival);
    let shown = Shown {
        judged,
        request,
        bytes,
        names,
        overlay: request_overlay,
        authority: &names.authority,
        peer: connection.peer,
        local: connection.stream.local_addr(),
        http2: connection.stream.is_http2(),
    };
    match &auth.protocol {
        AuthProtocol::Grpc => check::write(&shown, &auth.allowed_headers, cluster, &body).ok(),
        AuthProtocol::Http { path_prefix, .. } => {
            http_form::write(&shown, path_prefix, &auth.allowed_headers, body).ok()
        }
    }
}

fn read(auth: &ExternalAuth, reply: &Reply) -> Result<Verdict, Failure> {
    match &auth.protocol {
        AuthProtocol::Grpc => check::read(reply),
        AuthProtocol::Http { allowed_response_headers, .. } => {
            http_form::read(reply, allowed_response_headers)
        }
    }
}

/// Puts edits where the filters that follow, the matcher and the serialiser find them.
fn take(scratch: &mut Scratch, edits: Edits) {
    let Edits { set, add, default, replace, remove, response, query_set, query_remove } = edits;
    let Scratch { input, request, request_overlay: overlay, added, .. } = scratch;
    for (name, value) in &set {
        overlay.set(name, value);
    }
    for (name, value) in &add {
        overlay.add(name, value);
    }
    let bytes = input.kept();
    let has = |overlay: &ir::Overlay, name: &FieldName| {
        let own = request.fields().named(name.as_str().as_bytes(), bytes).next().is_some();
        (own && overlay.keeps(name.as_str().as_bytes()))
            || overlay.fields().any(|(line, _)| name.matches(line.as_bytes()))
    };
    for (name, value) in &default {
        if !has(overlay, name) {
            overlay.set(name, value);
        }
    }
    for (name, value) in &replace {
        if has(overlay, name) {
            overlay.set(name, value);
        }
    }
    for name in &remove {
        overlay.remove(name);
    }
    if !query_set.is_empty() || !query_remove.is_empty() {
        let own = request.query().map(|query| query.of(bytes)).unwrap_or_default();
        let own = std::str::from_utf8(own).unwrap_or_default();
        let edited = query::edit(overlay.query().unwrap_or(own), &query_set, &query_remove);
        overlay.set_query(edited);
    }
    added.extend(response);
}

fn refusal(denial: Denial) -> Answer {
    let Denial { status, fields, body } = denial;
    let fields = fields.into_iter().map(|(name, value)| (name.into(), value)).collect();
    Answer { status, fields, body: Some(body), ..Answer::of(Reason::AuthDenied) }
}

/// A field of a service's answer that a request may take on; `Ok(None)` for those that it never
/// takes.
///
/// # Errors
/// A name or value that cannot be written.
fn field(name: &str, value: &[u8]) -> Result<Option<(FieldName, FieldValue)>, Failure> {
    const INVALID: Failure = "auth_field";
    if name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority") {
        return Ok(None);
    }
    let name = FieldName::new(name).ok_or(INVALID)?;
    if name.is_of_connection() {
        return Ok(None);
    }
    let value = std::str::from_utf8(value).ok().and_then(FieldValue::new).ok_or(INVALID)?;
    Ok(Some((name, value)))
}

/// Whether a field of a service's answer goes to the client with a refusal: not those that we
/// write ourselves.
fn goes_to_client(name: &str) -> bool {
    const OURS: [&str; 4] = ["date", "host", "x-request-id", "grpc-status"];
    FieldName::new(name).is_some_and(|name| {
        !name.is_of_connection() && !OURS.iter().any(|ours| name.matches(ours.as_bytes()))
    })
}

/// What a `CheckResponse` of an authorization service comes to, for the fuzz target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It decides nothing.
    Nothing,
    /// Every field that the request or its response would take on, and what becomes of its query.
    Allowed {
        fields: Vec<(String, Vec<u8>)>,
        query: String,
    },
    Denied {
        status: u16,
        fields: Vec<(String, Vec<u8>)>,
    },
}

/// Reads a `CheckResponse`, for a request with this query.
pub fn checked(message: &[u8], query: &str) -> Checked {
    match check::verdict(message) {
        Err(_) | Ok(Err(_)) => Checked::Nothing,
        Ok(Ok(Verdict::Denied(denial))) => {
            let fields = denial.fields.into_iter().map(|(name, value)| (name, value.into_bytes()));
            Checked::Denied { status: denial.status, fields: fields.collect() }
        }
        Ok(Ok(Verdict::Allowed(edits))) => {
            let lists = [edits.set, edits.add, edits.default, edits.replace, edits.response];
            let fields = lists.into_iter().flatten();
            let text = |(name, value): (FieldName, FieldValue)| {
                (name.as_str().to_owned(), value.as_str().as_bytes().to_vec())
            };
            Checked::Allowed {
                fields: fields.map(text).collect(),
                query: query::edit(query, &edits.query_set, &edits.query_remove),
            }
        }
    }
}

/// The status of a refusal: one that says so.
fn refused_status(status: u16) -> u16 {
    if (300..600).contains(&status) { status } else { 403 }
}
