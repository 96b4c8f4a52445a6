//! ReferenceGrants that no reference needs.

use std::sync::Arc;

use api::{ObjectName, ReferenceGrant, ReferenceGrantFrom};
use ir::ObjectRef;
use translate::{Code, Snapshot};

use super::{Finding, visit};

/// A reference that leaves its namespace.
struct Crossing {
    from: Arc<ObjectRef>,
    to_group: String,
    to_kind: String,
    to: ObjectName,
}

/// Only for a whole configuration: elsewhere the reference may be in a part that was not read.
pub(super) fn findings(snapshot: &Snapshot, out: &mut Vec<Finding>) {
    let crossings = crossings(snapshot);
    for (name, grant) in &snapshot.reference_grants {
        let object = visit::object_ref::<ReferenceGrant>(name);
        let unused: Vec<(usize, &ReferenceGrantFrom)> = grant
            .spec
            .from
            .iter()
            .enumerate()
            .filter(|(_, from)| !crossings.iter().any(|one| needs(grant, from, one)))
            .collect();
        if unused.len() == grant.spec.from.len() {
            let origin = visit::at(&object, "");
            let message = "no reference needs the grant; remove it, or correct group, kind and \
                           namespace in from and to";
            out.push(Finding::new(Code::UnusedGrant, origin, message));
            continue;
        }
        for (index, from) in unused {
            let origin = visit::at(&object, format!("spec.from[{index}]"));
            let message =
                format!("no {} of namespace {} needs the grant", from.kind, from.namespace);
            out.push(Finding::new(Code::UnusedGrant, origin, message));
        }
    }
}

fn needs(grant: &ReferenceGrant, from: &ReferenceGrantFrom, crossing: &Crossing) -> bool {
    let Crossing { from: by, to_group, to_kind, to } = crossing;
    (&*from.group, &*from.kind, &*from.namespace) == (&*by.group, &*by.kind, &*by.namespace)
        && grant.permits((&by.group, &by.kind), &by.namespace, (to_group, to_kind), to)
}

fn crossings(snapshot: &Snapshot) -> Vec<Crossing> {
    let mut found: Vec<Crossing> = Vec::new();
    let mut add = |from: &Arc<ObjectRef>, group: &str, kind: &str, to: ObjectName| {
        if to.namespace != from.namespace {
            let from = Arc::clone(from);
            let (to_group, to_kind) = (group.to_owned(), kind.to_owned());
            found.push(Crossing { from, to_group, to_kind, to });
        }
    };
    visit::backends(snapshot, |object, _, reference, _| {
        let to = reference.object_name(&object.namespace);
        add(object, reference.group(), reference.kind(), to);
    });
    visit::filters(snapshot, |object, _, filter| {
        let mirror = filter.request_mirror.as_ref().map(|mirror| &mirror.backend_ref);
        let auth = filter.external_auth.as_ref().map(|auth| &auth.backend_ref);
        for reference in mirror.into_iter().chain(auth) {
            let to = reference.object_name(&object.namespace);
            add(object, reference.group(), reference.kind(), to);
        }
    });
    visit::listeners(snapshot, |object, _, listener| {
        for reference in listener.tls.iter().flat_map(|tls| &tls.certificate_refs) {
            let to = reference.object_name(&object.namespace);
            add(object, reference.group(), reference.kind(), to);
        }
        for filter in listener.filters.iter().flat_map(|filters| &filters.requests) {
            if let Some(auth) = &filter.external_auth {
                let to = auth.backend_ref.object_name(&object.namespace);
                add(object, auth.backend_ref.group(), auth.backend_ref.kind(), to);
            }
        }
    });
    for (name, gateway) in &snapshot.gateways {
        let object = visit::object_ref::<api::Gateway>(name);
        let Some(tls) = &gateway.spec.tls else { continue };
        let backend = tls.backend.as_ref().and_then(|tls| tls.client_certificate_ref.as_ref());
        if let Some(reference) = backend {
            let to = reference.object_name(&object.namespace);
            add(&object, reference.group(), reference.kind(), to);
        }
        let frontend = tls.frontend.iter();
        let configs = frontend.flat_map(|tls| {
            std::iter::once(&tls.default).chain(tls.per_port.iter().map(|p| &p.tls))
        });
        for reference in
            configs.filter_map(|c| c.validation.as_ref()).flat_map(|v| &v.ca_certificate_refs)
        {
            let to = reference.object_name(&object.namespace);
            add(&object, &reference.group, &reference.kind, to);
        }
    }
    found
}
