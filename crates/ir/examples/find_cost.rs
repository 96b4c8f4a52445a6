//! What a look-up and an assembly cost: `cargo run --release -p ir --example find_cost`.
//!
//! The argument `assemble` leaves the look-ups out.
//!
//! Prints nanoseconds for each request shape and milliseconds for each assembly, the least of
//! several rounds.

use std::{
    borrow::Cow,
    error::Error,
    hint::black_box,
    io::{self, Write},
    sync::{Arc, OnceLock},
    time::Instant,
};

use ir::{
    Action, Attachment, Backend, BackendProtocol, BindAddress, Cluster, ClusterId,
    ConnectionSettings, FieldName, HeaderMatch, HostPattern, HttpRoute, HttpSettings, IrSet,
    Listener, ListenerId, Match, ObjectRef, Origin, Outcome, PathMatch, Pattern, PortTable,
    Protocol, QueryMatch, RequestView, Revision, RouteKind, Rule, Silent, Table, Target, Timeouts,
    ValueMatch, assemble, find, path,
};

const ROUTES: usize = 5_000;
/// Rounds are short and many, so that some of them run undisturbed.
const ROUNDS: usize = 400;
const CALLS: u32 = 2_500;
const ASSEMBLIES: usize = 60;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Head {
    host: String,
    path: String,
    query: Option<&'static str>,
}

impl RequestView for Head {
    fn method(&self) -> &str {
        "GET"
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        self.query
    }

    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let fields = [("host", "a"), ("user-agent", "x"), ("accept", "*/*"), ("x-canary", "yes")];
        let found = fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| Cow::Borrowed(value.as_bytes()))
    }
}

fn object(kind: &str, name: &str) -> Arc<ObjectRef> {
    Arc::new(ObjectRef::new("gateway.networking.k8s.io", kind, "default", name))
}

/// One allocation, as in the output of translation.
fn listener_id() -> ListenerId {
    static ID: OnceLock<ListenerId> = OnceLock::new();
    let make = || ListenerId { owner: object("Gateway", "web"), name: "http".into() };
    ID.get_or_init(make).clone()
}

fn listener() -> Listener {
    let id = listener_id();
    Listener {
        origin: Origin::new(Arc::clone(&id.owner), "spec.listeners[0]"),
        gateway: Arc::clone(&id.owner),
        id,
        addresses: vec![BindAddress::Any],
        port: 80,
        bind_port: 80,
        protocol: Protocol::Http,
        hostname: None,
        http: HttpSettings::default(),
        connection: ConnectionSettings::default(),
        filters: Vec::new(),
    }
}

fn on(path: PathMatch, object: &Arc<ObjectRef>) -> Match {
    let origin = Origin::new(Arc::clone(object), "spec.rules[0].matches[0]");
    Match { origin, path, method: None, headers: Vec::new(), query: Vec::new() }
}

fn route(number: usize, host: &str, path: PathMatch) -> HttpRoute {
    let object = object("HTTPRoute", &format!("route-{number:05}"));
    let origin = Origin::new(Arc::clone(&object), "spec.rules[0]");
    let service = Arc::new(ObjectRef::new("", "Service", "default", &format!("svc-{number:05}")));
    let cluster = Cluster::new(service, 8080, BackendProtocol::Http1);
    let backend = Backend {
        origin: origin.clone(),
        weight: 1,
        target: Target::Cluster(ClusterId(Arc::new(cluster))),
        filters: Vec::new(),
        persistence: None,
    };
    let rule = Rule {
        matches: vec![on(path, &object)],
        origin,
        index: 0,
        name: None,
        filters: Vec::new(),
        action: Action::Forward(vec![backend]),
        timeouts: Timeouts::default(),
        retry: None,
    };
    let hosts = vec![(host != "*").then(|| HostPattern::new(host))];
    HttpRoute {
        object,
        kind: RouteKind::Http,
        created: Some(1),
        attachments: vec![Attachment { listener: listener_id(), hosts }],
        rules: vec![Arc::new(rule)],
    }
}

fn set(routes: impl IntoIterator<Item = HttpRoute>) -> IrSet {
    let mut set = IrSet::default();
    set.listeners.insert(listener_id(), Arc::new(listener()));
    for route in routes {
        set.http_routes.insert(Arc::clone(&route.object), Arc::new(route));
    }
    set
}

fn head(host: &str, path: &str) -> Head {
    Head { host: host.to_owned(), path: path.to_owned(), query: None }
}

fn port(table: &Table) -> Result<&PortTable> {
    table.ports.values().next().map(|port| &**port).ok_or_else(|| "no port".into())
}

/// The least time of one call over several rounds, in nanoseconds.
fn least(mut call: impl FnMut()) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..CALLS {
            call();
        }
        least = least.min(start.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
    }
    least
}

fn look_up(out: &mut impl Write, name: &str, set: &IrSet, heads: &[Head]) -> Result<()> {
    let table = assemble(set, Revision::default(), None);
    let port = port(&table)?;
    let mut next = heads.iter().cycle();
    let mut found = 0_u64;
    let nanoseconds = least(|| {
        let Some(head) = next.next() else { return };
        let outcome = find(port, &table, None, black_box(head), &mut Silent);
        found += u64::from(matches!(black_box(outcome), Outcome::Found(_)));
    });
    let share = if found == 0 { "misses" } else { "hits" };
    Ok(writeln!(out, "find       {name:<44} {nanoseconds:8.1} ns ({share})")?)
}

