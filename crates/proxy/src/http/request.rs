//! What becomes of a request: the sync part between its head and its first byte upstream.

use std::{borrow::Cow, rc::Rc, sync::Arc};

use http1::{RequestHead, Target};
use ir::{
    Action, Backend, BackendEntry, Filter, Found, HttpSettings, ListenerIndex, Outcome, Overlay,
    PortTable, RequestView, Silent,
    exec::{
        CorsGrant, FilterError, Flow, LocalResponse, apply_request_filters, cors_grant, redirect,
    },
    forwarded::{Judged, listener_of},
};

use crate::{
    http::{
        connection::Connection, forwarded, grpc, local::Answer, record::Record, scratch::Scratch,
    },
    observe::{metrics::count, reason::Reason},
    pressure::Pressure,
    upstream::{endpoints::ClusterState, session::Session},
    worker::WorkerTable,
};

/// A request head as the codec read it.
pub(crate) struct View<'a> {
    head: &'a RequestHead,
    bytes: &'a [u8],
    method: &'a str,
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> View<'a> {
    /// `bytes` is the head that `head` was parsed from.
    pub(crate) fn new(
        head: &'a RequestHead,
        bytes: &'a [u8],
        host: &'a str,
        path: &'a str,
    ) -> Self {
        Self {
            head,
            bytes,
            method: text(head.method_span().of(bytes)),
            host,
            path,
            query: head.query().map(|query| text(query.of(bytes))),
        }
    }
}

/// The codec lets only visible ASCII into methods, targets and hosts.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The host as received, with its port; empty when there is none.
pub(crate) fn authority_of<'b>(head: &RequestHead, bytes: &'b [u8]) -> &'b str {
    head.host().map_or("", |host| text(host.whole.of(bytes)))
}

impl RequestView for View<'_> {
    fn method(&self) -> &str {
        self.method
    }

    fn host(&self) -> &str {
        self.host
    }

    fn path(&self) -> &str {
        self.path
    }

    fn query(&self) -> Option<&str> {
        self.query
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut values = self.head.fields().named(name.as_bytes(), self.bytes);
        let first = values.next()?;
        let Some(second) = values.next() else { return Some(Cow::Borrowed(first)) };
        let mut joined = first.to_vec();
        for value in std::iter::once(second).chain(values) {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(value);
        }
        Some(Cow::Owned(joined))
    }
}

/// A request that goes to a backend.
pub(crate) struct Plan<'t> {
    pub(crate) found: Found<'t>,
    pub(crate) backend: &'t Backend,
    /// Position of `backend` in its rule.
    pub(crate) position: usize,
    pub(crate) cluster: &'t Rc<ClusterState>,
    pub(crate) cors: Option<CorsGrant>,
    pub(crate) session: Option<Session<'t>>,
}

pub(crate) enum Decision<'t> {
    Forward(Plan<'t>),
    Answer(Answer),
}

/// Routes a request and runs its filters into the overlays. Fills `scratch.names`.
pub(crate) fn decide<'t>(
    connection: &Connection,
    table: &'t WorkerTable,
    scratch: &mut Scratch,
    record: &mut Record<'t>,
) -> Decision<'t> {
    let found = match route(connection, table, scratch, record) {
        Ok(found) => found,
        Err(answer) => return Decision::Answer(answer),
    };
    match execute(connection, table, scratch, found, record) {
        Ok(plan) => Decision::Forward(plan),
        Err(answer) => Decision::Answer(answer),
    }
}

