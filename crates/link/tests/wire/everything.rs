//! Entities in which every field is set and every variant occurs.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ir::{
    Action, Attachment, AuthProtocol, Authorities, Backend, BackendProtocol, Balance, BindAddress,
    CallMatch, Certificate, CertificateId, CipherSuite, ClientValidation, ClientValidationMode,
    Cluster, ClusterId, ConnectionSettings, CookieLifetime, Cors, CorsOrigin, Endpoint,
    EndpointSet, EndpointState, EndpointsKey, EscapedSlashes, ExternalAuth, FailReason, FieldName,
    FieldValue, Filter, Fraction, Gateway, HeaderMatch, HeaderModifier, HostPattern, HttpRoute,
    HttpSettings, L4Route, Listener, ListenerId, Locality, Match, Mirror, ObjectRef, Origin,
    Outlier, PathMatch, PathModifier, Pattern, PrivateKey, Protocol, ProxyProtocol, QueryMatch,
    Redirect, Retry, RetryBudget, Rewrite, RouteKind, Rule, SessionPersistence, SessionPlace,
    SubjectAltName, Target, Timeouts, TlsOptions, TlsTermination, TlsVersion, TrustBundle,
    TrustBundleId, TrustedPeers, UpstreamTls, ValueMatch,
};
use link::wire::Entity;

pub(crate) fn entities() -> Vec<Entity> {
    let mut all = vec![
        Entity::Gateway(Arc::new(Gateway {
            object: object("Gateway"),
            class: "portcullis".into(),
            listeners: vec![listener_id("a"), listener_id("b")],
            client_certificate: Some(CertificateId("1f".into())),
        })),
        Entity::Certificate(Arc::new(Certificate {
            id: CertificateId("1f".into()),
            origin: origin(""),
            chain: vec![Arc::from(&b"leaf"[..]), Arc::from(&b""[..])],
            key: Arc::new(PrivateKey::new(vec![0, 1, 255])),
            names: vec![HostPattern::new("a.example"), HostPattern::new("*.b.example")],
        })),
        Entity::TrustBundle(Arc::new(TrustBundle {
            id: TrustBundleId("2e".into()),
            origin: origin("data"),
            certificates: vec![Arc::from(&b"authority"[..])],
        })),
        Entity::Endpoints(
            EndpointsKey { backend: object("Service"), port: 80 },
            Arc::new(EndpointSet { endpoints: endpoints() }),
        ),
        Entity::L4Route(Arc::new(L4Route {
            object: object("TLSRoute"),
            created: None,
            attachments: vec![attachment()],
            origin: origin("spec.rules[0]"),
            backends: clusters().map(backend).collect(),
            passthrough: Some(vec![
                Target::Fail(FailReason::InvalidBackend),
                Target::Cluster(ClusterId(Arc::new(Cluster::new(
                    object("Service"),
                    443,
                    BackendProtocol::Tcp,
                )))),
            ]),
        })),
    ];
    all.extend(listeners().map(|listener| Entity::Listener(Arc::new(listener))));
    all.extend(routes().map(|route| Entity::HttpRoute(Arc::new(route))));
    all
}

fn object(kind: &str) -> Arc<ObjectRef> {
    Arc::new(ObjectRef::new("example.org", kind, "default", "name"))
}

fn origin(field: &str) -> Origin {
    Origin::new(object("HTTPRoute"), field)
}

fn listener_id(name: &str) -> ListenerId {
    ListenerId { owner: object("ListenerSet"), name: name.into() }
}

fn attachment() -> Attachment {
    let hosts = vec![None, Some(HostPattern::new("a.example")), Some(HostPattern::new("*.b.c"))];
    Attachment { listener: listener_id("a"), hosts }
}

fn field(name: &str) -> FieldName {
    FieldName::new(name).expect("a token")
}

fn value(text: &str) -> FieldValue {
    FieldValue::new(text).expect("a value")
}

fn endpoints() -> Vec<Arc<Endpoint>> {
    let places = ["10.0.0.1:80", "[2001:db8::1]:65535"];
    let states = [EndpointState::Ready, EndpointState::Draining];
    let pairs = places.iter().zip(states);
    let endpoint = |(place, state): (&&str, EndpointState)| Endpoint {
        address: place.parse::<SocketAddr>().expect("an address"),
        identity: format!("pod at {place}").into(),
        zone: (state == EndpointState::Ready).then(|| "zone-a".into()),
        for_zones: vec!["zone-a".into(), "zone-b".into()],
        for_nodes: vec!["node-a".into()],
        state,
    };
    pairs.map(|pair| Arc::new(endpoint(pair))).collect()
}

