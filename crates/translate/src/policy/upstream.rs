//! What a backend's certificate must be: the validation of a BackendTLSPolicy and of whatever else
//! has the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{
    BackendTlsValidation, ObjectName, SubjectAltName, SubjectAltNameType, WellKnownCaCertificates,
};
use ir::{Authorities, Origin, UpstreamTls};

use crate::code::Code;
use crate::tls_options;
use crate::trust::{Holder, Unusable};
use crate::world::World;

/// What to lower, and where it stands.
pub(crate) struct Asked<'a> {
    /// The object.
    pub(crate) origin: Origin,
    pub(crate) validation: &'a BackendTlsValidation,
    /// Path of `validation` in the object.
    pub(crate) field: &'a str,
    pub(crate) options: &'a BTreeMap<Arc<str>, Arc<str>>,
    /// Path of `options` in the object.
    pub(crate) options_field: &'a str,
}

/// Takes a finding: code, field, message and hint. Codes are those of policies.
pub(crate) type Find<'f> = dyn FnMut(Code, &str, String, Option<String>) + 'f;

/// TLS as it is asked for; `None` when it cannot be given as it is written, which is said.
pub(crate) fn lower(
    world: &World<'_>,
    asked: &Asked<'_>,
    find: &mut Find<'_>,
) -> Option<UpstreamTls> {
    let server_name = server_name(asked, find);
    let subject_alt_names = subject_alt_names(asked, find);
    let options = options(asked, find);
    let authorities = authorities(world, asked, find);
    Some(UpstreamTls {
        origin: asked.origin.clone(),
        server_name: server_name?,
        authorities: authorities?,
        subject_alt_names: subject_alt_names?,
        client_certificate: None,
        options: options?,
    })
}

fn server_name(asked: &Asked<'_>, find: &mut Find<'_>) -> Option<Arc<str>> {
    let hostname = &asked.validation.hostname;
    match api::hostname::check_precise(hostname) {
        Ok(()) => Some(hostname.to_ascii_lowercase().into()),
        Err(error) => {
            let field = format!("{}.hostname", asked.field);
            find(Code::PolicyInvalid, &field, error.to_string(), None);
            None
        }
    }
}

fn subject_alt_names(asked: &Asked<'_>, find: &mut Find<'_>) -> Option<Vec<ir::SubjectAltName>> {
    let mut names = Some(Vec::new());
    for (index, written) in asked.validation.subject_alt_names.iter().enumerate() {
        match subject_alt_name(written) {
            Ok(name) => {
                if let Some(names) = &mut names {
                    names.push(name);
                }
            }
            Err(message) => {
                let field = format!("{}.subjectAltNames[{index}]", asked.field);
                find(Code::PolicyInvalid, &field, message, None);
                names = None;
            }
        }
    }
    names
}

fn subject_alt_name(written: &SubjectAltName) -> Result<ir::SubjectAltName, String> {
    let given = |member: &Option<Arc<str>>| member.clone().filter(|text| !text.is_empty());
    match &written.r#type {
        SubjectAltNameType::Hostname => {
            let name = given(&written.hostname).ok_or("type Hostname needs hostname")?;
            let name = name.to_ascii_lowercase();
            api::hostname::check(&name).map_err(|error| error.to_string())?;
            Ok(ir::SubjectAltName::Hostname(name.into()))
        }
        SubjectAltNameType::Uri => {
            let uri = given(&written.uri).ok_or("type URI needs uri")?;
            if !uri.contains(':') {
                return Err("a URI has a scheme, such as spiffe://example.com/name".to_owned());
            }
            Ok(ir::SubjectAltName::Uri(uri))
        }
        SubjectAltNameType::Other(other) => {
            Err(format!("type \"{other}\" is not known; use Hostname or URI"))
        }
    }
}

fn options(asked: &Asked<'_>, find: &mut Find<'_>) -> Option<ir::TlsOptions> {
    tls_options::parse(asked.options)
        .map_err(|refused| {
            for refused in refused {
                let field = format!("{}[{}]", asked.options_field, refused.key);
                find(Code::PolicyInvalid, &field, refused.message, refused.hint);
            }
        })
        .ok()
}

fn authorities(world: &World<'_>, asked: &Asked<'_>, find: &mut Find<'_>) -> Option<Authorities> {
    let (validation, field) = (asked.validation, asked.field);
    let mut invalid = |field: &str, message: &str| {
        find(Code::PolicyInvalid, field, message.to_owned(), None);
        None
    };
    match (validation.well_known(), validation.ca_certificate_refs.is_empty()) {
        (Some(_), false) => {
            invalid(field, "caCertificateRefs and wellKnownCACertificates exclude each other")
        }
        (None, true) => invalid(field, "caCertificateRefs or wellKnownCACertificates is needed"),
        (Some(WellKnownCaCertificates::Other(other)), true) => invalid(
            &format!("{field}.wellKnownCACertificates"),
            &format!("the well-known authorities \"{other}\" are not known; use System"),
        ),
        (Some(WellKnownCaCertificates::System), true) => Some(Authorities::System),
        (None, false) => bundles(world, asked, find),
    }
}

/// Some good references are enough; those that are not are said.
fn bundles(world: &World<'_>, asked: &Asked<'_>, find: &mut Find<'_>) -> Option<Authorities> {
    let mut usable = false;
    let mut bundles = Vec::new();
    for (index, reference) in asked.validation.ca_certificate_refs.iter().enumerate() {
        let holder = Holder::of((&reference.group, &reference.kind), world.settings.capabilities);
        let namespace = Arc::clone(&asked.origin.object.namespace);
        let name = ObjectName::new(namespace, Arc::clone(&reference.name));
        match holder.and_then(|holder| world.trust.resolve(holder, &name)) {
            Ok(bundle) => {
                usable = true;
                bundles.extend(
                    bundle.map(|bundle| bundle.id.clone()).filter(|id| !bundles.contains(id)),
                );
            }
            Err(unusable) => {
                let code = match &unusable {
                    Unusable::Kind(_) => Code::PolicyCaKind,
                    Unusable::Content(_) => Code::PolicyCaInvalid,
                };
                let field = format!("{}.caCertificateRefs[{index}]", asked.field);
                find(code, &field, unusable.message().to_owned(), None);
            }
        }
    }
    if !usable {
        let message = "no certificate authority of the policy is usable".to_owned();
        find(Code::PolicyNoValidCa, &format!("{}.caCertificateRefs", asked.field), message, None);
        return None;
    }
    Some(Authorities::Bundles(bundles))
}
