//! Client certificates at listeners: who is asked, who is let in, and what changes mean.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by a panic")]

mod common;

use common::{Config, Plane, https, to};
use ir::{ClientValidation, ClientValidationMode, Protocol, TlsOptions, TlsVersion};
use rcgen::DnType;
use rustls::ClientConfig;
use std::{io, sync::Arc};
use testkit::{
    certs::{Authority, Issued, client_config_showing, roots, self_signed},
    raw::Client,
    recorder::Recorder,
};

struct Mutual {
    plane: Plane,
    _recorder: Recorder,
    servers: Authority,
    clients: Authority,
    config: Config,
}

impl Mutual {
    /// `a.example` asks for certificates in this mode, `b.example` on the same port does not.
    fn start(mode: ClientValidationMode) -> Self {
        let plane = Plane::start();
        let recorder = Recorder::start();
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let mut config = Config::new();
        for name in ["a", "b"] {
            let host = format!("{name}.example");
            config.add_certificate(name, &servers.issue(&[&host]), &[&host]);
            config.listener(name, plane.number(), Some(&host), https(&[name]));
        }
        config.service("app", &[recorder.addr()]);
        config.route_on(&["a", "b"], "all", &[], vec![to("/", "app")]);
        let mut mutual = Self { plane, _recorder: recorder, servers, clients, config };
        let pem = mutual.clients.cert_pem();
        mutual.validate(mode, &[&pem]);
        mutual
    }

    fn validate(&mut self, mode: ClientValidationMode, pems: &[&str]) {
        let authorities = pems.iter().map(|pem| self.config.add_bundle(pem)).collect();
        let validation = Arc::new(ClientValidation { authorities, mode });
        self.edit(|tls| tls.client_validation = Some(validation));
    }

    fn edit(&mut self, edit: impl FnOnce(&mut ir::TlsTermination)) {
        self.config.edit_listener("a", |listener| {
            let Protocol::Https(tls) = &mut listener.protocol else { unreachable!() };
            edit(tls);
        });
        self.plane.apply(&mut self.config);
    }

    fn showing(&self, issued: &Issued) -> Arc<ClientConfig> {
        client_config_showing(&self.servers.cert_pem(), issued)
    }

    /// A request on a new connection.
    fn get(&self, host: &str, config: &Arc<ClientConfig>) -> io::Result<u16> {
        let mut client = Client::connect_tls(self.plane.address(), host, config)?;
        client.try_send(format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes())?;
        client.read_response("GET").map(|response| response.status).map_err(io::Error::other)
    }
}

