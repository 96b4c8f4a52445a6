//! Certificates from Secrets: parsing, and whether key and certificate belong together.
//!
//! Dates are not judged here: that needs a clock. Nothing of a Secret's content enters a message.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{ObjectName, Secret, SecretObjectReference};
use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
    EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use ir::{Certificate, CertificateId, HostPattern, ObjectRef, PrivateKey};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::code::Code;
use crate::grants::Reference;
use crate::hint::nearest;
use crate::kinds::{named_ref, whole};
use crate::limits::CHAIN_MAX;
use crate::refs::Refusal;
use crate::world::World;

/// The type of Secret that holds a certificate.
const TLS_SECRET: &str = "kubernetes.io/tls";

/// Secrets that were parsed already, so that several listeners, and later translations, share the
/// work and the result.
#[derive(Debug, Default)]
pub(crate) struct Store {
    parsed: BTreeMap<ObjectName, (Arc<Secret>, Parsed)>,
    seen: BTreeMap<ObjectName, (Arc<Secret>, Parsed)>,
}

type Parsed = Result<Arc<Certificate>, (Code, String)>;

impl Store {
    fn parse(&mut self, name: &ObjectName, secret: &Arc<Secret>) -> Parsed {
        if let Some((_, parsed)) = self.seen.get(name) {
            return parsed.clone();
        }
        let kept =
            self.parsed.get(name).filter(|(old, _)| Arc::ptr_eq(old, secret) || old == secret);
        let parsed = kept.map_or_else(|| parse(name, secret), |(_, parsed)| parsed.clone());
        self.seen.insert(name.clone(), (Arc::clone(secret), parsed.clone()));
        parsed
    }

    /// Ends one translation: what it did not use is forgotten.
    pub(crate) fn turn(&mut self) {
        self.parsed = std::mem::take(&mut self.seen);
    }
}

/// Follows a reference to a certificate, made by `owner` (a Gateway, ListenerSet or XBackend). `Ok(None)`
/// when it leads out of an open snapshot.
pub(crate) fn resolve(
    world: &World<'_>,
    store: &mut Store,
    owner: &ObjectRef,
    reference: &SecretObjectReference,
) -> Result<Option<Arc<Certificate>>, Refusal> {
    let refusal = |code, message, hint| Refusal { hint, ..Refusal::new(code, message) };
    let (group, kind) = (reference.group(), reference.kind());
    let name = reference.object_name(&owner.namespace);
    if (group, kind) != ("", "Secret") {
        let full = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let message = format!("{full} cannot hold a certificate; refer to a Secret");
        return Err(refusal(Code::CertificateKind, message, None));
    }
    let secret = world.snapshot.secrets.get(&name);
    if secret.is_none() && world.snapshot.open {
        return Ok(None);
    }
    let permitted = world.grants.permitted(Reference {
        from_group: &owner.group,
        from_kind: &owner.kind,
        from_namespace: &owner.namespace,
        to_group: group,
        to_kind: kind,
        to_namespace: &name.namespace,
        to_name: &name.name,
    });
    if !permitted {
        let message = format!(
            "no ReferenceGrant in namespace {} permits {} of namespace {} to refer to Secret {}",
            name.namespace, owner.kind, owner.namespace, name.name
        );
        return Err(refusal(Code::CertificateNotPermitted, message, None));
    }
    let Some(secret) = secret else {
        let neighbours =
            world.snapshot.secrets.keys().filter(|other| other.namespace == name.namespace);
        let hint = nearest(&name.name, neighbours.map(|other| &*other.name));
        let message = format!("Secret {name} does not exist");
        return Err(refusal(Code::CertificateNotFound, message, hint));
    };
    store.parse(&name, secret).map(Some).map_err(|(code, message)| {
        let mut refusal = refusal(code, message, None);
        let origin = whole(&named_ref("", "Secret", &name));
        refusal.related.push((origin, "the Secret is here".to_owned()));
        refusal
    })
}

