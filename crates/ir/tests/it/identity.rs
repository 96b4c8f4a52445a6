//! The certificate that a Gateway shows to backends.

use std::sync::Arc;

use ir::{
    Action, Authorities, BackendProtocol, CertificateId, Cluster, ClusterId, Gateway, ObjectRef,
    Revision, Table, Target, TlsOptions, UpstreamTls, assemble,
};

use crate::support::{backend, listener, object, origin, prefix, route, rule, set};

fn secured(own: Option<&str>) -> ClusterId {
    let service = Arc::new(ObjectRef::new("", "Service", "default", "app"));
    let tls = UpstreamTls {
        origin: origin(&object("BackendTLSPolicy", "p"), ""),
        server_name: "app.example.com".into(),
        authorities: Authorities::System,
        subject_alt_names: Vec::new(),
        client_certificate: own.map(|id| CertificateId(id.into())),
        options: TlsOptions::default(),
    };
    let cluster = Cluster::new(service, 443, BackendProtocol::Negotiated);
    ClusterId(Arc::new(Cluster { tls: Some(Arc::new(tls)), ..cluster }))
}

/// The certificates that two listeners of two Gateways show; only the first Gateway has one.
fn shown(target: Option<ClusterId>) -> Vec<Option<String>> {
    let mut second = listener("second", "*", 81);
    second.gateway = object("Gateway", "other");
    let mut forwarding = rule(vec![prefix("/")]);
    let mut to = backend("plain", 1);
    if let Some(target) = target {
        to.target = Target::Cluster(target);
    }
    forwarding.action = Action::Forward(vec![to]);
    let mut route = route("r", &["*"], vec![]);
    route.rules = vec![Arc::new(forwarding)];
    route.attachments.push(crate::support::attachment("second", &["*"]));
    let mut set = set(vec![listener("http", "*", 80), second], vec![route]);
    for (name, certificate) in [("web", Some("gateway")), ("other", None)] {
        let gateway = Gateway {
            object: object("Gateway", name),
            class: "portcullis".into(),
            listeners: Vec::new(),
            client_certificate: certificate.map(|id| CertificateId(id.into())),
        };
        set.gateways.insert(Arc::clone(&gateway.object), Arc::new(gateway));
    }
    let table = assemble(&set, Revision::default(), None);
    table.rules.iter().map(|entry| certificate(&table, entry.backends[0].cluster)).collect()
}

fn certificate(table: &Table, index: Option<ir::ClusterIndex>) -> Option<String> {
    let cluster = table.cluster(index.expect("a cluster")).expect("its place");
    let tls = cluster.0.tls.as_ref()?;
    tls.client_certificate.as_ref().map(|id| id.0.to_string())
}

#[test]
fn each_gateway_shows_its_own_certificate_to_one_and_the_same_backend() {
    assert_eq!(shown(Some(secured(None))), [Some("gateway".to_owned()), None]);
}

#[test]
fn the_certificate_of_a_backend_itself_comes_first() {
    let own = Some("backend".to_owned());
    assert_eq!(shown(Some(secured(Some("backend")))), [own.clone(), own]);
}

#[test]
fn a_backend_in_plaintext_is_one_cluster_for_all_gateways() {
    assert_eq!(shown(None), [None, None]);
}
