//! TLS settings and trust bundles.

use super::{Lines, list};
use crate::{
    Authorities, CipherSuite, ClientValidation, ClientValidationMode, SubjectAltName, TlsOptions,
    TlsTermination, TlsVersion, TrustBundle, UpstreamTls,
};

pub(super) fn dump_termination(tls: &TlsTermination, out: &mut Lines) {
    let TlsTermination { certificates, client_validation, options: wanted } = tls;
    out.line(1, format_args!("certificates: {}", list(certificates.iter().map(|id| &id.0))));
    if let Some(validation) = client_validation {
        let ClientValidation { authorities, mode } = &**validation;
        let mode = match mode {
            ClientValidationMode::AllowValidOnly => "valid only",
            ClientValidationMode::AllowInsecureFallback => "asked for, never refused",
        };
        let authorities = list(authorities.iter().map(|id| &id.0));
        out.line(1, format_args!("client certificates: {mode}, of {authorities}"));
    }
    let wanted = options(wanted);
    if !wanted.is_empty() {
        out.line(1, format_args!("tls:{wanted}"));
    }
}

pub(super) fn dump_trust_bundle(bundle: &TrustBundle, out: &mut Lines) {
    let TrustBundle { id, origin, certificates } = bundle;
    out.line(0, format_args!("trust bundle {}: {origin}", id.0));
    out.line(1, format_args!("holds: {} certificates", certificates.len()));
}

/// Continues the text of a cluster.
pub(super) fn upstream(tls: &UpstreamTls) -> String {
    let UpstreamTls {
        origin,
        server_name,
        authorities,
        subject_alt_names,
        client_certificate,
        options: wanted,
    } = tls;
    let authorities = match authorities {
        Authorities::System => "the system's authorities".to_owned(),
        Authorities::Bundles(bundles) => list(bundles.iter().map(|id| &id.0)),
    };
    let mut text = format!(", TLS as {server_name} by {authorities}");
    if !subject_alt_names.is_empty() {
        let names = subject_alt_names.iter().map(|name| match name {
            SubjectAltName::Hostname(name) => format!("DNS {name}"),
            SubjectAltName::Uri(uri) => format!("URI {uri}"),
        });
        text.push_str(&format!(" with {}", list(names)));
    }
    if let Some(certificate) = client_certificate {
        text.push_str(&format!(", showing {}", certificate.0));
    }
    text.push_str(&options(wanted));
    text.push_str(&format!(" (@ {origin})"));
    text
}

fn options(options: &TlsOptions) -> String {
    let TlsOptions { min_version, max_version, cipher_suites } = options;
    let mut text = String::new();
    if let Some(version) = min_version {
        text.push_str(&format!(" from {}", TlsVersion::as_str(*version)));
    }
    if let Some(version) = max_version {
        text.push_str(&format!(" up to {}", TlsVersion::as_str(*version)));
    }
    if !cipher_suites.is_empty() {
        let suites = cipher_suites.iter().copied().map(CipherSuite::as_str);
        text.push_str(&format!(" suites {}", list(suites)));
    }
    text
}