#[test]
fn only_a_valid_certificate_is_let_in() {
    let mutual = Mutual::start(ClientValidationMode::AllowValidOnly);
    let none = mutual.servers.client_config();
    assert!(mutual.get("a.example", &none).is_err());
    assert_eq!(mutual.get("b.example", &none).unwrap(), 200);
    let good = mutual.showing(&mutual.clients.issue(&["client.example"]));
    assert_eq!(mutual.get("a.example", &good).unwrap(), 200);
    let stranger = mutual.showing(&Authority::new("clients").issue(&["client.example"]));
    assert!(mutual.get("a.example", &stranger).is_err());
    let alone = mutual.showing(&self_signed(&["client.example"]));
    assert!(mutual.get("a.example", &alone).is_err());
    let expired = mutual.clients.issue_with(&["client.example"], |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    assert!(mutual.get("a.example", &mutual.showing(&expired)).is_err());
    let future = mutual.clients.issue_with(&["client.example"], |params| {
        params.not_before = rcgen::date_time_ymd(4000, 1, 1);
    });
    assert!(mutual.get("a.example", &mutual.showing(&future)).is_err());
    let server_only = mutual.clients.issue_with(&["client.example"], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert!(mutual.get("a.example", &mutual.showing(&server_only)).is_err());
    assert_eq!(mutual.plane.total("handshake_errors"), 6);
}

#[test]
fn a_certificate_without_alternative_names_is_let_in() {
    let mutual = Mutual::start(ClientValidationMode::AllowValidOnly);
    let nameless = mutual.clients.issue_with(&[], |params| {
        params.distinguished_name.push(DnType::OrganizationName, "clients");
    });
    assert_eq!(mutual.get("a.example", &mutual.showing(&nameless)).unwrap(), 200);
}

#[test]
fn several_authorities_may_share_a_name() {
    let mut mutual = Mutual::start(ClientValidationMode::AllowValidOnly);
    let twins: Vec<_> = (0..6).map(|_| Authority::new("twin")).collect();
    let pems: Vec<_> = twins.iter().map(Authority::cert_pem).collect();
    let all: Vec<&str> = pems.iter().map(String::as_str).collect();
    mutual.validate(ClientValidationMode::AllowValidOnly, &[&all.concat()]);
    for twin in &twins {
        let config = mutual.showing(&twin.issue(&["client.example"]));
        assert_eq!(mutual.get("a.example", &config).unwrap(), 200);
    }
    let unknown = mutual.showing(&Authority::new("twin").issue(&["client.example"]));
    assert!(mutual.get("a.example", &unknown).is_err());
}

#[test]
fn the_insecure_fallback_lets_everybody_in_and_still_asks() {
    let mutual = Mutual::start(ClientValidationMode::AllowInsecureFallback);
    assert_eq!(mutual.get("a.example", &mutual.servers.client_config()).unwrap(), 200);
    for issued in [
        mutual.clients.issue(&["client.example"]),
        Authority::new("strangers").issue(&["client.example"]),
        self_signed(&["client.example"]),
    ] {
        let mut config = (*mutual.showing(&issued)).clone();
        let asked = Arc::new(Asked::new(&issued));
        config.client_auth_cert_resolver = Arc::clone(&asked) as Arc<_>;
        assert_eq!(mutual.get("a.example", &Arc::new(config)).unwrap(), 200);
        assert!(asked.was());
    }
}

/// A client that notes whether it was asked for its certificate.
#[derive(Debug)]
struct Asked {
    key: Arc<rustls::sign::CertifiedKey>,
    asked: std::sync::atomic::AtomicBool,
}

impl Asked {
    fn new(issued: &Issued) -> Self {
        let key = rustls::pki_types::PrivateKeyDer::try_from(issued.key_der()).unwrap();
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
        let key = Arc::new(rustls::sign::CertifiedKey::new(issued.chain(), key));
        Self { key, asked: false.into() }
    }

    fn was(&self) -> bool {
        self.asked.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl rustls::client::ResolvesClientCert for Asked {
    fn resolve(
        &self,
        _hints: &[&[u8]],
        _schemes: &[rustls::SignatureScheme],
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        self.asked.store(true, std::sync::atomic::Ordering::SeqCst);
        Some(Arc::clone(&self.key))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[test]
fn without_a_usable_authority_nobody_is_let_in() {
    let mut mutual = Mutual::start(ClientValidationMode::AllowValidOnly);
    mutual.validate(ClientValidationMode::AllowValidOnly, &[]);
    let config = mutual.showing(&mutual.clients.issue(&["client.example"]));
    assert!(mutual.get("a.example", &config).is_err());
    assert_eq!(mutual.get("b.example", &config).unwrap(), 200);
}

#[test]
fn a_request_for_a_listener_that_asks_more_is_misdirected() {
    let mutual = Mutual::start(ClientValidationMode::AllowValidOnly);
    let plain = mutual.servers.client_config();
    let mut client = Client::connect_tls(mutual.plane.address(), "b.example", &plain).unwrap();
    assert_eq!(client.get("b.example", "/").status, 200);
    assert_eq!(client.get("a.example", "/").status, 421);
}

#[test]
fn a_validation_that_changes_sends_old_connections_away() {
    let mut mutual = Mutual::start(ClientValidationMode::AllowValidOnly);
    mutual.edit(|tls| tls.client_validation = None);
    let plain = mutual.servers.client_config();
    let connect = |host| Client::connect_tls(mutual.plane.address(), host, &plain).unwrap();
    let (mut a, mut b) = (connect("a.example"), connect("b.example"));
    assert_eq!(a.get("a.example", "/").status, 200);
    assert_eq!(b.get("b.example", "/").status, 200);
    let pem = mutual.clients.cert_pem();
    mutual.validate(ClientValidationMode::AllowValidOnly, &[&pem]);
    let response = a.get("a.example", "/");
    assert_eq!((response.status, response.field("connection")), (421, Some("close")));
    assert_eq!(b.get("b.example", "/").status, 200, "its neighbour goes on");
}

#[test]
fn a_session_is_resumed_at_its_listener_and_not_past_new_settings() {
    let mut mutual = Mutual::start(ClientValidationMode::AllowValidOnly);
    let issued = mutual.clients.issue(&["client.example"]);
    let mut config = (*mutual.showing(&issued)).clone();
    config.resumption = rustls::client::Resumption::in_memory_sessions(8);
    let config = Arc::new(config);
    let resumed = |mutual: &Mutual| {
        let mut client = Client::connect_tls(mutual.plane.address(), "a.example", &config).unwrap();
        assert_eq!(client.get("a.example", "/").status, 200);
        client.is_resumed()
    };
    assert!(!resumed(&mutual));
    assert!(resumed(&mutual));
    // Another authority beside the old one: the client is still good, its session is not.
    let pems = [mutual.clients.cert_pem(), Authority::new("more").cert_pem()];
    mutual.validate(ClientValidationMode::AllowValidOnly, &[&pems[0], &pems[1]]);
    assert!(!resumed(&mutual));
    assert!(resumed(&mutual));
    mutual.validate(ClientValidationMode::AllowValidOnly, &[&pems[1]]);
    assert!(mutual.get("a.example", &config).is_err());
}

#[test]
fn versions_of_tls_are_limited_for_each_listener() {
    let mut mutual = Mutual::start(ClientValidationMode::AllowInsecureFallback);
    let roots = roots(&mutual.servers.cert_pem());
    let only = |version| {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots.clone());
        Arc::new(config.with_no_client_auth())
    };
    let (old, new) = (only(&rustls::version::TLS12), only(&rustls::version::TLS13));
    for config in [&old, &new] {
        assert_eq!(mutual.get("a.example", config).unwrap(), 200);
    }
    mutual.edit(|tls| {
        tls.options = TlsOptions { min_version: Some(TlsVersion::Tls13), ..TlsOptions::default() };
    });
    assert!(mutual.get("a.example", &old).is_err());
    assert_eq!(mutual.get("a.example", &new).unwrap(), 200);
    assert_eq!(mutual.get("b.example", &old).unwrap(), 200);
    mutual.edit(|tls| {
        tls.options = TlsOptions {
            cipher_suites: vec![ir::CipherSuite::EcdheEcdsaAes256GcmSha384],
            ..TlsOptions::default()
        };
    });
    assert_eq!(mutual.get("a.example", &old).unwrap(), 200);
    assert!(mutual.get("a.example", &new).is_err());
}