fn options() -> TlsOptions {
    TlsOptions {
        min_version: Some(TlsVersion::Tls12),
        max_version: Some(TlsVersion::Tls13),
        cipher_suites: CipherSuite::ALL.to_vec(),
    }
}

fn listeners() -> impl Iterator<Item = Listener> {
    let termination = |mode| TlsTermination {
        certificates: vec![CertificateId("1f".into())],
        client_validation: Some(Arc::new(ClientValidation {
            authorities: vec![TrustBundleId("2e".into())],
            mode,
        })),
        options: options(),
    };
    let protocols = [
        Protocol::Http,
        Protocol::Https(termination(ClientValidationMode::AllowValidOnly)),
        Protocol::TlsPassthrough,
        Protocol::TlsTerminate(termination(ClientValidationMode::AllowInsecureFallback)),
        Protocol::Tcp,
        Protocol::Udp,
    ];
    protocols.into_iter().map(|protocol| Listener {
        id: listener_id("a"),
        origin: origin("spec.listeners[0]"),
        gateway: object("Gateway"),
        addresses: vec![
            BindAddress::Any,
            BindAddress::Ip("192.0.2.1".parse().expect("an address")),
            BindAddress::Ip("2001:db8::7".parse().expect("an address")),
        ],
        port: 443,
        bind_port: 10443,
        protocol,
        hostname: Some(HostPattern::new("*.example.org")),
        http: HttpSettings {
            trusted_peers: TrustedPeers {
                hops: 2,
                networks: vec!["10.0.0.0/8".parse().expect("a network")],
            },
            escaped_slashes: EscapedSlashes::Reject,
            keep_empty_segments: true,
        },
        connection: ConnectionSettings { proxy_protocol: true, connections_max: Some(u32::MAX) },
        filters: filters(),
    })
}

fn clusters() -> impl Iterator<Item = Cluster> {
    let tls = |authorities| UpstreamTls {
        origin: origin("spec.validation"),
        server_name: "backend.example".into(),
        authorities,
        subject_alt_names: vec![
            SubjectAltName::Hostname("backend.example".into()),
            SubjectAltName::Uri("spiffe://a/b".into()),
        ],
        client_certificate: Some(CertificateId("1f".into())),
        options: options(),
    };
    let protocols = [
        (BackendProtocol::Http1, None, Balance::LeastRequest, None, Locality::Any),
        (
            BackendProtocol::Http2,
            Some(Authorities::System),
            Balance::RoundRobin,
            Some(ProxyProtocol::V1),
            Locality::PreferZone,
        ),
        (
            BackendProtocol::Negotiated,
            Some(Authorities::Bundles(vec![TrustBundleId("2e".into())])),
            Balance::RoundRobin,
            Some(ProxyProtocol::V2),
            Locality::Any,
        ),
        (BackendProtocol::Tcp, None, Balance::RoundRobin, None, Locality::Any),
        (BackendProtocol::Udp, None, Balance::RoundRobin, None, Locality::Any),
    ];
    protocols.into_iter().map(move |(protocol, authorities, balance, proxy_protocol, locality)| {
        Cluster {
            backend: object("Service"),
            port: 8080,
            protocol,
            tls: authorities.map(|authorities| Arc::new(tls(authorities))),
            balance,
            proxy_protocol,
            outlier: Outlier {
                consecutive_failures: None,
                ejection: Duration::from_millis(1500),
                max_percent: 100,
            },
            retry_budget: Some(RetryBudget {
                percent: 20,
                interval: Duration::from_secs(10),
                min_retries: 3,
                min_interval: Duration::from_nanos(1),
            }),
            locality,
        }
    })
}

fn backend(cluster: Cluster) -> Backend {
    let place = match cluster.protocol {
        BackendProtocol::Http1 => SessionPlace::Header,
        BackendProtocol::Http2 => {
            SessionPlace::Cookie { path: "/".into(), lifetime: CookieLifetime::Session }
        }
        _ => SessionPlace::Cookie { path: "/a".into(), lifetime: CookieLifetime::Permanent },
    };
    Backend {
        origin: origin("spec.rules[0].backendRefs[0]"),
        weight: 1_000_000,
        target: Target::Cluster(ClusterId(Arc::new(cluster))),
        filters: filters(),
        persistence: Some(Arc::new(SessionPersistence {
            origin: origin("spec.rules[0].sessionPersistence"),
            name: field("Session"),
            place,
            absolute_timeout: Some(Duration::from_secs(3600)),
            idle_timeout: Some(Duration::MAX),
        })),
    }
}

