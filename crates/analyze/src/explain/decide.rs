//! From a table and a request to an answer.

use std::{borrow::Cow, sync::Arc};

use ir::{
    Action, ClientValidationMode, Considered, Explanation, Found, HttpSettings, Listener,
    ListenerIndex, ListenerTable, ObjectRef, Outcome, Overlay, PortKey, PortKind, PortTable,
    Predicate, Protocol, Rank, RuleEntry, Silent, Table, Verdict, closest,
    exec::{self, Flow, LocalResponse},
    find,
    forwarded::{Arrival, Judged, is_forwarding_field, listener_of},
    path,
};

use crate::limits::{HOSTS_NAMED_MAX, OTHERS_BY_PATH_MAX, OTHERS_MAX};

use super::{
    Answer, Clients, Decision, Explained, Hidden, ListenerPlace, Options, Other, Request, Scheme,
    Section, Taken, relay, request::Head, share::OnItsWay, words,
};

pub(super) fn explain(table: &Table, request: &Request, options: &Options<'_>) -> Explained {
    let groups = sockets(table, request, options);
    let nothing = groups.is_empty().then(|| nothing(table, request, options));
    let sections = groups
        .into_iter()
        .map(|(gateway, sockets, port)| {
            let mut section = Asked { table, port, request, options }.section();
            section.gateway = gateway;
            section.sockets = sockets;
            section
        })
        .collect();
    Explained { request: request.clone(), sections, nothing, all: options.all }
}

type Group<'t> = (Arc<ObjectRef>, Vec<PortKey>, &'t PortTable);

/// The sockets of the listener port; those with the very same listeners are one group.
fn sockets<'t>(table: &'t Table, request: &Request, options: &Options<'_>) -> Vec<Group<'t>> {
    let mut groups: Vec<(Vec<ListenerIndex>, Group<'t>)> = Vec::new();
    for (key, port) in &table.ports {
        let wanted = |listener: &Listener| {
            listener.port == request.port
                && options.gateway.as_ref().is_none_or(|name| name.fits(&listener.gateway))
        };
        let Some(first) = port.listeners().find(|entry| wanted(&entry.listener)) else { continue };
        if (port.kind == PortKind::Udp) != (request.scheme == Scheme::Udp) {
            continue;
        }
        let indices: Vec<_> = port.listeners().map(|entry| entry.index).collect();
        match groups.iter_mut().find(|(known, _)| *known == indices) {
            Some((_, group)) => group.1.push(*key),
            None => {
                let gateway = Arc::clone(&first.listener.gateway);
                groups.push((indices, (gateway, vec![*key], port)));
            }
        }
    }
    let mut groups: Vec<Group<'t>> = groups.into_iter().map(|(_, group)| group).collect();
    if let Some(address) = request.address() {
        let bound = |key: &PortKey| key.address == ir::BindAddress::Ip(address);
        if groups.iter().any(|(_, keys, _)| keys.iter().any(bound)) {
            groups.retain(|(_, keys, _)| keys.iter().any(bound));
        }
    }
    groups
}

fn nothing(table: &Table, request: &Request, options: &Options<'_>) -> String {
    let listeners = || table.listeners.iter().map(|entry| &entry.listener);
    if let Some(gateway) = &options.gateway
        && !listeners().any(|listener| gateway.fits(&listener.gateway))
    {
        return format!("no Gateway {} has a listener that is served", gateway.name);
    }
    let bound = listeners().find(|listener| listener.bind_port == request.port);
    if let Some(listener) = bound {
        return format!(
            "port {} is where port {} of the listener is bound; ask with port {}",
            request.port, listener.port, listener.port
        );
    }
    let mut ports: Vec<u16> = listeners().map(|listener| listener.port).collect();
    ports.sort_unstable();
    ports.dedup();
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    if ports.is_empty() {
        format!("nothing listens on port {}; no listener is served at all", request.port)
    } else {
        format!("nothing listens on port {}; listeners have {}", request.port, ports.join(", "))
    }
}

/// What a port makes of the first bytes.
enum Start<'a> {
    /// A request is read; with the listener that the server name chose on a TLS port.
    Request(Option<ListenerIndex>),
    /// Bytes are passed on; with the server name on a TLS port.
    Connection(&'a ListenerTable, Option<String>),
    Unread(String),
}

/// A request at one port.
pub(super) struct Asked<'a> {
    pub(super) table: &'a Table,
    port: &'a PortTable,
    request: &'a Request,
    pub(super) options: &'a Options<'a>,
}

