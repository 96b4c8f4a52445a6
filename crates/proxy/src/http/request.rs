//! What becomes of a request: the sync part between its head and its first byte upstream.

use std::{borrow::Cow, rc::Rc, sync::Arc};

use http1::{RequestHead, Target};
use ir::{
    Action, Backend, BackendEntry, Filter, Found, HttpSettings, ListenerIndex, ListenerTable,
    Outcome, Overlay, PortTable, RequestView, Silent,
    exec::{
        CorsGrant, FilterError, Flow, LocalResponse, apply_request_filters, cors_grant, redirect,
    },
    forwarded::{Judged, listener_of},
};

use crate::{
    http::{
        connection::Connection,
        forwarded, grpc,
        local::Answer,
        record::Record,
        scratch::{Names, Scratch},
    },
    observe::{metrics::count, reason::Reason},
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
    /// Edits of fields that are read as if the client had made them.
    edits: Option<&'a Overlay>,
}

impl<'a> View<'a> {
    /// As [`View::new`], with fields and query as filters left them.
    pub(crate) fn edited(
        head: &'a RequestHead,
        bytes: &'a [u8],
        host: &'a str,
        path: &'a str,
        edits: &'a Overlay,
    ) -> Self {
        let view = Self::new(head, bytes, host, path);
        if edits.is_empty() {
            return view;
        }
        Self { edits: Some(edits), query: edits.query_over(view.query), ..view }
    }

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
            method: head.method().name().unwrap_or_else(|| text(head.method_span().of(bytes))),
            host,
            path,
            query: head.query().map(|query| text(query.of(bytes))),
            edits: None,
        }
    }
}

/// The codec lets only visible ASCII into methods, targets and hosts.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The host as received, with its port; empty when there is none.
fn authority_of<'b>(head: &RequestHead, bytes: &'b [u8]) -> &'b str {
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
        let own = self.head.fields().named(name.as_bytes(), self.bytes);
        let Some(edits) = self.edits.filter(|edits| edits.touches(name.as_bytes())) else {
            return join(own);
        };
        let kept = edits.keeps(name.as_bytes());
        let added = edits.fields().filter(|(line, _)| line.eq_ignore_ascii_case(name));
        join(own.filter(|_| kept).chain(added.map(|(_, value)| value)))
    }
}

/// The lines of one field as one value (RFC 9110 5.3).
fn join<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<Cow<'a, [u8]>> {
    let first = values.next()?;
    let Some(second) = values.next() else { return Some(Cow::Borrowed(first)) };
    let mut joined = first.to_vec();
    for value in std::iter::once(second).chain(values) {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(value);
    }
    Some(Cow::Owned(joined))
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
    /// Other services are asked first, whether the request may pass.
    Ask(Asking<'t>),
}

/// Whose filters ask.
pub(crate) enum Asking<'t> {
    /// The listener's, before a rule is looked for.
    Listener(Arrived<'t>, &'t ListenerTable),
    /// The rule's, and those of the backend that was chosen.
    Rule(Found<'t>, Option<Chosen<'t>>),
}

/// Where a request arrived.
#[derive(Clone, Copy)]
pub(crate) struct Arrived<'t> {
    port: &'t Arc<PortTable>,
    sni: Option<ListenerIndex>,
    listener: Option<&'t ListenerTable>,
}

/// A backend with its position in the rule.
pub(crate) type Chosen<'t> = (usize, &'t Backend, &'t BackendEntry);

/// Routes a request and runs its filters into the overlays. Fills `scratch.names`.
pub(crate) fn decide<'t>(
    connection: &Connection,
    table: &'t WorkerTable,
    scratch: &mut Scratch,
    record: &mut Record<'t>,
) -> Decision<'t> {
    let arrived = match arrive(connection, table, scratch, record) {
        Ok(arrived) => arrived,
        Err(answer) => return Decision::Answer(answer),
    };
    // A host of another listener than the handshake's is misdirected, and nobody is asked.
    let asks = arrived.listener.filter(|listener| !listener.auths.is_empty()).filter(|listener| {
        let own = arrived.port.listener_for(&scratch.names.host);
        own.is_some_and(|own| own.index == listener.index)
    });
    match asks {
        Some(listener) => {
            identify(connection, scratch, listener);
            Decision::Ask(Asking::Listener(arrived, listener))
        }
        None => match_rule(connection, table, scratch, arrived, record),
    }
}

/// Finds the rule and chooses the backend; what follows unless their filters ask somebody.
pub(crate) fn match_rule<'t>(
    connection: &Connection,
    table: &'t WorkerTable,
    scratch: &mut Scratch,
    arrived: Arrived<'t>,
    record: &mut Record<'t>,
) -> Decision<'t> {
    let found = match find(connection, table, scratch, arrived, record) {
        Ok(found) => found,
        Err(answer) => return Decision::Answer(answer),
    };
    let chosen = choose(connection, found, record);
    let asks = !found.entry.auths.is_empty()
        || chosen.is_some_and(|(_, _, entry)| !entry.auths.is_empty());
    if asks && !is_preflight(connection, scratch, found) {
        return Decision::Ask(Asking::Rule(found, chosen));
    }
    run(connection, table, scratch, found, chosen)
}