fn filters() -> Vec<Filter> {
    let modifier = HeaderModifier {
        set: vec![(field("X-Set"), value("a\tb"))],
        add: vec![(field("X-Add"), value(""))],
        remove: vec![field("X-Remove")],
    };
    let origins = vec![
        CorsOrigin::Any,
        CorsOrigin::Origin {
            scheme: "https".into(),
            host: Some(HostPattern::new("*.example.org")),
            port: Some(8443),
        },
        CorsOrigin::Origin { scheme: "http".into(), host: None, port: None },
    ];
    vec![
        Filter::Cors(Cors {
            origin: origin("spec.rules[0].filters[0]"),
            allow_origins: origins,
            allow_credentials: true,
            allow_methods: vec!["*".into()],
            allow_headers: vec!["X-A".into()],
            expose_headers: vec!["X-B".into()],
            max_age: 5,
        }),
        Filter::Mirror(Mirror {
            origin: origin("spec.rules[0].filters[1]"),
            target: Target::Fail(FailReason::InvalidBackend),
            share: Fraction { numerator: 1, denominator: 1000 },
        }),
        Filter::RequestHeaders(modifier.clone()),
        Filter::ResponseHeaders(modifier),
        Filter::Rewrite(Rewrite {
            origin: origin("spec.rules[0].filters[4]"),
            hostname: Some("other.example".into()),
            path: Some(PathModifier::ReplaceFull("/other".into())),
        }),
        Filter::ExternalAuth(ExternalAuth {
            origin: origin("spec.rules[0].filters[5]"),
            target: Target::Fail(FailReason::InvalidBackend),
            protocol: AuthProtocol::Http {
                path_prefix: "/auth".into(),
                allowed_response_headers: vec![field("x-user")],
            },
            allowed_headers: vec![field("cookie")],
            body_max: 1024,
        }),
        Filter::ExternalAuth(ExternalAuth {
            origin: origin("spec.rules[0].filters[6]"),
            target: Target::Fail(FailReason::InvalidBackend),
            protocol: AuthProtocol::Grpc,
            allowed_headers: Vec::new(),
            body_max: 0,
        }),
    ]
}

fn actions() -> impl Iterator<Item = Action> {
    let redirect = Redirect {
        origin: origin("spec.rules[0].filters[0]"),
        scheme: Some("https".into()),
        hostname: Some("other.example".into()),
        path: Some(PathModifier::ReplacePrefix("/new".into())),
        port: Some(8443),
        status: 308,
    };
    [
        Action::Forward(clusters().map(backend).collect()),
        Action::Redirect(redirect),
        Action::Fail(FailReason::NoBackends),
        Action::Fail(FailReason::UnsupportedRule),
    ]
    .into_iter()
}

fn routes() -> impl Iterator<Item = HttpRoute> {
    let kinds = [RouteKind::Grpc, RouteKind::Http].into_iter().cycle();
    actions().zip(kinds).map(|(action, kind)| HttpRoute {
        object: object("HTTPRoute"),
        kind,
        created: Some(-1),
        attachments: vec![attachment()],
        rules: vec![Arc::new(Rule {
            origin: origin("spec.rules[0]"),
            index: 7,
            name: Some("rule".into()),
            matches: matches(),
            filters: filters(),
            action,
            timeouts: Timeouts {
                request: Some(Duration::from_secs(1)),
                backend_request: Some(Duration::from_millis(1)),
            },
            retry: Some(Retry {
                attempts: 3,
                codes: vec![500, 503],
                backoff: Some(Duration::from_millis(25)),
            }),
        })],
    })
}

fn matches() -> Vec<Match> {
    let pattern = |text| Pattern::whole(text).expect("a pattern");
    let paths = [
        PathMatch::Exact("/a".into()),
        PathMatch::Prefix("".into()),
        PathMatch::Regex(pattern("/[ab]+")),
        PathMatch::Call(CallMatch {
            service_chars: 3,
            method_chars: 0,
            pattern: pattern("/a.B/[^/]+"),
        }),
    ];
    let conditions = [
        ValueMatch::Exact("1".into()),
        ValueMatch::Regex(Pattern::search("^v[0-9]").expect("a pattern")),
    ];
    paths
        .into_iter()
        .map(|path| Match {
            origin: origin("spec.rules[0].matches[0]"),
            path,
            method: Some("GET".into()),
            headers: (conditions.iter().cloned())
                .map(|value| HeaderMatch { name: field("X-Version"), value })
                .collect(),
            query: (conditions.iter().cloned())
                .map(|value| QueryMatch { name: "v".into(), value })
                .collect(),
        })
        .collect()
}
