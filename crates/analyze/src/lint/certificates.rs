//! Dates, names and strength of certificates.

use std::collections::BTreeMap;

use ir::{Certificate, CertificateId, HostPattern, IrSet, Listener, Origin, Protocol};
use translate::Code;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Finding, authorities, visit};
use crate::limits::{EXPIRES_SOON_PART, EXPIRES_SOON_SECONDS, RSA_BITS_MIN};

pub(super) const SECONDS_PER_DAY: i64 = 86_400;

/// Signatures that clients refuse, by object identifier and name.
const WEAK_SIGNATURES: [(&str, &str); 3] = [
    ("1.2.840.113549.1.1.4", "MD5 with RSA"),
    ("1.2.840.113549.1.1.5", "SHA-1 with RSA"),
    ("1.2.840.10045.4.1", "SHA-1 with ECDSA"),
];

/// Who shows a certificate, and what comes of one that is refused.
struct User {
    origin: Origin,
    what: &'static str,
    effect: &'static str,
}

/// `now` is in seconds since the epoch; without it no date is judged.
pub(super) fn findings(set: &IrSet, now: Option<i64>, out: &mut Vec<Finding>) {
    for (id, user) in users(set) {
        let Some(certificate) = set.certificates.get(id) else { continue };
        for (position, der) in certificate.chain.iter().enumerate() {
            let Ok((_, parsed)) = X509Certificate::from_der(der) else { continue };
            // Clients have roots of their own, and do not look at ours.
            if position > 0 && parsed.issuer() == parsed.subject() {
                continue;
            }
            let link = Link { certificate, user: &user, position, parsed: &parsed };
            out.extend(now.and_then(|now| link.date(now)));
            out.extend(link.weakness());
        }
    }
    for listener in set.listeners.values() {
        out.extend(names(set, listener));
    }
    authorities::findings(set, now, out);
}

/// Each certificate with the first that shows it: listeners, then Gateways and policies.
fn users(set: &IrSet) -> BTreeMap<&CertificateId, User> {
    let mut users = BTreeMap::new();
    for listener in set.listeners.values() {
        let (Protocol::Https(tls) | Protocol::TlsTerminate(tls)) = &listener.protocol else {
            continue;
        };
        for id in &tls.certificates {
            users.entry(id).or_insert_with(|| User {
                origin: listener.origin.clone(),
                what: "this listener uses it",
                effect: "clients refuse the connection",
            });
        }
    }
    let effect = "backends that ask for a certificate refuse the connection";
    for gateway in set.gateways.values() {
        if let Some(id) = &gateway.client_certificate {
            let origin = visit::at(&gateway.object, "spec.tls.backend.clientCertificateRef");
            let what = "this Gateway shows it to backends";
            users.entry(id).or_insert(User { origin, what, effect });
        }
    }
    for tls in authorities::upstream(set) {
        if let Some(id) = &tls.client_certificate {
            let origin = tls.origin.clone();
            users.entry(id).or_insert(User { origin, what: "this shows it to backends", effect });
        }
    }
    users
}

/// One certificate of a chain.
struct Link<'a> {
    certificate: &'a Certificate,
    user: &'a User,
    position: usize,
    parsed: &'a X509Certificate<'a>,
}