impl<'a> Asked<'a> {
    fn section(&self) -> Section {
        match self.handshake() {
            Start::Request(sni) => self.routed(sni),
            Start::Connection(listener, sni) => {
                relay::section(self.table, listener, sni.as_deref(), self.options)
            }
            Start::Unread(why) => blank(Decision::Unread { why }),
        }
    }

    fn handshake(&self) -> Start<'a> {
        let port = self.request.port;
        let unread = |why: &str| Start::Unread(format!("port {port} {why}"));
        match (self.port.kind, self.request.scheme) {
            (PortKind::Http, Scheme::Http) => Start::Request(None),
            (PortKind::Http, Scheme::Https | Scheme::Tls) => {
                unread("speaks plain HTTP, so a TLS handshake fails there")
            }
            (PortKind::Http, Scheme::Tcp | Scheme::Udp) => unread("speaks HTTP; ask with http://"),
            (PortKind::Tls, Scheme::Http) => {
                unread("expects TLS, so a plain request is refused there")
            }
            (PortKind::Tls, Scheme::Tcp | Scheme::Udp) => unread("expects TLS; ask with tls://"),
            (PortKind::Tls, Scheme::Https | Scheme::Tls) => self.tls_listener(),
            (PortKind::Tcp | PortKind::Udp, _) => match self.port.listener_for("") {
                Some(listener) => Start::Connection(listener, None),
                None => unread("has no listener"),
            },
        }
    }

    fn tls_listener(&self) -> Start<'a> {
        let name = self.request.server_name();
        let Some(listener) = self.port.listener_for(&name) else {
            let names = hostnames(self.port);
            return Start::Unread(format!(
                "no listener takes the server name \"{name}\" (they take {names})"
            ));
        };
        match (&listener.listener.protocol, self.request.scheme) {
            (Protocol::Https(_), Scheme::Tls) => Start::Unread(format!(
                "listener {} reads the requests inside TLS; ask with https://",
                listener.listener.id.name
            )),
            (Protocol::Https(_), _) => Start::Request(Some(listener.index)),
            (Protocol::TlsPassthrough | Protocol::TlsTerminate(_), _) => {
                Start::Connection(listener, Some(name))
            }
            (Protocol::Http | Protocol::Tcp | Protocol::Udp, _) => {
                Start::Unread("the listener does not speak TLS".to_owned())
            }
        }
    }

    fn routed(&self, sni: Option<ListenerIndex>) -> Section {
        if ["CONNECT", "TRACE"].contains(&self.request.method.as_str()) {
            return refused(405, "CONNECT and TRACE are not served".to_owned());
        }
        let host = match ir::host::normalize(&self.request.authority) {
            Ok(host) => host.name,
            Err(error) => return refused(400, error.to_string()),
        };
        let listener = listener_of(self.port, self.table, sni, &host);
        let defaults = HttpSettings::default();
        let settings = listener.map_or(&defaults, |entry| &entry.listener.http);
        let (raw, query) = path::split_target(&self.request.path_and_query);
        let path = match path::normalize(raw, settings) {
            Ok(path) => path,
            Err(error) => return refused(400, error.to_string()),
        };
        let head = Head { request: self.request, host: &host, path: &path, query };
        let arrival = Arrival {
            peer: self.request.client_ip,
            tls: self.request.scheme == Scheme::Https,
            authority: &self.request.authority,
            listener_port: listener.map_or(self.request.port, |entry| entry.listener.port),
        };
        let view = Judged::new(&head, &settings.trusted_peers, arrival);
        let mut explanation = Explanation::default();
        let outcome = find(self.port, self.table, sni, &view, &mut explanation);
        debug_assert!(same(outcome, find(self.port, self.table, sni, &view, &mut Silent)));
        let mut section = match outcome {
            Outcome::Found(found) => {
                let mut section = blank(self.taken(found, &head, &view, &explanation));
                section.listener = Some(place(&found.listener.listener, self.table));
                section
            }
            Outcome::NoRoute(listener) => self.missed(listener, sni, &view),
            Outcome::Misdirected(other) => self.misdirected(other, sni, &host),
            Outcome::NoListener => {
                let names = hostnames(self.port);
                refused(404, format!("no listener takes host {host}; they take {names}"))
            }
        };
        if let Decision::Refused { closest: None, answer } = &section.decision
            && answer.status == 404
        {
            section.hints.extend(other_hosts(&explanation, &host));
        }
        section.hints.extend(hints(&head, &view, raw));
        section.hints.extend(call_hint(self.request, &section.decision));
        self.losers(&explanation, &mut section);
        section
    }

    fn missed(
        &self,
        listener: &ListenerTable,
        sni: Option<ListenerIndex>,
        view: &Judged<'_, Head<'_>>,
    ) -> Section {
        let near = closest(self.port, self.table, sni, view).map(|near| {
            let host = None;
            let verdict = Verdict::Failed(near.predicate);
            let considered = Considered {
                entry: Arc::clone(near.entry),
                match_index: near.match_index,
                host,
                verdict,
            };
            self.other(&considered)
        });
        let mut section = refused(404, "no rule of the listener takes the request".to_owned());
        section.listener = Some(place(&listener.listener, self.table));
        if let Decision::Refused { closest, .. } = &mut section.decision {
            *closest = near;
        }
        section
    }

    fn misdirected(
        &self,
        other: &ListenerTable,
        sni: Option<ListenerIndex>,
        host: &str,
    ) -> Section {
        let chosen = sni.and_then(|index| self.table.listener(index));
        let chosen_name = chosen.map_or("another", |entry| &entry.listener.id.name);
        let mut section = refused(
            421,
            format!(
                "the handshake for \"{}\" chose listener {chosen_name}, but host {host} belongs to listener {}",
                self.request.server_name(),
                other.listener.id.name
            ),
        );
        section.listener = chosen.map(|entry| place(&entry.listener, self.table));
        section
    }

    fn taken(
        &self,
        found: Found<'_>,
        head: &Head<'_>,
        view: &Judged<'_, Head<'_>>,
        explanation: &Explanation,
    ) -> Decision {
        let won = explanation.considered.iter().find(|one| one.verdict == Verdict::Won);
        let RuleEntry { route, rule, .. } = &**found.entry;
        let taken = Taken {
            index: found.entry.index,
            route: Arc::clone(&route.object),
            host: won.and_then(|won| won.host.clone()),
            rule: rule.index,
            rules: route.rules.len(),
            rule_name: rule.name.clone(),
            rule_origin: rule.origin.clone(),
            match_origin: found.matched.origin.clone(),
            conditions: words::conditions(route.kind, found.matched),
            filters: rule.filters.iter().map(words::filter).collect(),
            timeouts: rule.timeouts,
            retry: rule.retry.clone(),
        };
        let mut overlay = Overlay::default();
        let flow = exec::apply_request_filters(
            &rule.filters,
            found.matched,
            view,
            &view.edge(),
            &mut overlay,
        );
        let answer = match (flow, &rule.action) {
            (Err(error), _) => answer(error.status(), error.to_string()),
            (Ok(Flow::Respond(response)), _) => local(response, "a CORS preflight"),
            (Ok(Flow::Continue), Action::Fail(reason)) => {
                answer(500, words::fail(*reason).to_owned())
            }
            (Ok(Flow::Continue), Action::Redirect(wanted)) => {
                match exec::redirect(wanted, found.matched, view, &view.edge()) {
                    Ok(response) => local(response, "a redirect"),
                    Err(error) => answer(error.status(), error.to_string()),
                }
            }
            (Ok(Flow::Continue), Action::Forward(backends)) => {
                let on_its_way = OnItsWay { asked: self, found, head, view, overlay: &overlay };
                return Decision::Forwarded { taken, shares: on_its_way.shares(backends) };
            }
        };
        Decision::Answered { taken, answer }
    }

    fn losers(&self, explanation: &Explanation, section: &mut Section) {
        let mut losers: Vec<Other> = explanation
            .considered
            .iter()
            .filter(|one| one.verdict != Verdict::Won)
            .map(|one| self.other(one))
            .collect();
        losers.sort_by_key(|other| distance(&other.verdict));
        if self.options.all {
            section.others = losers;
            return;
        }
        let mut hidden = Hidden::default();
        let mut by_path = 0_usize;
        losers.retain(|other| match &other.verdict {
            Verdict::Failed(Predicate::Listener) => {
                hidden.listeners = hidden.listeners.saturating_add(1);
                false
            }
            Verdict::Failed(Predicate::Host { .. }) => {
                hidden.hosts = hidden.hosts.saturating_add(1);
                false
            }
            Verdict::Failed(Predicate::Path { .. }) => {
                by_path = by_path.saturating_add(1);
                let shown = by_path <= OTHERS_BY_PATH_MAX;
                hidden.paths = hidden.paths.saturating_add(usize::from(!shown));
                shown
            }
            Verdict::Failed(
                Predicate::Method { .. } | Predicate::Header { .. } | Predicate::Query { .. },
            )
            | Verdict::Outranked(_)
            | Verdict::Won => true,
        });
        hidden.paths = hidden.paths.saturating_add(losers.len().saturating_sub(OTHERS_MAX));
        losers.truncate(OTHERS_MAX);
        section.others = losers;
        section.hidden = hidden;
    }

    fn other(&self, considered: &Considered) -> Other {
        let RuleEntry { route, rule, listener, .. } = &*considered.entry;
        let matched = considered.matched();
        let listener = self.table.listener(*listener);
        let why = match &considered.verdict {
            Verdict::Won => String::new(),
            Verdict::Outranked(rank) => words::outranked(*rank).to_owned(),
            Verdict::Failed(predicate) => words::failed(route.kind, predicate),
        };
        Other {
            route: Arc::clone(&route.object),
            rule: rule.index,
            rule_name: rule.name.clone(),
            match_origin: matched.map_or(&rule.origin, |matched| &matched.origin).clone(),
            conditions: matched
                .map(|matched| words::conditions(route.kind, matched))
                .unwrap_or_default(),
            host: considered.host.clone(),
            listener: listener
                .map_or_else(|| "".into(), |entry| Arc::clone(&entry.listener.id.name)),
            verdict: considered.verdict.clone(),
            why,
        }
    }
}

