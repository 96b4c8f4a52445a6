//! BackendTLSPolicy, and the status that all policies share.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::condition::Condition;
use crate::meta::ObjectMeta;
use crate::object_macro::object;
use crate::open_enum::open_enum;
use crate::reference::{LocalObjectReference, ParentReference, PolicyTargetReference};

object! {
    /// How a Gateway reaches a Service over TLS.
    pub struct BackendTlsPolicy {
        metadata: ObjectMeta = "metadata",
        spec: BackendTlsPolicySpec = "spec",
        status: Option<PolicyStatus> = "status",
    }
}

object! {
    /// What the author of a BackendTLSPolicy asks for.
    pub struct BackendTlsPolicySpec {
        target_refs: Vec<PolicyTargetReference> = "targetRefs" always,
        validation: BackendTlsValidation = "validation",
        options: BTreeMap<Arc<str>, Arc<str>> = "options",
    }
}

object! {
    /// How a backend's certificate is checked.
    pub struct BackendTlsValidation {
        ca_certificate_refs: Vec<LocalObjectReference> = "caCertificateRefs",
        well_known_ca_certificates: Option<WellKnownCaCertificates> = "wellKnownCACertificates",
        /// The server name sent, and without `subjectAltNames` the name to verify.
        hostname: Arc<str> = "hostname",
        subject_alt_names: Vec<SubjectAltName> = "subjectAltNames",
    }
}

impl BackendTlsValidation {
    /// The well-known authorities asked for; `None` also when the text is empty.
    #[must_use]
    pub fn well_known(&self) -> Option<&WellKnownCaCertificates> {
        self.well_known_ca_certificates.as_ref().filter(|known| !known.as_str().is_empty())
    }
}

open_enum! {
    /// Authorities that need no reference.
    pub enum WellKnownCaCertificates {
        System = "System",
    }
}

object! {
    /// A name of which a certificate must carry at least one.
    pub struct SubjectAltName {
        r#type: SubjectAltNameType = "type",
        hostname: Option<Arc<str>> = "hostname",
        uri: Option<Arc<str>> = "uri",
    }
}

open_enum! {
    /// Which member of a subject alternative name is set.
    pub enum SubjectAltNameType {
        Hostname = "Hostname",
        Uri = "URI",
    }
}

object! {
    /// What controllers report about a policy.
    pub struct PolicyStatus {
        ancestors: Vec<PolicyAncestorStatus> = "ancestors" always,
    }
}

object! {
    /// The state of a policy for one ancestor (a Gateway, as a rule), by one controller.
    pub struct PolicyAncestorStatus {
        ancestor_ref: ParentReference = "ancestorRef",
        controller_name: Arc<str> = "controllerName",
        conditions: Vec<Condition> = "conditions",
    }
}