fn parse(name: &ObjectName, secret: &Secret) -> Parsed {
    let malformed = |what: &str| (Code::CertificateMalformed, format!("{what} of Secret {name}"));
    if secret.r#type() != TLS_SECRET {
        let message = format!(
            "Secret {name} is of type {}; a certificate needs type {TLS_SECRET}",
            secret.r#type()
        );
        return Err((Code::CertificateSecretType, message));
    }
    let crt =
        secret.value("tls.crt").ok_or_else(|| malformed("there is no key tls.crt in the data"))?;
    let key =
        secret.value("tls.key").ok_or_else(|| malformed("there is no key tls.key in the data"))?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(crt)
        .take(CHAIN_MAX + 1)
        .collect::<Result<_, _>>()
        .map_err(|_| malformed("no PEM certificate chain can be read from tls.crt"))?;
    if chain.len() > CHAIN_MAX {
        return Err(malformed("there are more than 16 certificates in tls.crt"));
    }
    let leaf = chain.first().ok_or_else(|| malformed("there is no PEM certificate in tls.crt"))?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| malformed("no PEM private key can be read from tls.key"))?;
    for certificate in &chain {
        X509Certificate::from_der(certificate)
            .map_err(|_| malformed("a certificate that is not X.509 is in tls.crt"))?;
    }
    let (_, parsed) = X509Certificate::from_der(leaf)
        .map_err(|_| malformed("a certificate that is not X.509 is in tls.crt"))?;
    let public = public_key(&key).ok_or_else(|| {
        malformed("no RSA (of 2048 bits or more), ECDSA (P-256, P-384, P-521) or Ed25519 key can be read from tls.key")
    })?;
    if public != *parsed.public_key().subject_public_key.data {
        let message = format!(
            "tls.key of Secret {name} does not belong to the first certificate of its tls.crt"
        );
        return Err((Code::CertificateKeyMismatch, message));
    }
    let parts = chain.iter().map(AsRef::as_ref).chain([key.secret_der()]);
    let id = CertificateId(digest(parts));
    Ok(Arc::new(Certificate {
        id,
        origin: whole(&named_ref("", "Secret", name)),
        names: dns_names(&parsed),
        chain: chain.iter().map(|certificate| Arc::from(certificate.as_ref())).collect(),
        key: Arc::new(PrivateKey::new(key.secret_der().to_vec())),
    }))
}

/// The public key as it stands in a certificate's `subjectPublicKey`.
fn public_key(key: &PrivateKeyDer<'_>) -> Option<Vec<u8>> {
    let der = key.secret_der();
    let rsa = if let PrivateKeyDer::Pkcs1(_) = key {
        rsa::KeyPair::from_der(der).ok()
    } else if let PrivateKeyDer::Pkcs8(_) = key {
        rsa::KeyPair::from_pkcs8(der).ok()
    } else {
        None
    };
    if let Some(pair) = rsa {
        return Some(pair.public_key().as_ref().to_vec());
    }
    let curves = [
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        &ECDSA_P384_SHA384_ASN1_SIGNING,
        &ECDSA_P521_SHA512_ASN1_SIGNING,
    ];
    for curve in curves {
        if let Ok(pair) = EcdsaKeyPair::from_private_key_der(curve, der) {
            return Some(pair.public_key().as_ref().to_vec());
        }
    }
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
    Some(pair.public_key().as_ref().to_vec())
}

fn dns_names(certificate: &X509Certificate<'_>) -> Vec<HostPattern> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map_or(&[][..], |extension| &extension.value.general_names);
    let mut patterns: Vec<HostPattern> = Vec::new();
    for name in names {
        if let GeneralName::DNSName(name) = name {
            let pattern = HostPattern::new(name);
            if !patterns.contains(&pattern) {
                patterns.push(pattern);
            }
        }
    }
    patterns
}

/// SHA-256 over parts, each with its length in front, in hexadecimal.
pub(crate) fn digest<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Arc<str> {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let hex: String = context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    hex.into()
}