/// How far from winning: outranked first, then by the condition that failed, the last first.
fn distance(verdict: &Verdict) -> (u8, Option<Rank>) {
    let step = match verdict {
        Verdict::Won => 0,
        Verdict::Outranked(rank) => return (1, Some(*rank)),
        Verdict::Failed(Predicate::Query { .. }) => 2,
        Verdict::Failed(Predicate::Header { .. }) => 3,
        Verdict::Failed(Predicate::Method { .. }) => 4,
        Verdict::Failed(Predicate::Path { .. }) => 5,
        Verdict::Failed(Predicate::Host { .. }) => 6,
        Verdict::Failed(Predicate::Listener) => 7,
    };
    (step, None)
}

/// The hosts that routes of the listener have, when none of them is the request's.
fn other_hosts(explanation: &Explanation, host: &str) -> Option<String> {
    let mut hosts: Vec<String> = explanation
        .considered
        .iter()
        .filter(|one| matches!(one.verdict, Verdict::Failed(Predicate::Host { .. })))
        .filter_map(|one| one.host.as_ref().map(ToString::to_string))
        .collect();
    hosts.sort();
    hosts.dedup();
    let more = hosts.len().saturating_sub(HOSTS_NAMED_MAX);
    hosts.truncate(HOSTS_NAMED_MAX);
    let rest = if more == 0 { String::new() } else { format!(" and {more} more") };
    (!hosts.is_empty())
        .then(|| format!("no route is for {host}; routes are for {}{rest}", hosts.join(", ")))
}

