//! Short ways to write sets, tables and requests.

use std::{borrow::Cow, cell::RefCell, collections::BTreeMap, sync::Arc};

use ir::{
    Action, Attachment, Backend, BackendProtocol, BindAddress, Cluster, ClusterId,
    ConnectionSettings, FieldName, FieldValue, Filter, HeaderMatch, HostPattern, HttpRoute,
    HttpSettings, IrSet, Listener, ListenerId, Match, ObjectRef, Origin, Outcome, PathMatch,
    Pattern, Protocol, QueryMatch, RequestView, Revision, RouteKind, Rule, Silent, Table, Target,
    Timeouts, TlsTermination, ValueMatch, assemble, find,
};

pub(crate) fn object(kind: &str, name: &str) -> Arc<ObjectRef> {
    Arc::new(ObjectRef::new("gateway.networking.k8s.io", kind, "default", name))
}

pub(crate) fn origin(object: &Arc<ObjectRef>, field: &str) -> Origin {
    Origin::new(Arc::clone(object), field)
}

pub(crate) fn host(text: &str) -> Option<HostPattern> {
    (text != "*").then(|| HostPattern::new(text))
}

pub(crate) fn listener_id(name: &str) -> ListenerId {
    ListenerId { owner: object("Gateway", "web"), name: name.into() }
}

pub(crate) fn field(name: &str) -> FieldName {
    FieldName::new(name).expect("a token")
}

pub(crate) fn text(value: &str) -> FieldValue {
    FieldValue::new(value).expect("a field value")
}

pub(crate) fn settings() -> HttpSettings {
    HttpSettings::default()
}

/// A listener on port 80 (HTTP) or 443 (HTTPS); `*` is no hostname.
pub(crate) fn listener(name: &str, hostname: &str, port: u16) -> Listener {
    let owner = object("Gateway", "web");
    let tls = TlsTermination::default();
    Listener {
        id: listener_id(name),
        origin: origin(&owner, "spec.listeners[0]"),
        gateway: owner,
        addresses: vec![BindAddress::Any],
        port,
        bind_port: port,
        protocol: if port == 443 { Protocol::Https(tls) } else { Protocol::Http },
        hostname: host(hostname),
        http: settings(),
        connection: ConnectionSettings::default(),
        filters: Vec::new(),
    }
}

/// Everything of a path and no other condition.
pub(crate) fn on(path: PathMatch) -> Match {
    let object = object("HTTPRoute", "any");
    Match {
        origin: origin(&object, "spec.rules[0].matches[0]"),
        path,
        method: None,
        headers: Vec::new(),
        query: Vec::new(),
    }
}

pub(crate) fn exact(path: &str) -> Match {
    on(PathMatch::Exact(path.into()))
}

pub(crate) fn prefix(path: &str) -> Match {
    on(PathMatch::Prefix(path.trim_end_matches('/').into()))
}

pub(crate) fn regex(pattern: &str) -> Match {
    on(PathMatch::Regex(compiled(pattern, true)))
}

thread_local! {
    /// Random tests use the same few patterns again and again.
    static COMPILED: RefCell<BTreeMap<(String, bool), Pattern>> = RefCell::default();
}

fn compiled(text: &str, whole: bool) -> Pattern {
    COMPILED.with_borrow_mut(|known| {
        let compile = || if whole { Pattern::whole(text) } else { Pattern::search(text) };
        let entry = known.entry((text.to_owned(), whole));
        entry.or_insert_with(|| compile().expect("a pattern")).clone()
    })
}

pub(crate) trait MatchExt {
    fn method(self, method: &str) -> Self;
    fn header(self, name: &str, value: &str) -> Self;
    fn header_regex(self, name: &str, pattern: &str) -> Self;
    fn query(self, name: &str, value: &str) -> Self;
    fn query_regex(self, name: &str, pattern: &str) -> Self;
}

impl MatchExt for Match {
    fn method(mut self, method: &str) -> Self {
        self.method = Some(method.into());
        self
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        let value = ValueMatch::Exact(value.into());
        self.headers.push(HeaderMatch { name: field(name), value });
        self
    }

    fn header_regex(mut self, name: &str, pattern: &str) -> Self {
        let value = ValueMatch::Regex(compiled(pattern, false));
        self.headers.push(HeaderMatch { name: field(name), value });
        self
    }

    fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push(QueryMatch { name: name.into(), value: ValueMatch::Exact(value.into()) });
        self
    }

    fn query_regex(mut self, name: &str, pattern: &str) -> Self {
        let value = ValueMatch::Regex(compiled(pattern, false));
        self.query.push(QueryMatch { name: name.into(), value });
        self
    }
}

pub(crate) fn cluster(name: &str) -> ClusterId {
    let service = Arc::new(ObjectRef::new("", "Service", "default", name));
    ClusterId(Arc::new(Cluster::new(service, 8080, BackendProtocol::Http1)))
}

