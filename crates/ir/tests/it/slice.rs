//! What one Gateway's data plane gets of a set.

use std::{collections::BTreeMap, sync::Arc};

use ir::{
    Action, Authorities, Backend, BackendProtocol, Certificate, CertificateId, ClientValidation,
    ClientValidationMode, Cluster, ClusterId, EndpointMap, EndpointSet, EndpointsKey, Filter,
    Fraction, Gateway, HttpRoute, IrSet, L4Route, Listener, ListenerId, Mirror, ObjectRef,
    PrivateKey, Protocol, Rule, Target, TlsOptions, TlsTermination, TrustBundle, TrustBundleId,
    UpstreamTls,
};

use crate::support::{attachment, listener, object, origin, prefix, route, rule};

/// A listener of a Gateway, or of a ListenerSet for it.
fn listener_of(gateway: &str, owner: &Arc<ObjectRef>, name: &str) -> Listener {
    let id = ListenerId { owner: Arc::clone(owner), name: name.into() };
    Listener { id, gateway: object("Gateway", gateway), ..listener(name, "*", 80) }
}

fn attached(name: &str, listeners: &[&Listener]) -> HttpRoute {
    let mut route = route(name, &["*"], vec![vec![prefix("/")]]);
    let to = |listener: &&Listener| ir::Attachment {
        listener: listener.id.clone(),
        ..attachment("http", &["*"])
    };
    route.attachments = listeners.iter().map(to).collect();
    route
}

fn gateways(names: &[&str]) -> BTreeMap<Arc<ObjectRef>, Arc<Gateway>> {
    let gateway = |name: &&str| {
        let object = object("Gateway", name);
        let gateway = Gateway {
            object: Arc::clone(&object),
            class: "a".into(),
            listeners: Vec::new(),
            client_certificate: None,
        };
        (object, Arc::new(gateway))
    };
    names.iter().map(gateway).collect()
}

fn set(listeners: &[&Listener], routes: Vec<HttpRoute>) -> IrSet {
    let listeners = listeners.iter().map(|one| (one.id.clone(), Arc::new((*one).clone())));
    let routes = routes.into_iter().map(|one| (Arc::clone(&one.object), Arc::new(one)));
    IrSet {
        gateways: gateways(&["one", "two"]),
        listeners: listeners.collect(),
        http_routes: routes.collect(),
        ..IrSet::default()
    }
}

fn certificate(id: &str) -> (CertificateId, Arc<Certificate>) {
    let id = CertificateId(id.into());
    let certificate = Certificate {
        id: id.clone(),
        origin: origin(&object("Secret", "any"), ""),
        chain: Vec::new(),
        key: Arc::new(PrivateKey::new(Vec::new())),
        names: Vec::new(),
    };
    (id, Arc::new(certificate))
}

fn bundle(id: &str) -> (TrustBundleId, Arc<TrustBundle>) {
    let id = TrustBundleId(id.into());
    let origin = origin(&object("ConfigMap", "any"), "");
    (id.clone(), Arc::new(TrustBundle { id, origin, certificates: Vec::new() }))
}

fn names<T>(map: &BTreeMap<Arc<ObjectRef>, T>) -> Vec<&str> {
    map.keys().map(|object| &*object.name).collect()
}

fn backend(name: &str, tls: Option<UpstreamTls>) -> Backend {
    let service = Arc::new(ObjectRef::new("", "Service", "default", name));
    let mut cluster = Cluster::new(service, 8080, BackendProtocol::Http1);
    cluster.tls = tls.map(Arc::new);
    Backend {
        origin: origin(&object("HTTPRoute", "any"), "spec.rules[0].backendRefs[0]"),
        weight: 1,
        target: Target::Cluster(ClusterId(Arc::new(cluster))),
        filters: Vec::new(),
        persistence: None,
    }
}

fn mirror(name: &str) -> Filter {
    let origin = origin(&object("HTTPRoute", "any"), "spec.rules[0].filters[0]");
    let share = Fraction { numerator: 1, denominator: 1 };
    Filter::Mirror(Mirror { origin, target: backend(name, None).target, share })
}

#[test]
fn listeners_of_the_gateway_and_of_its_listener_sets_are_in_the_slice() {
    let own = listener_of("one", &object("Gateway", "one"), "http");
    let merged = listener_of("one", &object("ListenerSet", "more"), "http");
    let other = listener_of("two", &object("Gateway", "two"), "http");
    let slice = set(&[&own, &merged, &other], Vec::new()).for_gateway(&object("Gateway", "one"));
    assert_eq!(slice.listeners.keys().collect::<Vec<_>>(), [&own.id, &merged.id]);
    assert_eq!(names(&slice.gateways), ["one"]);
}