/// What was not as the client wrote it.
fn hints(head: &Head<'_>, view: &Judged<'_, Head<'_>>, raw: &str) -> Vec<String> {
    let mut hints = Vec::new();
    if raw != head.path {
        hints.push(format!("path {raw} is matched and forwarded as {}", head.path));
    }
    if !view.forwarded().trusted {
        let claimed = head.request.headers.iter().map(|(name, _)| name.as_str());
        for name in claimed.filter(|name| is_forwarding_field(name)) {
            let ip = head.request.client_ip;
            hints.push(format!("{name} is replaced, because {ip} is not a trusted proxy"));
        }
    }
    hints
}

/// A gRPC client gets answers of ours in the form of its protocol.
fn call_hint(request: &Request, decision: &Decision) -> Option<String> {
    let refusal = match decision {
        Decision::Answered { answer, .. } | Decision::Refused { answer, .. } => {
            answer.status >= 400
        }
        Decision::Forwarded { .. } | Decision::Relayed(_) | Decision::Unread { .. } => false,
    };
    (refusal && request.is_call())
        .then(|| "a gRPC client gets status 200, and the outcome in grpc-status".to_owned())
}

fn hostnames(port: &PortTable) -> String {
    let names = port.listeners().map(|entry| {
        entry.listener.hostname.as_ref().map_or_else(|| "*".to_owned(), ToString::to_string)
    });
    names.collect::<Vec<_>>().join(", ")
}