/// Finds the rule.
fn route<'t>(
    connection: &Connection,
    table: &'t WorkerTable,
    scratch: &mut Scratch,
    record: &mut Record<'t>,
) -> Result<Found<'t>, Answer> {
    let Scratch { input, request, names, request_overlay, response_overlay, .. } = scratch;
    let bytes = input.kept();
    request_overlay.clear();
    response_overlay.clear();
    names.clear();
    names.grpc = connection.stream.is_http2() && grpc::is_call(request.fields(), bytes);
    if connection.worker.pressure() >= Pressure::Requests {
        count(&connection.worker.counters.totals.shed);
        return Err(Answer::closing(Reason::Shed));
    }
    let authority = authority_of(request, bytes);
    if !authority.is_empty() {
        let host = ir::host::normalize(authority).map_err(|_| Answer::closing(Reason::BadHost))?;
        names.host.push_str(&host.name);
    }
    let entry = table.table().ports.get(&connection.port.key);
    let Some(port) = entry else { return Err(Answer::closing(Reason::NoListener)) };
    let Ok(sni) = sni_listener(connection, table, port) else {
        return Err(Answer::closing(Reason::Misdirected));
    };
    let listener = listener_of(port, table.table(), sni, &names.host);
    record.listener = listener;
    let defaults = HttpSettings::default();
    let settings = listener.map_or(&defaults, |listener| &listener.listener.http);
    if request.target() == Target::Asterisk {
        return Err(Answer::of(Reason::OptionsAsterisk));
    }
    let path = text(request.path().of(bytes));
    let path = if path.is_empty() { "/" } else { path };
    let path = ir::path::normalize(path, settings).map_err(|_| Answer::of(Reason::BadPath))?;
    names.path.push_str(&path);
    let view = View::new(request, bytes, &names.host, &names.path);
    let listener_port = listener.map_or(0, |listener| listener.listener.port);
    let arrival = forwarded::arrival(connection, authority, listener_port);
    let judged = Judged::new(&view, &settings.trusted_peers, arrival);
    let (trusted, random) = (judged.forwarded().trusted, &connection.worker.random);
    forwarded::request_id(trusted, request.fields(), bytes, random, &mut names.request_id);
    match ir::find(port, table.table(), sni, &judged, &mut Silent) {
        Outcome::Found(found) => {
            record.found = Some(found);
            record.listener = Some(found.listener);
            Ok(found)
        }
        Outcome::Misdirected(listener) => {
            record.listener = Some(listener);
            Err(Answer::of(Reason::Misdirected))
        }
        Outcome::NoListener => Err(Answer::of(Reason::NoListener)),
        Outcome::NoRoute(listener) => {
            record.listener = Some(listener);
            record.explain_miss(&connection.worker, port, table.table(), sni, &judged);
            Err(Answer::of(Reason::NoRoute))
        }
    }
}

/// The listener of the handshake in the current table; an error when it is gone, or asks more or
/// less of clients than it did.
fn sni_listener(
    connection: &Connection,
    table: &WorkerTable,
    port: &Arc<PortTable>,
) -> Result<Option<ListenerIndex>, ()> {
    let Some(context) = connection.tls_listener.as_deref() else { return Ok(None) };
    let found = port.listeners().find(|entry| context.holds_for(&entry.listener));
    let Some(found) = found else { return Err(()) };
    let index = usize::try_from(found.index.0).unwrap_or(usize::MAX);
    let terminates = table.generation.tls.get(index).is_some_and(Option::is_some);
    if terminates { Ok(Some(found.index)) } else { Err(()) }
}

/// Runs filters and chooses the backend.
fn execute<'t>(
    connection: &Connection,
    table: &'t WorkerTable,
    scratch: &mut Scratch,
    found: Found<'t>,
    record: &mut Record<'t>,
) -> Result<Plan<'t>, Answer> {
    let rule = &found.entry.rule;
    let chosen = choose(connection, found, record);
    // Most rules have no filters, and need no view of the request any more.
    let filtered = match (&rule.action, &chosen) {
        (Action::Redirect(_), _) => true,
        (Action::Forward(_), Some((_, backend, _))) => {
            !rule.filters.is_empty() || !backend.filters.is_empty()
        }
        (Action::Forward(_) | Action::Fail(_), _) => !rule.filters.is_empty(),
    };
    let cors = if filtered {
        filter(connection, scratch, found, chosen.map(|(_, backend, _)| backend))?
    } else {
        None
    };
    if let Action::Fail(reason) = &rule.action {
        return Err(Answer::of(Reason::from(*reason)));
    }
    let Some((position, backend, entry)) = chosen else {
        return Err(Answer::of(Reason::NoBackends));
    };
    let cluster =
        entry.cluster.and_then(|index| table.clusters.get(usize::try_from(index.0).ok()?));
    let Some(cluster) = cluster else {
        return Err(Answer::of(match &backend.target {
            ir::Target::Fail(reason) => Reason::from(*reason),
            ir::Target::Cluster(_) => Reason::InvalidBackend,
        }));
    };
    match cluster.id.0.protocol {
        ir::BackendProtocol::Http1
        | ir::BackendProtocol::Http2
        | ir::BackendProtocol::Negotiated => {}
        ir::BackendProtocol::Tcp | ir::BackendProtocol::Udp => {
            return Err(Answer::of(Reason::UnsupportedProtocol));
        }
    }
    let session = session(connection, scratch, found, backend);
    Ok(Plan { found, backend, position, cluster, cors, session })
}