pub(crate) fn backend(name: &str, weight: u32) -> Backend {
    Backend {
        origin: origin(&object("HTTPRoute", "any"), "spec.rules[0].backendRefs[0]"),
        weight,
        target: Target::Cluster(cluster(name)),
        filters: Vec::new(),
        persistence: None,
    }
}

/// A rule that forwards everything to one backend.
pub(crate) fn rule(matches: Vec<Match>) -> Rule {
    Rule {
        origin: origin(&object("HTTPRoute", "any"), "spec.rules[0]"),
        index: 0,
        name: None,
        matches,
        filters: Vec::<Filter>::new(),
        action: Action::Forward(vec![backend("backend", 1)]),
        timeouts: Timeouts::default(),
        retry: None,
    }
}

/// A route on listener `http` for the hosts (`*` is no hostname); each list is one rule.
pub(crate) fn route(name: &str, hosts: &[&str], rules: Vec<Vec<Match>>) -> HttpRoute {
    let rules = rules.into_iter().zip(0..).map(|(matches, index)| {
        let mut rule = rule(matches);
        rule.index = index;
        Arc::new(rule)
    });
    HttpRoute {
        object: object("HTTPRoute", name),
        kind: RouteKind::Http,
        created: None,
        attachments: vec![attachment("http", hosts)],
        rules: rules.collect(),
    }
}

pub(crate) fn attachment(listener: &str, hosts: &[&str]) -> Attachment {
    Attachment {
        listener: listener_id(listener),
        hosts: hosts.iter().map(|name| host(name)).collect(),
    }
}

pub(crate) trait RouteExt {
    fn created(self, seconds: i64) -> Self;
    fn attached(self, listener: &str, hosts: &[&str]) -> Self;
}

impl RouteExt for HttpRoute {
    fn created(mut self, seconds: i64) -> Self {
        self.created = Some(seconds);
        self
    }

    fn attached(mut self, listener: &str, hosts: &[&str]) -> Self {
        self.attachments = vec![attachment(listener, hosts)];
        self
    }
}

pub(crate) fn set(listeners: Vec<Listener>, routes: Vec<HttpRoute>) -> IrSet {
    let mut set = IrSet::default();
    for listener in listeners {
        set.listeners.insert(listener.id.clone(), Arc::new(listener));
    }
    for route in routes {
        set.http_routes.insert(Arc::clone(&route.object), Arc::new(route));
    }
    set
}

/// One listener on port 80 that takes every host.
pub(crate) fn table(routes: Vec<HttpRoute>) -> Table {
    table_of(vec![listener("http", "*", 80)], routes)
}

pub(crate) fn table_of(listeners: Vec<Listener>, routes: Vec<HttpRoute>) -> Table {
    assemble(&set(listeners, routes), Revision::default(), None)
}

/// A request head as lists.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub method: String,
    pub host: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: Vec<(String, Vec<u8>)>,
}

/// `host/path?query` by GET.
pub(crate) fn get(target: &str) -> Request {
    let (host, rest) = target.split_at(target.find('/').unwrap_or(target.len()));
    let (path, query) = ir::path::split_target(rest);
    Request {
        method: "GET".to_owned(),
        host: host.to_owned(),
        path: path.to_owned(),
        query: query.map(str::to_owned),
        headers: Vec::new(),
    }
}

impl Request {
    pub(crate) fn method(mut self, method: &str) -> Self {
        self.method = method.to_owned();
        self
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }
}

impl RequestView for Request {
    fn method(&self) -> &str {
        &self.method
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let mut lines = self
            .headers
            .iter()
            .filter(|(line, _)| line.eq_ignore_ascii_case(name))
            .map(|line| &line.1);
        let first = lines.next()?;
        let rest: Vec<&Vec<u8>> = lines.collect();
        if rest.is_empty() {
            return Some(Cow::Borrowed(first));
        }
        let mut joined = first.clone();
        for line in rest {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(line);
        }
        Some(Cow::Owned(joined))
    }
}

/// `route/rule/match` that a request on the first port takes, or why there is none.
pub(crate) fn taken(table: &Table, request: &Request) -> String {
    let port = table.ports.values().next().expect("a port");
    described(&find(port, table, None, request, &mut Silent))
}

/// As [`taken`], on a connection whose handshake named `sni`.
pub(crate) fn taken_with_sni(table: &Table, sni: &str, request: &Request) -> String {
    let port = table.ports.values().next().expect("a port");
    let listener = port.listener_for(sni).expect("a listener for the name");
    described(&find(port, table, Some(listener.index), request, &mut Silent))
}

pub(crate) fn described(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Found(found) => {
            let place = |matched: &Match| std::ptr::eq(matched, found.matched);
            let number = found.entry.rule.matches.iter().position(place).expect("its own match");
            format!("{}/{}/{number}", found.entry.route.object.name, found.entry.rule.index)
        }
        Outcome::Misdirected(_) => "421".to_owned(),
        Outcome::NoListener => "404 no listener".to_owned(),
        Outcome::NoRoute(_) => "404".to_owned(),
    }
}
