//! Which certificate of a listener answers a handshake.

use std::sync::Arc;

use ir::HostPattern;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// A listener's certificates in the user's order, with the names on them.
pub(crate) struct Certificates {
    pub(crate) entries: Vec<(Vec<HostPattern>, Arc<CertifiedKey>)>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|(names, _)| names)).finish()
    }
}

/// How well a certificate fits a server name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Wildcard,
    Exact,
}

fn fit(names: &[HostPattern], server_name: &str) -> Option<Fit> {
    let fit_one = |name: &HostPattern| match name {
        HostPattern::Exact(_) => name.matches(server_name).then_some(Fit::Exact),
        // In a certificate, a wildcard stands for one label (RFC 6125 6.4.3).
        HostPattern::Wildcard(suffix) => {
            let label = server_name.strip_suffix(&**suffix)?;
            (!label.is_empty() && !label.contains('.')).then_some(Fit::Wildcard)
        }
    };
    names.iter().filter_map(fit_one).max()
}

impl ResolvesServerCert for Certificates {
    /// The best fitting certificate that the client can verify: exact name, then wildcard, then
    /// the first; among equals the order of the listener.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let usable: Vec<_> = self
            .entries
            .iter()
            .filter(|(_, key)| key.key.choose_scheme(hello.signature_schemes()).is_some())
            .collect();
        let mut best = usable.first().copied();
        let mut best_fit = None;
        if let Some(server_name) = hello.server_name() {
            let server_name = server_name.to_ascii_lowercase();
            for entry in usable {
                let fit = fit(&entry.0, &server_name);
                if fit > best_fit {
                    best = Some(entry);
                    best_fit = fit;
                }
            }
        }
        best.map(|(_, key)| Arc::clone(key))
    }
}
