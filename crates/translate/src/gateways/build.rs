//! What is left to serve: gateways and listeners of the IR, and their statuses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ir::{Authorities, IrSet, Listener, ListenerId, Protocol, TlsTermination};

use crate::code::Code;
use crate::condition::ConditionType;
use crate::gateways::GatewayWork;
use crate::gateways::listener::{ListenerWork, Shape};
use crate::status::denies;

/// Listeners whose Gateway cannot serve them say so, and so does a Gateway with nothing to serve.
pub(crate) fn judge_serving(work: &mut GatewayWork<'_>) {
    let accepted = work.is_accepted();
    let addressed = !work.addresses.is_empty();
    let gateway = work.name.clone();
    let sets = work.sets.iter_mut().flat_map(|set| &mut set.listeners);
    let own = work.listeners.iter_mut();
    for listener in own.chain(sets).filter(|listener| listener.can_serve()) {
        if !accepted {
            let message = format!("Gateway {gateway} is not accepted");
            listener.find(Code::GatewayNotAccepted, "", message);
        } else if !addressed {
            let message = format!("Gateway {gateway} has no address to listen on");
            listener.find(Code::GatewayWithoutAddress, "", message);
        }
    }
    for set in work.sets.iter_mut().filter(|set| set.is_accepted() && accepted && !addressed) {
        let message = format!("Gateway {gateway} has no address to listen on");
        set.find(Code::ListenerSetParentNotProgrammed, "spec.parentRef", message);
    }
    let nothing = !work.all_listeners().any(ListenerWork::can_serve);
    let said = work.findings.iter().any(|finding| denies(finding, ConditionType::Programmed));
    if nothing && !said {
        let message = "no listener of the Gateway can be served; see the conditions of each";
        work.find(Code::GatewayNothingServed, "spec.listeners", message);
    }
}

/// Adds what serves to the IR.
pub(crate) fn build(work: &GatewayWork<'_>, ir: &mut IrSet) {
    if !work.is_accepted() || work.addresses.is_empty() {
        return;
    }
    let mut names: Vec<ListenerId> = Vec::new();
    for listener in work.all_listeners().filter(|listener| listener.can_serve()) {
        if let Some(lowered) = lower(work, listener) {
            names.push(lowered.id.clone());
            ir.listeners.insert(lowered.id.clone(), Arc::new(lowered));
        }
    }
    if names.is_empty() {
        return;
    }
    let gateway = ir::Gateway {
        object: Arc::clone(&work.object),
        class: Arc::clone(&work.gateway.spec.gateway_class_name),
        listeners: names,
        client_certificate: work.client_certificate.clone(),
    };
    ir.gateways.insert(Arc::clone(&work.object), Arc::new(gateway));
}

fn lower(work: &GatewayWork<'_>, listener: &ListenerWork<'_>) -> Option<Listener> {
    let tls = || TlsTermination {
        certificates: listener.certificates.clone(),
        client_validation: listener.client_validation.clone(),
        options: listener.tls_options.clone(),
    };
    let protocol = match listener.shape? {
        Shape::Http => Protocol::Http,
        Shape::Https => Protocol::Https(tls()),
        Shape::TlsPassthrough => Protocol::TlsPassthrough,
        Shape::TlsTerminate => Protocol::TlsTerminate(tls()),
        Shape::Tcp => Protocol::Tcp,
        Shape::Udp => Protocol::Udp,
    };
    let own_name = (!listener.from_set).then_some(&*listener.id.name);
    Some(Listener {
        id: listener.id.clone(),
        origin: listener.origin.clone(),
        gateway: Arc::clone(&work.object),
        addresses: work.addresses.clone(),
        port: listener.spec.port,
        bind_port: listener.bind_port,
        protocol,
        hostname: listener.hostname.clone(),
        http: work.edge.settings(own_name),
        connection: work.edge.connection(own_name),
        filters: listener.filters.clone(),
    })
}

/// Certificates and authorities that something served names.
pub(crate) fn keep_used(
    ir: &mut IrSet,
    certificates: BTreeMap<ir::CertificateId, Arc<ir::Certificate>>,
    bundles: BTreeMap<ir::TrustBundleId, Arc<ir::TrustBundle>>,
) {
    let mut used: BTreeSet<ir::CertificateId> = BTreeSet::new();
    let mut trusted: BTreeSet<ir::TrustBundleId> = BTreeSet::new();
    for listener in ir.listeners.values() {
        match &listener.protocol {
            Protocol::Https(tls) | Protocol::TlsTerminate(tls) => {
                used.extend(tls.certificates.iter().cloned());
                let validation = tls.client_validation.as_deref();
                trusted.extend(validation.iter().flat_map(|v| &v.authorities).cloned());
            }
            Protocol::Http | Protocol::TlsPassthrough | Protocol::Tcp | Protocol::Udp => {}
        }
    }
    used.extend(ir.gateways.values().filter_map(|gateway| gateway.client_certificate.clone()));
    ir.for_each_cluster(|cluster| {
        let Some(tls) = &cluster.tls else { return };
        used.extend(tls.client_certificate.clone());
        match &tls.authorities {
            Authorities::System => {}
            Authorities::Bundles(bundles) => trusted.extend(bundles.iter().cloned()),
        }
    });
    ir.certificates = certificates.into_iter().filter(|(id, _)| used.contains(id)).collect();
    ir.trust_bundles = bundles.into_iter().filter(|(id, _)| trusted.contains(id)).collect();
}
