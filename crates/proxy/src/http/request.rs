//! What becomes of a request: the sync part between its head and its first byte upstream.

use std::{borrow::Cow, rc::Rc};

use http1::{RequestHead, Target};
use ir::{
    Action, Backend, Found, HttpSettings, Listener, ListenerIndex, Outcome, PortTable, RequestView,
    Silent,
    exec::{
        CorsGrant, Edge, FilterError, Flow, LocalResponse, apply_request_filters, cors_grant,
        redirect,
    },
    forwarded::is_forwarding_field,
};

use crate::{
    http::{
        connection::Connection,
        forwarded::Client,
        local::{Answer, make_request_id},
        record::Record,
        scratch::Scratch,
    },
    observe::reason::Reason,
    upstream::endpoints::ClusterState,
    worker::WorkerTable,
};

/// A request head as the matcher and the filters read it.
pub(crate) struct View<'a> {
    head: &'a RequestHead,
    bytes: &'a [u8],
    method: &'a str,
    host: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    /// Whether forwarding fields may be seen.
    trusted: bool,
}

impl<'a> View<'a> {
    /// `bytes` is the head that `head` was parsed from.
    pub(crate) fn new(
        head: &'a RequestHead,
        bytes: &'a [u8],
        host: &'a str,
        path: &'a str,
        client: &Client,
    ) -> Self {
        Self {
            head,
            bytes,
            method: text(head.method_span().of(bytes)),
            host,
            path,
            query: head.query().map(|query| text(query.of(bytes))),
            trusted: client.is_trusted(),
        }
    }
}

/// The codec lets only visible ASCII into methods, targets and hosts.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
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
        if !self.trusted && is_forwarding_field(name) {
            return None;
        }
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
    match route(connection, table, scratch, record) {
        Ok(found) => execute(connection, table, scratch, found, record),
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
    names.host.clear();
    names.path.clear();
    names.request_id.clear();
    let authority = request.host().map(|host| text(host.whole.of(bytes)));
    if let Some(authority) = authority {
        let host = ir::host::normalize(authority).map_err(|_| Answer::closing(Reason::BadHost))?;
        names.host.push_str(&host.name);
    }
    let port = table.table().ports.get(&connection.port.key);
    let sni = sni_listener(connection, table, port);
    let (Some(port), Ok(sni)) = (port, sni) else {
        make_request_id(&connection.worker.random, &mut names.request_id);
        let reason = if port.is_none() { Reason::NoListener } else { Reason::Misdirected };
        return Err(Answer::closing(reason));
    };
    let listener = match sni {
        Some(index) => table.table().listener(index),
        None => port.listener_for(&names.host),
    };
    record.listener = listener.map(|listener| &**listener);
    let defaults = HttpSettings::default();
    let settings = listener.map_or(&defaults, |listener| &listener.listener.http);
    let client = Client::of(settings, connection, request.fields(), bytes);
    client.request_id(request.fields(), bytes, &connection.worker.random, &mut names.request_id);
    if request.target() == Target::Asterisk {
        return Err(Answer::of(Reason::OptionsAsterisk));
    }
    let path = text(request.path().of(bytes));
    let path = if path.is_empty() { "/" } else { path };
    let path = ir::path::normalize(path, settings).map_err(|_| Answer::of(Reason::BadPath))?;
    names.path.push_str(&path);
    let view = View::new(request, bytes, &names.host, &names.path, &client);
    match ir::find(port, table.table(), sni, &view, &mut Silent) {
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
            record.explain_miss(&connection.worker, port, table.table(), sni, &view);
            Err(Answer::of(Reason::NoRoute))
        }
    }
}

/// The listener of the handshake in the current table; an error when it is gone.
fn sni_listener(
    connection: &Connection,
    table: &WorkerTable,
    port: Option<&std::sync::Arc<PortTable>>,
) -> Result<Option<ListenerIndex>, ()> {
    let Some(id) = connection.tls_listener.as_deref() else { return Ok(None) };
    let same = |listener: &Listener| listener.id == *id;
    let found = port.and_then(|port| port.listeners().find(|entry| same(&entry.listener)));
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
) -> Decision<'t> {
    let Scratch { input, request, names, request_overlay, .. } = scratch;
    let bytes = input.kept();
    let rule = &found.entry.rule;
    let client = Client::of(&found.listener.listener.http, connection, request.fields(), bytes);
    let view = View::new(request, bytes, &names.host, &names.path, &client);
    let edge = Edge {
        scheme: client.scheme(),
        host: request.host().map_or("", |host| text(host.whole.of(bytes))),
        listener_port: client.port(&found.listener.listener),
    };
    if !rule.filters.is_empty() {
        let flow =
            apply_request_filters(&rule.filters, found.matched, &view, &edge, request_overlay);
        match flow {
            Ok(Flow::Continue) => {}
            Ok(Flow::Respond(response)) => {
                return Decision::Answer(local_response(Reason::CorsPreflight, response));
            }
            Err(error) => return Decision::Answer(filter_failed(error)),
        }
    }
    let backends = match &rule.action {
        Action::Forward(backends) => backends,
        Action::Fail(reason) => return Decision::Answer(Answer::of(Reason::from(*reason))),
        Action::Redirect(wanted) => {
            return Decision::Answer(match redirect(wanted, found.matched, &view, &edge) {
                Ok(response) => local_response(Reason::Redirect, response),
                Err(error) => filter_failed(error),
            });
        }
    };
    let picked = found.entry.pick(connection.worker.random.next());
    let chosen = picked.and_then(|position| {
        Some((position, backends.get(position)?, found.entry.backends.get(position)?))
    });
    let Some((position, backend, entry)) = chosen else {
        return Decision::Answer(Answer::of(Reason::NoBackends));
    };
    record.backend = Some((position, backend));
    let cluster =
        entry.cluster.and_then(|index| table.clusters.get(usize::try_from(index.0).ok()?));
    let Some(cluster) = cluster else {
        let reason = match &backend.target {
            ir::Target::Fail(reason) => Reason::from(*reason),
            ir::Target::Cluster(_) => Reason::InvalidBackend,
        };
        return Decision::Answer(Answer::of(reason));
    };
    if cluster.id.0.protocol != ir::BackendProtocol::Http1 {
        return Decision::Answer(Answer::of(Reason::UnsupportedProtocol));
    }
    let mut cors = cors_grant(&rule.filters, &view);
    if !backend.filters.is_empty() {
        let filters = &backend.filters;
        let flow = apply_request_filters(filters, found.matched, &view, &edge, request_overlay);
        match flow {
            Ok(Flow::Continue) => {}
            Ok(Flow::Respond(response)) => {
                return Decision::Answer(local_response(Reason::CorsPreflight, response));
            }
            Err(error) => return Decision::Answer(filter_failed(error)),
        }
        cors = cors_grant(filters, &view).or(cors);
    }
    Decision::Forward(Plan { found, backend, position, cluster, cors })
}

fn filter_failed(error: FilterError) -> Answer {
    let status = error.status();
    let reason = if status == 400 { Reason::BadPath } else { Reason::FilterFailed };
    Answer { status, ..Answer::of(reason) }
}

fn local_response(reason: Reason, response: LocalResponse) -> Answer {
    Answer { status: response.status, fields: response.fields, ..Answer::of(reason) }
}
