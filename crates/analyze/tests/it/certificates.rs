//! Dates and names of certificates.

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::support::{found, world};

const DAY: i64 = 86_400;

/// 2020-01-01.
const BEGIN: i64 = 1_577_836_800;

/// 2030-01-01.
const END: i64 = 1_893_456_000;

fn yaml(hostname: &str, names: &[&str]) -> String {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    let certificate = params.self_signed(&key).unwrap().pem();
    objects(hostname, &certificate, &key.serialize_pem())
}

fn objects(hostname: &str, certificate: &str, key: &str) -> String {
    let indent = |pem: &str| pem.replace('\n', "\n    ");
    format!(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{ name: portcullis }}
spec: {{ controllerName: portcullis.dev/gateway-controller }}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{ name: web }}
spec:
  gatewayClassName: portcullis
  listeners:
  - {{ name: https, port: 443, protocol: HTTPS, hostname: '{hostname}', tls: {{ certificateRefs: [{{ name: tls }}] }} }}
---
apiVersion: v1
kind: Secret
metadata: {{ name: tls }}
type: kubernetes.io/tls
stringData:
  tls.crt: |
    {}
  tls.key: |
    {}
",
        indent(certificate),
        indent(key)
    )
}

const CODES: [&str; 5] = ["PC0814", "PC0815", "PC0816", "PC0819", "PC0820"];

#[test]
fn an_expired_or_expiring_certificate_is_reported_at_its_secret() {
    let world = world(&yaml("shop.test", &["shop.test"]));
    assert_eq!(found(&world.lint_at(END - 60 * DAY), &CODES), [""; 0]);
    assert_eq!(found(&world.lint_at(END - 5 * DAY), &CODES), ["PC0815 "]);
    let findings = world.lint_at(END + DAY);
    assert_eq!(found(&findings, &CODES), ["PC0814 "]);
    let finding = findings.iter().find(|one| one.code.id() == "PC0814").unwrap();
    assert_eq!(finding.origin.to_string(), "Secret default/tls");
    assert!(finding.message.contains("1 day ago"), "{}", finding.message);
}

#[test]
fn what_is_renewed_often_is_reported_when_a_quarter_of_its_life_is_left() {
    let of_days = |days: i64| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["shop.test".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1)
            + std::time::Duration::from_secs(u64::try_from(days * DAY).unwrap());
        let certificate = params.self_signed(&key).unwrap().pem();
        world(&objects("shop.test", &certificate, &key.serialize_pem()))
    };
    for (life, quiet, early) in [(90, 23, 22), (8, 3, 2), (3650, 31, 30)] {
        let world = of_days(life);
        let end = BEGIN + life * DAY;
        assert_eq!(found(&world.lint_at(end - quiet * DAY), &CODES), [""; 0], "{life}");
        assert_eq!(found(&world.lint_at(end - early * DAY), &CODES), ["PC0815 "], "{life}");
    }
}

#[test]
fn a_certificate_that_begins_later_is_reported() {
    let world = world(&yaml("shop.test", &["shop.test"]));
    let findings = world.lint_at(BEGIN - 2 * DAY);
    assert_eq!(found(&findings, &CODES), ["PC0819 "]);
    let finding = findings.iter().find(|one| one.code.id() == "PC0819").unwrap();
    assert!(finding.message.contains("in 2 days"), "{}", finding.message);
}

#[test]
fn a_weak_signature_is_reported() {
    let weak = world(&objects("shop.test", WEAK_CERTIFICATE, WEAK_KEY));
    let findings = weak.lint(false);
    assert_eq!(found(&findings, &["PC0820"]), ["PC0820 "]);
    let finding = findings.iter().find(|one| one.code.id() == "PC0820").unwrap();
    assert!(finding.message.contains("SHA-1 with ECDSA"), "{}", finding.message);
}

#[test]
fn without_a_clock_no_date_is_judged() {
    assert_eq!(found(&world(&yaml("shop.test", &["shop.test"])).lint(true), &CODES), [""; 0]);
}

#[test]
fn a_hostname_that_no_certificate_covers_is_reported() {
    let names =
        |hostname: &str, names: &[&str]| found(&world(&yaml(hostname, names)).lint(false), &CODES);
    assert_eq!(names("shop.test", &["other.test"]), ["PC0816 spec.listeners[0].hostname"]);
    assert_eq!(names("a.shop.test", &["*.shop.test"]), [""; 0]);
    assert_eq!(names("b.a.shop.test", &["*.shop.test"]), ["PC0816 spec.listeners[0].hostname"]);
    assert_eq!(names("*.shop.test", &["*.shop.test"]), [""; 0]);
    assert_eq!(names("*.shop.test", &["a.shop.test"]), ["PC0816 spec.listeners[0].hostname"]);
}

/// Signed by SHA-1 with ECDSA, as nothing makes any more.
const WEAK_CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIURcJOdr75DGolmqn07nTrR22lJrIwCQYHKoZIzj0EATAO
MQwwCgYDVQQDDANvbGQwIBcNMjYxMTIxMTYwOTQ4WhgPMjEyNjEwMjgxNjA5NDha
MBQxEjAQBgNVBAMMCXNob3AudGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IA
BLI5/Q5WP8X/9b086hxO67ffIWnS7FN12v3LZpD5MpjE6wpv+dUniU6HpoSf3ZJZ
yHN9QgiesVW6vKZ4PyrJMPujWDBWMBQGA1UdEQQNMAuCCXNob3AudGVzdDAdBgNV
HQ4EFgQUsRMSXXiNSJQxl3ypEc+jfrqOaoMwHwYDVR0jBBgwFoAUV1aTV9jQpcro
9rp+2E/lq7vVoSIwCQYHKoZIzj0EAQNJADBGAiEAs3YxSKYEAEcTfY6pjnAEF/dI
6dzjKBKvWblCmHK4zLwCIQDzySuK/5rNYEBsxZpUOOT/EmOmQwYK/odj2uSL/lVF
Kg==
-----END CERTIFICATE-----
";
const WEAK_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgwonVnhYJyGrZaENz
bSSiYTCpS/DY6iKhSovqjHAu1bmhRANCAASyOf0OVj/F//W9POocTuu33yFp0uxT
ddr9y2aQ+TKYxOsKb/nVJ4lOh6aEn92SWchzfUIInrFVurymeD8qyTD7
-----END PRIVATE KEY-----
";