impl Link<'_> {
    fn name(&self) -> String {
        match self.position {
            0 => "the certificate".to_owned(),
            position => format!("certificate {} of the chain", position.saturating_add(1)),
        }
    }

    fn finding(&self, code: Code, message: String) -> Finding {
        Finding::new(code, self.certificate.origin.clone(), message)
            .with_related(self.user.origin.clone(), self.user.what)
    }

    fn date(&self, now: i64) -> Option<Finding> {
        let name = self.name();
        match Span::of(self.parsed).at(now) {
            Age::Good => None,
            Age::Future(days) => {
                let message = format!("{name} is valid only in {days}; use another until then");
                let finding = self.finding(Code::CertificateNotYetValid, message);
                Some(finding.with_effect(self.user.effect))
            }
            Age::Past(days) => {
                let message = format!("{name} expired {days} ago; renew it");
                let finding = self.finding(Code::CertificateExpired, message);
                Some(finding.with_effect(self.user.effect))
            }
            Age::EndsSoon(days) => {
                let message = format!("{name} expires in {days}; renew it");
                Some(self.finding(Code::CertificateExpiresSoon, message))
            }
        }
    }

    /// Nobody looks at the signature of a certificate that signed itself. A short key of the leaf
    /// is refused when the Secret is read.
    fn weakness(&self) -> Option<Finding> {
        let name = self.name();
        let signature = self.parsed.signature_algorithm.algorithm.to_id_string();
        let weak = WEAK_SIGNATURES.iter().find(|(id, _)| *id == signature);
        let own = self.parsed.issuer() == self.parsed.subject();
        let message = if let (Some((_, how)), false) = (weak, own) {
            format!("{name} is signed by {how}; have it issued anew")
        } else {
            let bits = rsa_bits(self.parsed).filter(|bits| *bits < RSA_BITS_MIN)?;
            format!("{name} has an RSA key of {bits} bits; have it issued with at least 2048")
        };
        let finding = self.finding(Code::CertificateWeak, message);
        Some(finding.with_effect("current clients refuse the connection"))
    }
}

fn rsa_bits(parsed: &X509Certificate<'_>) -> Option<usize> {
    use x509_parser::public_key::PublicKey;
    match parsed.public_key().parsed().ok()? {
        PublicKey::RSA(key) => Some(key.key_size()),
        PublicKey::DSA(_)
        | PublicKey::EC(_)
        | PublicKey::GostR3410(_)
        | PublicKey::GostR3410_2012(_)
        | PublicKey::Unknown(_) => None,
    }
}

/// When a certificate is valid, in seconds since the epoch.
#[derive(Clone, Copy)]
pub(super) struct Span {
    begin: i64,
    end: i64,
}

/// A moment in the life of a certificate, with the days from it.
pub(super) enum Age {
    Future(String),
    Good,
    EndsSoon(String),
    Past(String),
}

impl Span {
    pub(super) fn of(parsed: &X509Certificate<'_>) -> Self {
        let validity = parsed.validity();
        Self { begin: validity.not_before.timestamp(), end: validity.not_after.timestamp() }
    }

    pub(super) fn at(self, now: i64) -> Age {
        let until = self.begin.saturating_sub(now);
        let left = self.end.saturating_sub(now);
        let life = self.end.saturating_sub(self.begin);
        let soon = life.checked_div(EXPIRES_SOON_PART).unwrap_or(life).min(EXPIRES_SOON_SECONDS);
        if until > 0 {
            Age::Future(days(until))
        } else if left <= 0 {
            Age::Past(days(left.saturating_abs()))
        } else if left <= soon {
            Age::EndsSoon(days(left))
        } else {
            Age::Good
        }
    }
}

fn days(seconds: i64) -> String {
    match seconds.checked_div(SECONDS_PER_DAY).unwrap_or_default() {
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn names(set: &IrSet, listener: &Listener) -> Option<Finding> {
    let (Protocol::Https(tls) | Protocol::TlsTerminate(tls)) = &listener.protocol else {
        return None;
    };
    let hostname = listener.hostname.as_ref()?;
    let used: Vec<&Certificate> =
        tls.certificates.iter().filter_map(|id| set.certificates.get(id).map(|c| &**c)).collect();
    if used.is_empty() || used.iter().any(|one| one.names.iter().any(|name| covers(name, hostname)))
    {
        return None;
    }
    let names = used.iter().flat_map(|one| &one.names).map(ToString::to_string);
    let names: Vec<String> = names.collect::<std::collections::BTreeSet<_>>().into_iter().collect();
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
