//! Validation of client certificates (`tls.frontend` of a Gateway), for its HTTPS listeners.

use std::sync::Arc;

use api::{
    FrontendTlsValidation, FrontendValidationMode, GATEWAY_GROUP, Gateway, GatewaySpec,
    ObjectReference,
};
use ir::{ClientValidation, ClientValidationMode, TrustBundleId};

use crate::code::Code;
use crate::gateways::listener::{ListenerWork, Shape};
use crate::grants::Reference;
use crate::kinds::GATEWAY;
use crate::trust::{Holder, Unusable};
use crate::world::World;

/// Lowers what a listener must ask of clients, or finds what keeps it from asking. A listener of a
/// ListenerSet is under the settings of its Gateway too.
pub(crate) fn check(world: &World<'_>, gateway: &Gateway, work: &mut ListenerWork<'_>) {
    if work.shape != Some(Shape::Https) {
        return;
    }
    let Some(validation) = gateway.spec.frontend_validation(work.spec.port) else { return };
    if !world.settings.capabilities.frontend_client_certificates {
        let message = format!(
            "the Gateway asks for client certificates on port {}, which are not checked yet; \
             remove tls.frontend to serve without",
            work.spec.port
        );
        work.find(Code::FrontendValidationUnsupported, "port", message);
        return;
    }
    let authorities = authorities(world, gateway, validation, work);
    let mode = match validation.mode() {
        FrontendValidationMode::AllowValidOnly => ClientValidationMode::AllowValidOnly,
        FrontendValidationMode::AllowInsecureFallback => {
            ClientValidationMode::AllowInsecureFallback
        }
        FrontendValidationMode::Other(other) => {
            let message = format!("the mode \"{other}\" of tls.frontend is not known");
            work.find(Code::FrontendValidationUnsupported, "port", message);
            return;
        }
    };
    work.client_validation = Some(Arc::new(ClientValidation { authorities, mode }));
}

/// Whether some port lets clients in whose certificate is missing or not valid.
pub(crate) fn is_insecure(spec: &GatewaySpec) -> bool {
    let frontend = spec.tls.as_ref().and_then(|tls| tls.frontend.as_ref());
    let settings = frontend.into_iter().flat_map(|frontend| {
        frontend.per_port.iter().map(|port| &port.tls).chain([&frontend.default])
    });
    settings
        .filter_map(|tls| tls.validation.as_ref())
        .any(|validation| validation.mode() == FrontendValidationMode::AllowInsecureFallback)
}

fn authorities(
    world: &World<'_>,
    gateway: &Gateway,
    validation: &FrontendTlsValidation,
    work: &mut ListenerWork<'_>,
) -> Vec<TrustBundleId> {
    let mut usable = false;
    let mut bundles: Vec<TrustBundleId> = Vec::new();
    for reference in &validation.ca_certificate_refs {
        match authority(world, gateway, reference) {
            Ok(bundle) => {
                usable = true;
                bundles.extend(bundle.filter(|id| !bundles.contains(id)));
            }
            Err((code, message)) => work.find(code, "port", message),
        }
    }
    if !usable {
        let message = "no certificate authority of the Gateway's tls.frontend is usable";
        work.find(Code::NoValidFrontendCa, "port", message);
    }
    bundles
}

/// `Ok(None)` when the reference leads out of an open snapshot. A ClusterTrustBundle is made for
/// everybody and needs no grant.
fn authority(
    world: &World<'_>,
    gateway: &Gateway,
    reference: &ObjectReference,
) -> Result<Option<TrustBundleId>, (Code, String)> {
    let namespace = gateway.metadata.namespace();
    let name = reference.object_name(namespace);
    let unusable = |unusable: Unusable| match unusable {
        Unusable::Kind(message) => (Code::FrontendCaKind, message),
        Unusable::Content(message) => (Code::FrontendCaInvalid, message),
    };
    let kind = (&*reference.group, &*reference.kind);
    let holder = Holder::of(kind, world.settings.capabilities).map_err(unusable)?;
    let permitted = match holder {
        Holder::ClusterTrustBundle => true,
        Holder::ConfigMap => world.grants.permitted(Reference {
            from_group: GATEWAY_GROUP,
            from_kind: GATEWAY,
            from_namespace: namespace,
            to_group: "",
            to_kind: "ConfigMap",
            to_namespace: &name.namespace,
            to_name: &name.name,
        }),
    };
    if !permitted {
        let message = format!(
            "no ReferenceGrant in namespace {} permits Gateway of namespace {namespace} to refer to ConfigMap {}",
            name.namespace, name.name
        );
        return Err((Code::FrontendCaNotPermitted, message));
    }
    let bundle = world.trust.resolve(holder, &name).map_err(unusable)?;
    Ok(bundle.map(|bundle| bundle.id.clone()))
}
