//! TLS towards backends: who is believed, what is shown, and that nothing goes out in plaintext.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, secured, tls_policy, to_cluster};
use ir::{BackendProtocol, CertificateId, SubjectAltName, TlsOptions, TlsVersion, UpstreamTls};
use proxy::Reason;
use rcgen::{BasicConstraints, IsCa, SanType};
use testkit::{
    certs::{Authority, Issued, self_signed_with, server_config},
    recorder::Recorder,
    tls_front::TlsFront,
};

/// A data plane with one backend behind TLS; `shop.example` is what the policy names.
struct Backend {
    plane: Plane,
    recorder: Recorder,
    front: TlsFront,
    config: Config,
}

impl Backend {
    fn start(issued: &Issued, client_authorities: Option<&str>) -> Self {
        let plane = Plane::start();
        let recorder = Recorder::start();
        let front = TlsFront::start(recorder.addr(), server_config(issued, client_authorities));
        let config = Config::http(plane.number());
        Self { plane, recorder, front, config }
    }

    /// Applies a policy that believes the authorities in `pems`.
    fn believe(&mut self, pems: &[&str], edit: impl FnOnce(&mut UpstreamTls)) {
        self.believe_as(BackendProtocol::Http1, pems, edit);
    }

    fn believe_as(
        &mut self,
        protocol: BackendProtocol,
        pems: &[&str],
        edit: impl FnOnce(&mut UpstreamTls),
    ) {
        let ids = pems.iter().map(|pem| self.config.add_bundle(pem)).collect();
        let mut tls = tls_policy("shop.example", ids);
        edit(&mut tls);
        let cluster = secured("app", protocol, tls);
        self.config.service("app", &[self.front.addr()]);
        self.config.route("all", vec![to_cluster("/", cluster)]);
        self.plane.apply(&mut self.config);
    }

    fn status(&self) -> u16 {
        self.plane.get("any.example", "/").status
    }

    /// Nothing reached the backend, and the answer says why.
    fn is_refused(&self) {
        assert_eq!(self.status(), 502);
        assert_eq!(self.recorder.connections(), 0);
        assert!(self.plane.reason(Reason::UpstreamTlsHandshake) > 0);
    }
}

#[test]
fn a_backend_is_reached_by_tls_with_the_name_of_the_policy() {
    let authority = Authority::new("backends");
    let mut backend = Backend::start(&authority.issue(&["shop.example"]), None);
    backend.believe(&[&authority.cert_pem()], |_| {});
    assert_eq!(backend.status(), 200);
    assert_eq!(backend.status(), 200);
    let shown = backend.front.shown();
    assert_eq!(shown.len(), 1, "the connection is pooled");
    assert_eq!(shown[0].server_name.as_deref(), Some("shop.example"));
    assert_eq!(shown[0].certificate, None);
    assert_eq!(backend.recorder.requests().len(), 2);
}