/// What becomes of a request that may pass.
pub(crate) fn run<'t>(
    connection: &Connection,
    table: &'t WorkerTable,
    scratch: &mut Scratch,
    found: Found<'t>,
    chosen: Option<Chosen<'t>>,
) -> Decision<'t> {
    match execute(connection, table, scratch, found, chosen) {
        Ok(plan) => Decision::Forward(plan),
        Err(answer) => Decision::Answer(answer),
    }
}

/// Reads where the request is for: its host, path and listener.
fn arrive<'t>(
    connection: &Connection,
    table: &'t WorkerTable,
    scratch: &mut Scratch,
    record: &mut Record<'t>,
) -> Result<Arrived<'t>, Answer> {
    let Scratch { input, request, names, request_overlay, response_overlay, added, .. } = scratch;
    let bytes = input.kept();
    request_overlay.clear();
    response_overlay.clear();
    added.clear();
    names.clear();
    names.grpc = connection.stream.is_http2() && grpc::is_call(request.fields(), bytes);
    if connection.is_too_much() {
        count(&connection.worker.counters.totals.shed);
        return Err(Answer::closing(Reason::Shed));
    }
    let authority = authority_of(request, bytes);
    if !authority.is_empty() {
        let host = ir::host::normalize(authority).map_err(|_| Answer::closing(Reason::BadHost))?;
        names.host.push_str(&host.name);
        names.authority.push_str(authority);
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
    Ok(Arrived { port, sni, listener })
}

/// Names a request that a service is asked about; any other is named with its rule.
fn identify(connection: &Connection, scratch: &mut Scratch, listener: &ListenerTable) {
    let Scratch { input, request, names, .. } = scratch;
    let bytes = input.kept();
    let listener = &listener.listener;
    let view = View::new(request, bytes, &names.host, &names.path);
    let arrival = forwarded::arrival(connection, &names.authority, listener.port);
    let trusted = Judged::new(&view, &listener.http.trusted_peers, arrival).forwarded().trusted;
    let random = &connection.worker.random;
    forwarded::request_id(trusted, request.fields(), bytes, random, &mut names.request_id);
}

/// Finds the rule.
fn find<'t>(
    connection: &Connection,
    table: &'t WorkerTable,
    scratch: &mut Scratch,
    arrived: Arrived<'t>,
    record: &mut Record<'t>,
) -> Result<Found<'t>, Answer> {
    let Scratch { input, request, names, request_overlay, .. } = scratch;
    let bytes = input.kept();
    let Arrived { port, sni, listener } = arrived;
    let defaults = HttpSettings::default();
    let settings = listener.map_or(&defaults, |listener| &listener.listener.http);
    let Names { authority, host, path, request_id, .. } = names;
    let view = View::edited(request, bytes, host, path, request_overlay);
    let listener_port = listener.map_or(0, |listener| listener.listener.port);
    let arrival = forwarded::arrival(connection, authority, listener_port);
    let judged = Judged::new(&view, &settings.trusted_peers, arrival);
    if request_id.is_empty() {
        let (trusted, random) = (judged.forwarded().trusted, &connection.worker.random);
        forwarded::request_id(trusted, request.fields(), bytes, random, request_id);
    }
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

/// Whether the rule's CORS filter answers: preflights come without credentials, so nobody is asked
/// about them.
fn is_preflight(connection: &Connection, scratch: &Scratch, found: Found<'_>) -> bool {
    let Scratch { input, request, names, .. } = scratch;
    let bytes = input.kept();
    let listener = &found.listener.listener;
    let view = View::new(request, bytes, &names.host, &names.path);
    let arrival = forwarded::arrival(connection, &names.authority, listener.port);
    let judged = Judged::new(&view, &listener.http.trusted_peers, arrival);
    ir::exec::is_preflight(&found.entry.rule.filters, &judged)
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

/// Runs filters towards the chosen backend.
fn execute<'t>(
    connection: &Connection,
    table: &'t WorkerTable,
    scratch: &mut Scratch,
    found: Found<'t>,
    chosen: Option<Chosen<'t>>,
) -> Result<Plan<'t>, Answer> {
    let rule = &found.entry.rule;
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
    let arrival = forwarded::arrival(connection, &names.authority, listener.port);
    let judged = Judged::new(&view, &listener.http.trusted_peers, arrival);
    Some(Session::read(persistence, &view, judged.edge().scheme == "https"))
}

/// The backend of this request, by weight.
fn choose<'t>(
    connection: &Connection,
    found: Found<'t>,
    record: &mut Record<'t>,
) -> Option<Chosen<'t>> {
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
    let mut view = View::new(request, bytes, &names.host, &names.path);
    let edited = request_overlay.query().map(str::to_owned);
    if let Some(query) = &edited {
        view.query = Some(query.as_str()).filter(|query| !query.is_empty());
    }
    let arrival = forwarded::arrival(connection, &names.authority, listener.port);
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