/// The client's session with the backend, where the backend keeps sessions.
fn session<'t>(
    connection: &Connection,
    scratch: &Scratch,
    found: Found<'t>,
    backend: &'t Backend,
) -> Option<Session<'t>> {
    let persistence = backend.persistence.as_deref()?;
    let Scratch { input, request, names, .. } = scratch;
    let bytes = input.kept();
    let listener = &found.listener.listener;
    let view = View::new(request, bytes, &names.host, &names.path);
    let arrival = forwarded::arrival(connection, authority_of(request, bytes), listener.port);
    let judged = Judged::new(&view, &listener.http.trusted_peers, arrival);
    Some(Session::read(persistence, &view, judged.edge().scheme == "https"))
}

/// The backend of this request, by weight.
fn choose<'t>(
    connection: &Connection,
    found: Found<'t>,
    record: &mut Record<'t>,
) -> Option<(usize, &'t Backend, &'t BackendEntry)> {
    let Action::Forward(backends) = &found.entry.rule.action else { return None };
    let position = found.entry.pick(connection.worker.random.next())?;
    let backend = backends.get(position)?;
    record.backend = Some((position, backend));
    Some((position, backend, found.entry.backends.get(position)?))
}

/// Runs the request side of the rule's filters and then the backend's.
fn filter(
    connection: &Connection,
    scratch: &mut Scratch,
    found: Found<'_>,
    backend: Option<&Backend>,
) -> Result<Option<CorsGrant>, Answer> {
    let Scratch { input, request, names, request_overlay, .. } = scratch;
    let bytes = input.kept();
    let rule = &found.entry.rule;
    let listener = &found.listener.listener;
    let view = View::new(request, bytes, &names.host, &names.path);
    let arrival = forwarded::arrival(connection, authority_of(request, bytes), listener.port);
    let judged = Judged::new(&view, &listener.http.trusted_peers, arrival);
    run_filters(&rule.filters, found, &judged, request_overlay)?;
    if let Action::Redirect(wanted) = &rule.action {
        let answer = redirect(wanted, found.matched, &judged, &judged.edge());
        return Err(local_response(Reason::Redirect, answer.map_err(filter_failed)?));
    }
    let mut cors = None;
    if let Some(backend) = backend {
        run_filters(&backend.filters, found, &judged, request_overlay)?;
        cors = cors_grant(&backend.filters, &judged);
    }
    Ok(cors.or_else(|| cors_grant(&rule.filters, &judged)))
}

/// Runs the request side of filters; an answer ends the request.
fn run_filters(
    filters: &[Filter],
    found: Found<'_>,
    judged: &Judged<'_, View<'_>>,
    overlay: &mut Overlay,
) -> Result<(), Answer> {
    if filters.is_empty() {
        return Ok(());
    }
    match apply_request_filters(filters, found.matched, judged, &judged.edge(), overlay) {
        Ok(Flow::Continue) => Ok(()),
        Ok(Flow::Respond(response)) => Err(local_response(Reason::CorsPreflight, response)),
        Err(error) => Err(filter_failed(error)),
    }
}

fn filter_failed(error: FilterError) -> Answer {
    let status = error.status();
    let reason = if status == 400 { Reason::BadPath } else { Reason::FilterFailed };
    Answer { status, ..Answer::of(reason) }
}

fn local_response(reason: Reason, response: LocalResponse) -> Answer {
    Answer { status: response.status, fields: response.fields, ..Answer::of(reason) }
}