#[test]
fn a_route_of_two_gateways_is_narrowed_and_one_of_another_is_left_out() {
    let here = listener_of("one", &object("Gateway", "one"), "http");
    let there = listener_of("two", &object("Gateway", "two"), "http");
    let routes = vec![
        attached("both", &[&here, &there]),
        attached("here", &[&here]),
        attached("there", &[&there]),
    ];
    let whole = set(&[&here, &there], routes);
    let slice = whole.for_gateway(&object("Gateway", "one"));
    assert_eq!(names(&slice.http_routes), ["both", "here"]);
    let both = &slice.http_routes[&object("HTTPRoute", "both")];
    assert_eq!(both.attachments, [attached("any", &[&here]).attachments].concat());
    let key = object("HTTPRoute", "here");
    assert!(Arc::ptr_eq(&slice.http_routes[&key], &whole.http_routes[&key]));
}

#[test]
fn l4_routes_are_narrowed_as_well() {
    let here = listener_of("one", &object("Gateway", "one"), "tcp");
    let there = listener_of("two", &object("Gateway", "two"), "tcp");
    let mut whole = set(&[&here, &there], Vec::new());
    let route = L4Route {
        object: object("TCPRoute", "both"),
        created: None,
        attachments: attached("any", &[&here, &there]).attachments,
        origin: origin(&object("TCPRoute", "both"), "spec.rules[0]"),
        backends: vec![backend("tcp", None)],
        passthrough: None,
    };
    whole.l4_routes.insert(Arc::clone(&route.object), Arc::new(route));
    let slice = whole.for_gateway(&object("Gateway", "two"));
    let route = slice.l4_routes.values().next().expect("the route");
    assert_eq!(route.attachments.len(), 1);
    assert_eq!(route.attachments[0].listener, there.id);
}

#[test]
fn certificates_and_bundles_are_there_only_where_they_are_named() {
    let mut https = listener_of("one", &object("Gateway", "one"), "https");
    https.protocol = Protocol::Https(TlsTermination {
        certificates: vec![CertificateId("served".into())],
        client_validation: Some(Arc::new(ClientValidation {
            authorities: vec![TrustBundleId("clients".into())],
            mode: ClientValidationMode::AllowValidOnly,
        })),
        options: TlsOptions::default(),
    });
    let upstream = UpstreamTls {
        origin: origin(&object("BackendTLSPolicy", "any"), "spec"),
        server_name: "backend".into(),
        authorities: Authorities::Bundles(vec![TrustBundleId("backends".into())]),
        subject_alt_names: Vec::new(),
        client_certificate: Some(CertificateId("shown".into())),
        options: TlsOptions::default(),
    };
    let mut route = attached("route", &[&https]);
    route.rules = vec![Arc::new(Rule {
        action: Action::Forward(vec![backend("tls", Some(upstream))]),
        ..rule(vec![prefix("/")])
    })];
    let plain = listener_of("two", &object("Gateway", "two"), "http");
    let mut whole = set(&[&https, &plain], vec![route]);
    whole.certificates = ["other", "served", "shown"].map(certificate).into();
    whole.trust_bundles = ["backends", "clients", "other"].map(bundle).into();
    let slice = whole.for_gateway(&object("Gateway", "one"));
    let ids: Vec<_> = slice.certificates.keys().map(|id| &*id.0).collect();
    assert_eq!(ids, ["served", "shown"]);
    let ids: Vec<_> = slice.trust_bundles.keys().map(|id| &*id.0).collect();
    assert_eq!(ids, ["backends", "clients"]);
    let slice = whole.for_gateway(&object("Gateway", "two"));
    assert!(slice.certificates.is_empty() && slice.trust_bundles.is_empty());
}

#[test]
fn endpoints_are_those_of_backends_and_of_mirrors_wherever_they_are() {
    let mut http = listener_of("one", &object("Gateway", "one"), "http");
    http.filters = vec![mirror("of-listener")];
    let mut route = attached("route", &[&http]);
    let mut to = backend("forwarded", None);
    to.filters = vec![mirror("of-backend")];
    route.rules = vec![Arc::new(Rule {
        filters: vec![mirror("of-rule")],
        action: Action::Forward(vec![to]),
        ..rule(vec![prefix("/")])
    })];
    let slice = set(&[&http], vec![route]).for_gateway(&object("Gateway", "one"));
    let key = |name: &str| EndpointsKey {
        backend: Arc::new(ObjectRef::new("", "Service", "default", name)),
        port: 8080,
    };
    let all: EndpointMap = ["forwarded", "of-backend", "of-rule", "of-listener", "other"]
        .map(|name| (key(name), Arc::new(EndpointSet::default())))
        .into();
    let endpoints = slice.endpoints_of(&all);
    let found: Vec<_> = endpoints.keys().map(|key| &*key.backend.name).collect();
    assert_eq!(found, ["forwarded", "of-backend", "of-listener", "of-rule"]);
}

#[test]
fn a_gateway_that_is_not_there_has_nothing() {
    let own = listener_of("one", &object("Gateway", "one"), "http");
    let whole = set(&[&own], vec![attached("route", &[&own])]);
    assert_eq!(whole.for_gateway(&object("Gateway", "three")), IrSet::default());
}
