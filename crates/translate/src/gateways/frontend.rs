//! Validation of client certificates (`tls.frontend` of a Gateway), for its HTTPS listeners.

use api::{
    FrontendTlsValidation, FrontendValidationMode, GATEWAY_GROUP, Gateway, GatewaySpec,
    ObjectReference,
};

use crate::certificate::is_authority;
use crate::code::Code;
use crate::gateways::listener::{ListenerWork, Owner, Shape};
use crate::grants::Reference;
use crate::kinds::GATEWAY;
use crate::world::World;

/// Finds what keeps a listener from checking client certificates as its Gateway asks.
pub(crate) fn check(
    world: &World<'_>,
    gateway: &Gateway,
    work: &mut ListenerWork<'_>,
    _owner: Owner<'_>,
) {
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
    check_authorities(world, gateway, validation, work);
    if let FrontendValidationMode::Other(other) = validation.mode() {
        let message = format!("the mode \"{other}\" of tls.frontend is not known");
        work.find(Code::FrontendValidationUnsupported, "port", message);
    }
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

fn check_authorities(
    world: &World<'_>,
    gateway: &Gateway,
    validation: &FrontendTlsValidation,
    work: &mut ListenerWork<'_>,
) {
    let mut usable = false;
    for reference in &validation.ca_certificate_refs {
        match authority(world, gateway, reference) {
            Ok(()) => usable = true,
            Err((code, message)) => work.find(code, "port", message),
        }
    }
    if !usable {
        let message = "no certificate authority of the Gateway's tls.frontend is usable";
        work.find(Code::NoValidFrontendCa, "port", message);
    }
}

fn authority(
    world: &World<'_>,
    gateway: &Gateway,
    reference: &ObjectReference,
) -> Result<(), (Code, String)> {
    let namespace = gateway.metadata.namespace();
    let name = reference.object_name(namespace);
    if (&*reference.group, &*reference.kind) != ("", "ConfigMap") {
        let message =
            format!("{} cannot hold a certificate authority; refer to a ConfigMap", reference.kind);
        return Err((Code::FrontendCaKind, message));
    }
    let permitted = world.grants.permitted(Reference {
        from_group: GATEWAY_GROUP,
        from_kind: GATEWAY,
        from_namespace: namespace,
        to_group: "",
        to_kind: "ConfigMap",
        to_namespace: &name.namespace,
        to_name: &name.name,
    });
    if !permitted {
        let message = format!(
            "no ReferenceGrant in namespace {} permits Gateway of namespace {namespace} to refer to ConfigMap {}",
            name.namespace, name.name
        );
        return Err((Code::FrontendCaNotPermitted, message));
    }
    let config_map = world.snapshot.config_maps.get(&name);
    let Some(config_map) = config_map else {
        return Err((Code::FrontendCaInvalid, format!("ConfigMap {name} does not exist")));
    };
    if config_map.value("ca.crt").is_some_and(is_authority) {
        Ok(())
    } else {
        let message = format!("ConfigMap {name} has no readable certificate under the key ca.crt");
        Err((Code::FrontendCaInvalid, message))
    }
}
