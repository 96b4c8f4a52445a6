//! Dates and names of certificates.

use std::collections::BTreeSet;

use ir::{Certificate, CertificateId, HostPattern, IrSet, Listener, Protocol};
use translate::Code;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Finding;

/// A certificate that ends within this time is reported, in seconds: 21 days, by when an automatic
/// renewal of a certificate for 90 days has been due for a week.
pub const EXPIRES_SOON_SECONDS: i64 = 21 * SECONDS_PER_DAY;

const SECONDS_PER_DAY: i64 = 86_400;

/// Signatures that clients refuse, by object identifier and name.
const WEAK_SIGNATURES: [(&str, &str); 3] = [
    ("1.2.840.113549.1.1.4", "MD5 with RSA"),
    ("1.2.840.113549.1.1.5", "SHA-1 with RSA"),
    ("1.2.840.10045.4.1", "SHA-1 with ECDSA"),
];

/// `now` is in seconds since the epoch; without it no date is judged.
pub(super) fn findings(set: &IrSet, now: Option<i64>, out: &mut Vec<Finding>) {
    let mut dated: BTreeSet<&CertificateId> = BTreeSet::new();
    for listener in set.listeners.values() {
        let (Protocol::Https(tls) | Protocol::TlsTerminate(tls)) = &listener.protocol else {
            continue;
        };
        let used: Vec<&Certificate> = tls
            .certificates
            .iter()
            .filter_map(|id| set.certificates.get(id).map(|c| &**c))
            .collect();
        for certificate in &used {
            if dated.insert(&certificate.id) {
                out.extend(now.and_then(|now| date(certificate, listener, now)));
                out.extend(weakness(certificate, listener));
            }
        }
        out.extend(names(listener, &used));
    }
}

fn date(certificate: &Certificate, listener: &Listener, now: i64) -> Option<Finding> {
    let (_, parsed) = X509Certificate::from_der(certificate.chain.first()?).ok()?;
    let begins_in = parsed.validity().not_before.timestamp().checked_sub(now)?;
    if begins_in > 0 {
        let days = days(begins_in);
        let message = format!("the certificate is valid only in {days}; use another until then");
        return Some(
            Finding::new(Code::CertificateNotYetValid, certificate.origin.clone(), message)
                .with_effect("clients refuse the connection")
                .with_related(listener.origin.clone(), "this listener uses it"),
        );
    }
    let end = parsed.validity().not_after.timestamp();
    let left = end.checked_sub(now)?;
    if left > EXPIRES_SOON_SECONDS {
        return None;
    }
    let days = days(left.abs());
    let finding = if left <= 0 {
        let message = format!("the certificate expired {days} ago; renew it");
        Finding::new(Code::CertificateExpired, certificate.origin.clone(), message)
            .with_effect("clients refuse the connection")
    } else {
        let message = format!("the certificate expires in {days}; renew it");
        Finding::new(Code::CertificateExpiresSoon, certificate.origin.clone(), message)
    };
    Some(finding.with_related(listener.origin.clone(), "this listener uses it"))
}

fn days(seconds: i64) -> String {
    match seconds.checked_div(SECONDS_PER_DAY).unwrap_or_default() {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// A signature that clients refuse; short keys are refused when the Secret is read. Nobody looks at
/// the signature of a certificate that signed itself.
fn weakness(certificate: &Certificate, listener: &Listener) -> Option<Finding> {
    let (_, parsed) = X509Certificate::from_der(certificate.chain.first()?).ok()?;
    if parsed.issuer() == parsed.subject() {
        return None;
    }
    let signature = parsed.signature_algorithm.algorithm.to_id_string();
    let (_, name) = WEAK_SIGNATURES.iter().find(|(id, _)| *id == signature)?;
    let message = format!("the certificate is signed by {name}; have it issued anew");
    let finding = Finding::new(Code::CertificateWeak, certificate.origin.clone(), message)
        .with_effect("current clients refuse the connection")
        .with_related(listener.origin.clone(), "this listener uses it");
    Some(finding)
}

fn names(listener: &Listener, used: &[&Certificate]) -> Option<Finding> {
    let hostname = listener.hostname.as_ref()?;
    if used.is_empty() || used.iter().any(|one| one.names.iter().any(|name| covers(name, hostname)))
    {
        return None;
    }
    let names = used.iter().flat_map(|one| &one.names).map(ToString::to_string);
    let names: Vec<String> = names.collect::<BTreeSet<_>>().into_iter().collect();
    let names = if names.is_empty() { "it has no DNS name".to_owned() } else { names.join(", ") };
    let message = format!("no certificate of the listener covers {hostname} ({names})");
    let mut finding =
        Finding::new(Code::CertificateHostname, listener.origin.child("hostname"), message)
            .with_effect("clients that verify names refuse the connection");
    for certificate in used {
        finding = finding.with_related(certificate.origin.clone(), "the certificate is here");
    }
    Some(finding)
}

/// A wildcard in a certificate stands for one label (RFC 9525 6.3), in a listener for one or more;
/// what the certificate cannot cover of the latter is left to the author.
fn covers(name: &HostPattern, hostname: &HostPattern) -> bool {
    match (name, hostname) {
        (HostPattern::Exact(name), HostPattern::Exact(host)) => name == host,
        (HostPattern::Exact(_), HostPattern::Wildcard(_)) => false,
        (HostPattern::Wildcard(suffix), HostPattern::Exact(host)) => {
            host.find('.').and_then(|dot| host.get(dot..)) == Some(&**suffix)
        }
        (HostPattern::Wildcard(suffix), HostPattern::Wildcard(host)) => suffix == host,
    }
}
