//! Certificates that others are verified by: for clients at listeners, and for backends.

use std::collections::BTreeMap;

use ir::{
    Action, Authorities, Backend, IrSet, Origin, Protocol, Target, TrustBundleId, UpstreamTls,
};
use translate::Code;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{
    Finding,
    certificates::{Age, Span},
};

/// Only bundles that something uses.
pub(super) fn findings(set: &IrSet, now: Option<i64>, out: &mut Vec<Finding>) {
    for (id, (user, what)) in users(set) {
        let Some(bundle) = set.trust_bundles.get(id) else { continue };
        let several = bundle.certificates.len() > 1;
        for (position, der) in bundle.certificates.iter().enumerate() {
            let Ok((_, parsed)) = X509Certificate::from_der(der) else { continue };
            let name = if several {
                format!("authority {} of {}", position.saturating_add(1), bundle.certificates.len())
            } else {
                "the authority".to_owned()
            };
            let date = now.and_then(|now| date(&parsed, now, &name));
            for (code, message) in date.into_iter().chain(no_authority(&parsed, &name)) {
                let finding = Finding::new(code, bundle.origin.clone(), message);
                out.push(finding.with_related(user.clone(), what));
            }
        }
    }
}

fn users(set: &IrSet) -> BTreeMap<&TrustBundleId, (Origin, &'static str)> {
    let mut users = BTreeMap::new();
    for listener in set.listeners.values() {
        let (Protocol::Https(tls) | Protocol::TlsTerminate(tls)) = &listener.protocol else {
            continue;
        };
        let validation = tls.client_validation.iter();
        for id in validation.flat_map(|validation| &validation.authorities) {
            let user = (listener.origin.clone(), "clients of this listener are verified by it");
            users.entry(id).or_insert(user);
        }
    }
    for tls in upstream(set) {
        match &tls.authorities {
            Authorities::System => {}
            Authorities::Bundles(ids) => {
                for id in ids {
                    let user = (tls.origin.clone(), "backends of this are verified by it");
                    users.entry(id).or_insert(user);
                }
            }
        }
    }
    users
}

/// How backends are reached by TLS, wherever a route names one.
pub(super) fn upstream(set: &IrSet) -> impl Iterator<Item = &UpstreamTls> {
    backends(set).filter_map(|backend| match &backend.target {
        Target::Cluster(cluster) => cluster.0.tls.as_deref(),
        Target::Fail(_) => None,
    })
}

fn backends(set: &IrSet) -> impl Iterator<Item = &Backend> {
    let rules = set.http_routes.values().flat_map(|route| &route.rules);
    let http = rules.flat_map(|rule| match &rule.action {
        Action::Forward(backends) => backends.as_slice(),
        Action::Redirect(_) | Action::Fail(_) => &[],
    });
    http.chain(set.l4_routes.values().flat_map(|route| &route.backends))
}

/// The data plane believes an authority whatever its dates are, as RFC 5280 6.1.1 leaves it to who
/// trusts it; others do not.
fn date(parsed: &X509Certificate<'_>, now: i64, name: &str) -> Option<(Code, String)> {
    Some(match Span::of(parsed).at(now) {
        Age::Good => return None,
        Age::Future(days) => (
            Code::AuthorityExpired,
            format!("{name} is valid only in {days}; what it signed is believed here already"),
        ),
        Age::Past(days) => (
            Code::AuthorityExpired,
            format!(
                "{name} expired {days} ago; what it signed is still believed here, but not by \
                 other software; replace it"
            ),
        ),
        Age::EndsSoon(days) => (
            Code::CertificateExpiresSoon,
            format!("{name} expires in {days}; add its successor to the bundle"),
        ),
    })
}

/// A certificate of a server or client in place of that of its authority. One that signed itself
/// is its own authority.
fn no_authority(parsed: &X509Certificate<'_>, name: &str) -> Option<(Code, String)> {
    let constraints = parsed.basic_constraints().ok().flatten();
    let signs = constraints.is_some_and(|constraints| constraints.value.ca);
    if signs || parsed.issuer() == parsed.subject() || parsed.version().0 < 2 {
        return None;
    }
    let message = format!(
        "{name} is no authority but a certificate that one issued, so it is believed only as \
         itself, until its owner renews it; give the certificate of its issuer"
    );
    Some((Code::AuthorityCannotSign, message))
}
