//! Filters of a listener: they run on every request before a route is looked for (GEP-5224).

use api::{ExternalAuthFilter, ListenerFilter, ListenerFilterType};
use ir::{FailReason, Filter, ObjectRef, Target};

use crate::code::Code;
use crate::diagnostic::{self, Diagnostic};
use crate::external_auth;
use crate::gateways::listener::{ListenerWork, Shape};
use crate::refs::{Refusal, Resolution, resolve_backend};
use crate::world::World;

const EFFECT: &str = "requests of this listener answer 500";

/// Lowers the filters. One of a kind that is not served costs the listener, because requests must
/// not pass it by; one whose service cannot be asked answers every request.
pub(super) fn lower(world: &World<'_>, work: &mut ListenerWork<'_>, owner: &ObjectRef) {
    let Some(filters) = &work.spec.filters else { return };
    if filters.requests.is_empty() {
        return;
    }
    match work.shape {
        Some(Shape::Http | Shape::Https) | None => {}
        Some(Shape::TlsPassthrough | Shape::TlsTerminate | Shape::Tcp | Shape::Udp) => {
            let message = format!("protocol {} has no filters; remove them", work.spec.protocol);
            work.find(Code::UnsupportedListenerField, "filters", message);
            return;
        }
    }
    for (index, filter) in filters.requests.iter().enumerate() {
        one(world, work, owner, index, filter);
    }
}

fn one(
    world: &World<'_>,
    work: &mut ListenerWork<'_>,
    owner: &ObjectRef,
    index: usize,
    filter: &ListenerFilter,
) {
    let field = format!("filters.requests[{index}]");
    let message = match &filter.r#type {
        ListenerFilterType::ExternalAuth if world.settings.capabilities.listener_filters => {
            match &filter.external_auth {
                Some(auth) => external_auth(world, work, owner, &field, auth),
                None => {
                    let message = format!("filter {index} has no externalAuth; add it");
                    work.find(Code::ListenerFilterInvalid, &field, message);
                }
            }
            return;
        }
        ListenerFilterType::ExternalAuth => {
            format!("filter {index}, ExternalAuth, is not served on listeners yet; remove it")
        }
        ListenerFilterType::ExtensionRef => {
            format!("filter {index}, ExtensionRef, names no filter that is known here; remove it")
        }
        ListenerFilterType::Other(other) => {
            let shown: String = other.chars().take(64).flat_map(char::escape_debug).collect();
            format!("filter {index} has the type \"{shown}\", which is not known; remove it")
        }
    };
    work.find(Code::UnsupportedListenerField, &field, message);
}

fn external_auth(
    world: &World<'_>,
    work: &mut ListenerWork<'_>,
    owner: &ObjectRef,
    field: &str,
    auth: &ExternalAuthFilter,
) {
    let place = format!("{field}.externalAuth");
    let asked = match external_auth::read(auth) {
        Ok(asked) => asked,
        Err(message) => return work.find(Code::ListenerFilterInvalid, &place, message),
    };
    let reference = format!("{place}.backendRef");
    let spoken = external_auth::spoken(auth);
    let target = match resolve_backend(world, owner, &auth.backend_ref, spoken) {
        Resolution::Reached(reached) => {
            work.filter_backends.push(reached.cluster.0.backend.clone());
            Target::Cluster(reached.cluster)
        }
        Resolution::Unknown(cluster, message, hint) => {
            let origin = work.origin.child(&reference);
            let mut finding = Diagnostic::new(
                Code::OutsideSnapshot,
                origin,
                diagnostic::Target::Nothing,
                message,
            );
            finding.hint = hint;
            work.findings.push(finding);
            Target::Cluster(cluster)
        }
        Resolution::Refused(refusal) => {
            refused(work, &reference, refusal);
            Target::Fail(FailReason::InvalidBackend)
        }
    };
    let origin = work.origin.child(field);
    work.filters.push(Filter::ExternalAuth(asked.at(origin, target)));
}

fn refused(work: &mut ListenerWork<'_>, field: &str, refusal: Refusal) {
    let forbidden = refusal.code == Code::RefNotPermitted;
    let code = if forbidden { refusal.code } else { Code::ListenerFilterRef };
    work.filter_backends.extend(refusal.backend);
    work.find(code, field, refusal.message);
    if let Some(finding) = work.findings.last_mut() {
        finding.hint = refusal.hint;
        finding.related = refusal.related;
        finding.effect = Some(EFFECT.to_owned());
    }
}