pub(super) fn place(listener: &Listener, table: &Table) -> ListenerPlace {
    ListenerPlace {
        name: Arc::clone(&listener.id.name),
        origin: listener.origin.clone(),
        protocol: match listener.protocol {
            Protocol::Http => "HTTP",
            Protocol::Https(_) => "HTTPS",
            Protocol::TlsPassthrough | Protocol::TlsTerminate(_) => "TLS",
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        },
        port: listener.port,
        hostname: listener.hostname.clone(),
        clients: clients(listener, table),
        filters: listener.filters.iter().map(words::filter).collect(),
    }
}

/// Whose certificates clients must show.
fn clients(listener: &Listener, table: &Table) -> Option<Clients> {
    let (Protocol::Https(tls) | Protocol::TlsTerminate(tls)) = &listener.protocol else {
        return None;
    };
    let validation = tls.client_validation.as_ref()?;
    let bundles = validation.authorities.iter().filter_map(|id| table.trust_bundles.get(id));
    Some(Clients {
        authorities: bundles.map(|bundle| bundle.origin.object.to_string()).collect(),
        required: match validation.mode {
            ClientValidationMode::AllowValidOnly => true,
            ClientValidationMode::AllowInsecureFallback => false,
        },
    })
}

/// A section whose gateway and sockets are filled in later.
pub(super) fn blank(decision: Decision) -> Section {
    Section {
        gateway: Arc::new(ObjectRef::new("", "", "", "")),
        sockets: Vec::new(),
        listener: None,
        decision,
        others: Vec::new(),
        hidden: Hidden::default(),
        hints: Vec::new(),
    }
}

fn refused(status: u16, why: String) -> Section {
    blank(Decision::Refused { answer: answer(status, why), closest: None })
}

pub(super) fn answer(status: u16, why: String) -> Answer {
    Answer { status, fields: Vec::new(), why }
}

pub(super) fn local(response: LocalResponse, why: &str) -> Answer {
    let fields = response.fields.into_iter().map(|(name, value)| (Cow::into_owned(name), value));
    Answer { status: response.status, fields: fields.collect(), why: why.to_owned() }
}

fn same(one: Outcome<'_>, other: Outcome<'_>) -> bool {
    match (one, other) {
        (Outcome::Found(a), Outcome::Found(b)) => {
            a.entry.index == b.entry.index && std::ptr::eq(a.matched, b.matched)
        }
        (Outcome::Misdirected(a), Outcome::Misdirected(b))
        | (Outcome::NoRoute(a), Outcome::NoRoute(b)) => a.index == b.index,
        (Outcome::NoListener, Outcome::NoListener) => true,
        (
            Outcome::Found(_) | Outcome::Misdirected(_) | Outcome::NoRoute(_) | Outcome::NoListener,
            _,
        ) => false,
    }
}