#[test]
fn large_bodies_cross_tls_to_a_backend() {
    let authority = Authority::new("backends");
    let mut backend = Backend::start(&authority.issue(&["shop.example"]), None);
    backend.believe(&[&authority.cert_pem()], |_| {});
    let body = "u".repeat(900_000);
    let mut client = backend.plane.client();
    client.send(format!(
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    let response = client.response("POST");
    assert_eq!(response.json()["body"].as_str().map(str::len), Some(body.len()));
}

#[test]
fn another_authority_another_name_or_no_certificate_at_all_is_refused() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let mut backend = Backend::start(&theirs.issue(&["shop.example"]), None);
    backend.believe(&[&ours.cert_pem()], |_| {});
    backend.is_refused();
    let mut backend = Backend::start(&ours.issue(&["other.example"]), None);
    backend.believe(&[&ours.cert_pem()], |_| {});
    backend.is_refused();
    // Plaintext where TLS is expected.
    let mut backend = Backend::start(&ours.issue(&["shop.example"]), None);
    backend.believe(&[&ours.cert_pem()], |_| {});
    let plain = Recorder::start();
    backend.config.service("app", &[plain.addr()]);
    backend.plane.apply(&mut backend.config);
    assert_eq!(backend.status(), 502);
    assert!(plain.requests().is_empty());
    assert!(!plain.wait_for_problem().is_empty());
}

#[test]
fn an_expired_certificate_is_refused_even_when_it_is_its_own_authority() {
    let expired = self_signed_with(&["shop.example"], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let mut backend = Backend::start(&expired, None);
    backend.believe(&[&expired.cert_pem], |_| {});
    backend.is_refused();
}

#[test]
fn a_self_signed_certificate_may_be_its_own_authority() {
    let plain = self_signed_with(&["shop.example"], |_| {});
    let as_authority = self_signed_with(&["shop.example"], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    for issued in [plain, as_authority] {
        let mut backend = Backend::start(&issued, None);
        backend.believe(&[&issued.cert_pem], |_| {});
        assert_eq!(backend.status(), 200);
        let other = self_signed_with(&["shop.example"], |_| {});
        backend.believe(&[&other.cert_pem], |_| {});
        assert_eq!(backend.status(), 502);
    }
}

#[test]
fn several_authorities_with_one_name_are_told_apart_by_their_signatures() {
    let authorities: Vec<_> = (0..7).map(|_| Authority::new("twin")).collect();
    let mut backend = Backend::start(&authorities[5].issue(&["shop.example"]), None);
    let pems: Vec<_> = authorities.iter().map(Authority::cert_pem).collect();
    let all: Vec<&str> = pems.iter().map(String::as_str).collect();
    backend.believe(&all, |_| {});
    assert_eq!(backend.status(), 200);
    backend.believe(&all[..5], |_| {});
    assert_eq!(backend.status(), 502);
}

fn uri_and_star(uri: &str) -> impl Fn(&mut rcgen::CertificateParams) {
    let uri = uri.to_owned();
    move |params| {
        params.subject_alt_names.push(SanType::URI("*".try_into().unwrap()));
        params.subject_alt_names.push(SanType::URI(uri.as_str().try_into().unwrap()));
    }
}

#[test]
fn alternative_names_replace_the_hostname_and_one_of_them_suffices() {
    let authority = Authority::new("backends");
    let spiffe = "spiffe://abc.example.com/test-identity";
    let issued = authority.issue_with(&["real.example"], uri_and_star(spiffe));
    let mut backend = Backend::start(&issued, None);
    let uri = |uri: &str| SubjectAltName::Uri(uri.into());
    let host = |host: &str| SubjectAltName::Hostname(host.into());
    for (names, status) in [
        (vec![], 502),
        (vec![uri(spiffe)], 200),
        (vec![uri("spiffe://abc.example.com/other")], 502),
        (vec![uri("spiffe://abc.example.com/test-identity/")], 502),
        (vec![host("real.example")], 200),
        (vec![host("*.example")], 200),
        (vec![host("*.other")], 502),
        (vec![host("wrong.example"), uri(spiffe)], 200),
    ] {
        backend.believe(&[&authority.cert_pem()], |tls| tls.subject_alt_names = names.clone());
        assert_eq!(backend.status(), status, "{names:?}");
    }
    assert_eq!(backend.front.shown()[0].server_name.as_deref(), Some("shop.example"));
}

#[test]
fn the_gateways_certificate_is_shown_to_backends_that_ask() {
    let authority = Authority::new("backends");
    let clients = Authority::new("gateways");
    let issued = authority.issue(&["shop.example"]);
    let mut backend = Backend::start(&issued, Some(&clients.cert_pem()));
    backend.believe(&[&authority.cert_pem()], |_| {});
    assert_eq!(backend.status(), 502);
    let gateway = clients.issue(&["gateway"]);
    backend.config.add_certificate("gateway", &gateway, &["gateway"]);
    backend.believe(&[&authority.cert_pem()], |tls| {
        tls.client_certificate = Some(CertificateId("gateway".into()));
    });
    assert_eq!(backend.status(), 200);
    let shown = backend.front.shown().pop().unwrap().certificate;
    assert_eq!(shown.as_deref(), gateway.chain().first().map(AsRef::as_ref));
}

#[test]
fn settings_that_cannot_be_used_fail_closed() {
    let authority = Authority::new("backends");
    let mut backend = Backend::start(&authority.issue(&["shop.example"]), None);
    backend.believe(&[&authority.cert_pem()], |tls| {
        tls.client_certificate = Some(CertificateId("missing".into()));
    });
    backend.is_refused();
    backend.believe(&[&authority.cert_pem()], |tls| tls.server_name = "no name".into());
    backend.is_refused();
    backend.believe(&["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"], |_| {});
    backend.is_refused();
}

#[test]
fn versions_of_tls_are_limited_as_the_policy_says() {
    let authority = Authority::new("backends");
    let mut backend = Backend::start(&authority.issue(&["shop.example"]), None);
    let pem = authority.cert_pem();
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let options = TlsOptions {
            min_version: Some(version),
            max_version: Some(version),
            cipher_suites: Vec::new(),
        };
        backend.believe(&[&pem], |tls| tls.options = options.clone());
        assert_eq!(backend.status(), 200, "{version:?}");
    }
    let nothing = TlsOptions {
        min_version: Some(TlsVersion::Tls13),
        max_version: Some(TlsVersion::Tls12),
        cipher_suites: Vec::new(),
    };
    backend.believe(&[&pem], |tls| tls.options = nothing);
    assert_eq!(backend.status(), 502);
}

#[test]
fn a_failed_handshake_is_tried_at_another_endpoint() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let mut backend = Backend::start(&ours.issue(&["shop.example"]), None);
    let bad = TlsFront::start(
        backend.recorder.addr(),
        server_config(&theirs.issue(&["shop.example"]), None),
    );
    backend.believe(&[&ours.cert_pem()], |_| {});
    backend.config.service("app", &[bad.addr(), backend.front.addr()]);
    backend.plane.apply(&mut backend.config);
    for _ in 0..4 {
        let mut client = backend.plane.client();
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi");
        assert_eq!(client.response("POST").status, 200);
    }
    bad.wait_for_failed(1);
}

#[test]
fn a_silent_backend_costs_no_more_than_the_connect_limit() {
    let limits = proxy::Limits {
        connect: std::time::Duration::from_millis(100),
        ..proxy::Limits::default()
    };
    let plane = Plane::with(limits, proxy::AccessLog::Off, 1);
    let silent = testkit::ports::listener();
    let mut config = Config::http(plane.number());
    let id = config.add_bundle(&Authority::new("any").cert_pem());
    let tls = tls_policy("shop.example", vec![id]);
    config.service("app", &[silent.local_addr().unwrap()]);
    let cluster = secured("app", BackendProtocol::Http1, tls);
    config.route("all", vec![to_cluster("/", cluster)]);
    plane.apply(&mut config);
    assert_eq!(plane.get("a", "/").status, 504);
    assert_eq!(plane.reason(Reason::ConnectTimeout), 1);
}

#[test]
fn a_new_authority_takes_effect_at_once_and_leaves_no_pooled_connection_behind() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let mut backend = Backend::start(&ours.issue(&["shop.example"]), None);
    backend.believe(&[&ours.cert_pem()], |_| {});
    assert_eq!(backend.status(), 200);
    backend.believe(&[&theirs.cert_pem()], |_| {});
    assert_eq!(backend.status(), 502);
    backend.recorder.wait_for_open(0);
    backend.believe(&[&ours.cert_pem()], |_| {});
    assert_eq!(backend.status(), 200);
}

#[test]
fn websockets_cross_tls_to_a_backend() {
    let authority = Authority::new("backends");
    let mut backend = Backend::start(&authority.issue(&["shop.example"]), None);
    backend.recorder.script(testkit::recorder::Reply::upgrade_echo("websocket"));
    backend.believe(&[&authority.cert_pem()], |_| {});
    let mut client = backend.plane.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n");
    assert!(client.read_head().unwrap().start.starts_with("HTTP/1.1 101"));
    client.send("ping");
    assert_eq!(client.read_exact(4), b"ping");
}