fn look_ups(out: &mut impl Write) -> Result<()> {
    let any = || PathMatch::Prefix("".into());
    let one = set([route(0, "a.example.com", any())]);
    look_up(out, "1 host", &one, &[head("a.example.com", "/index.html")])?;
    look_up(out, "1 host, miss", &one, &[head("b.example.com", "/index.html")])?;
    let hosts = set((0..ROUTES).map(|n| route(n, &format!("h{n}.example.com"), any())));
    look_up(out, "5,000 hosts, the last", &hosts, &[head("h4999.example.com", "/index.html")])?;
    let spread: Vec<Head> =
        (0..ROUTES).map(|n| head(&format!("h{}.example.com", n * 7 % ROUTES), "/x")).collect();
    look_up(out, "5,000 hosts, each in turn", &hosts, &spread)?;
    let wild = set((0..ROUTES).map(|n| route(n, &format!("*.h{n}.example.com"), any())));
    look_up(out, "5,000 wildcards", &wild, &[head("www.h4999.example.com", "/index.html")])?;
    let paths = set((0..ROUTES).map(|n| route(n, "*", PathMatch::Prefix(format!("/p{n}").into()))));
    look_up(out, "5,000 prefixes, the last", &paths, &[head("a.com", "/p4999/index.html")])?;
    let deep = |n: usize| PathMatch::Prefix(format!("/api/v1/tenant/{n}/items").into());
    let deep = set((0..ROUTES).map(|n| route(n, "*", deep(n))));
    look_up(out, "5,000 prefixes of 5 segments", &deep, &[head("a", "/api/v1/tenant/77/items/1")])?;
    let exact = set((0..ROUTES).map(|n| route(n, "*", PathMatch::Exact(format!("/p{n}").into()))));
    look_up(out, "5,000 exact paths", &exact, &[head("a.com", "/p4999")])?;
    look_up_expressions(out)?;
    look_up_conditions(out)
}

fn look_up_expressions(out: &mut impl Write) -> Result<()> {
    for count in [1, 3, 100, 1_000] {
        let mut routes = Vec::new();
        for number in 0..count {
            let pattern = Pattern::whole(&format!("/r{number}/[a-z]+/[0-9]*"));
            let pattern = pattern.map_err(|error| error.0)?;
            routes.push(route(number, "*", PathMatch::Regex(pattern)));
        }
        let set = set(routes);
        let last = count - 1;
        let name = format!("{count} expressions, the last");
        look_up(out, &name, &set, &[head("a.com", &format!("/r{last}/abc/123"))])?;
    }
    Ok(())
}

fn look_up_conditions(out: &mut impl Write) -> Result<()> {
    let mut canary = route(0, "*", PathMatch::Prefix("".into()));
    let name = FieldName::new("X-Canary").ok_or("a token")?;
    let mut matched = on(PathMatch::Prefix("".into()), &canary.object);
    matched.headers = vec![HeaderMatch { name, value: ValueMatch::Exact("yes".into()) }];
    matched.query =
        vec![QueryMatch { name: "version".into(), value: ValueMatch::Exact("two".into()) }];
    if let Some(rule) = canary.rules.first_mut().and_then(Arc::get_mut) {
        rule.matches = vec![matched];
    }
    let plain = route(1, "*", PathMatch::Prefix("".into()));
    let mut request = head("a.com", "/x");
    request.query = Some("a=b&c=d&version=two");
    look_up(out, "1 header and 1 query condition", &set([canary, plain]), &[request])
}

fn assemblies(out: &mut impl Write) -> Result<()> {
    let any = || PathMatch::Prefix("".into());
    let hosts = set((0..ROUTES).map(|n| route(n, &format!("h{n}.example.com"), any())));
    let paths = set((0..ROUTES).map(|n| route(n, "*", PathMatch::Prefix(format!("/p{n}").into()))));
    for (name, base, host) in [("hosts", &hosts, "h77.example.com"), ("paths", &paths, "*")] {
        let previous = assemble(base, Revision::default(), None);
        let mut edited = base.clone();
        let changed = route(77, host, PathMatch::Exact("/changed".into()));
        edited.http_routes.insert(Arc::clone(&changed.object), Arc::new(changed));
        let mut grown = base.clone();
        let mut added = route(ROUTES, "new.example.com", any());
        added.created = Some(2);
        grown.http_routes.insert(Arc::clone(&added.object), Arc::new(added));
        let cases = [
            ("cold", base, None),
            ("nothing changed", base, Some(&previous)),
            ("one route changed", &edited, Some(&previous)),
            ("one route added", &grown, Some(&previous)),
        ];
        for (case, set, previous) in cases {
            let mut least = f64::INFINITY;
            for _ in 0..ASSEMBLIES {
                let start = Instant::now();
                let table = assemble(black_box(set), Revision::default(), previous);
                least = least.min(start.elapsed().as_secs_f64() * 1e3);
                drop(black_box(table));
            }
            writeln!(out, "assemble   {:<44} {least:8.2} ms", format!("5,000 {name}, {case}"))?;
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let mut out = io::stdout().lock();
    if std::env::args().nth(1).is_some_and(|argument| argument == "assemble") {
        return assemblies(&mut out);
    }
    look_ups(&mut out)?;
    let settings = HttpSettings::default();
    for raw in ["/api/v1/items/42", "/api/v1/../%69tems/42"] {
        let nanoseconds = least(|| {
            black_box(path::normalize(black_box(raw), &settings).is_ok());
        });
        writeln!(out, "normalise  {raw:<44} {nanoseconds:8.1} ns")?;
    }
    let nanoseconds = least(|| {
        black_box(ir::host::normalize(black_box("www.example.com:8080")).is_ok());
    });
    writeln!(out, "normalise  {:<44} {nanoseconds:8.1} ns", "www.example.com:8080")?;
    assemblies(&mut out)
}
