//! Fields that mean something else elsewhere, are on trial, on their way out, or without effect.

use std::sync::Arc;

use api::{
    AddressType, FilterType, FromNamespaces, GrpcRoute, HttpRoute, LabelSelector,
    LabelSelectorOperator, Object, PathMatchType, ProtocolType, SessionPersistence,
    StringMatchType, XBackendTrafficPolicy, kinds, schema::Validator,
};
use ir::{ObjectRef, Origin};
use translate::{Code, Snapshot};

use super::{Finding, visit};

/// The label that the API server sets, and nobody else can.
const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) fn findings(snapshot: &Snapshot, out: &mut Vec<Finding>) {
    http_routes(snapshot, out);
    grpc_routes(snapshot, out);
    filters(snapshot, out);
    listeners(snapshot, out);
    gateways(snapshot, out);
    traffic_policies(snapshot, out);
    weights(snapshot, out);
    experimental(snapshot, out);
}

fn specific(origin: Origin, message: impl Into<String>) -> Finding {
    Finding::new(Code::ImplementationSpecific, origin, message)
}

fn http_routes(snapshot: &Snapshot, out: &mut Vec<Finding>) {
    for (name, route) in &snapshot.http_routes {
        let object = visit::object_ref::<HttpRoute>(name);
        for (index, rule) in route.spec.rules.iter().enumerate() {
            let rule_field = format!("spec.rules[{index}]");
            for (position, matched) in rule.matches.iter().enumerate() {
                let at = format!("{rule_field}.matches[{position}]");
                let path = matched.path.as_ref();
                if path.is_some_and(|path| path.r#type() == PathMatchType::RegularExpression) {
                    out.push(specific(
                        visit::at(&object, format!("{at}.path")),
                        "syntax and anchoring of path expressions differ among implementations; \
                         here the whole path must match",
                    ));
                }
                let headers = matched.headers.iter().map(|header| header.r#type());
                out.extend(expressions(&object, &at, "headers", headers));
                let query = matched.query_params.iter().map(|query| query.r#type());
                out.extend(expressions(&object, &at, "queryParams", query));
            }
            sessions(&object, &rule_field, rule.session_persistence.as_ref(), out);
        }
    }
}

fn expressions(
    object: &Arc<ObjectRef>,
    at: &str,
    list: &str,
    types: impl Iterator<Item = StringMatchType>,
) -> Vec<Finding> {
    types
        .enumerate()
        .filter(|(_, kind)| *kind == StringMatchType::RegularExpression)
        .map(|(index, _)| {
            specific(
                visit::at(object, format!("{at}.{list}[{index}]")),
                "syntax and anchoring of expressions differ among implementations; here one \
                 matches anywhere in the value unless it is anchored",
            )
        })
        .collect()
}

fn sessions(
    object: &Arc<ObjectRef>,
    rule: &str,
    persistence: Option<&SessionPersistence>,
    out: &mut Vec<Finding>,
) {
    if persistence.is_some() {
        let origin = visit::at(object, format!("{rule}.sessionPersistence"));
        let message = "sessionPersistence of a rule is deprecated since 1.7; its home is the \
                       sessionPersistence of an XBackend";
        out.push(Finding::new(Code::DeprecatedField, origin, message));
    }
}

fn grpc_routes(snapshot: &Snapshot, out: &mut Vec<Finding>) {
    for (name, route) in &snapshot.grpc_routes {
        let object = visit::object_ref::<GrpcRoute>(name);
        for (index, rule) in route.spec.rules.iter().enumerate() {
            let rule_field = format!("spec.rules[{index}]");
            for (position, matched) in rule.matches.iter().enumerate() {
                let at = format!("{rule_field}.matches[{position}]");
                let method = matched.method.as_ref();
                if method.is_some_and(|m| m.r#type() == StringMatchType::RegularExpression) {
                    out.push(specific(
                        visit::at(&object, format!("{at}.method")),
                        "syntax and anchoring of method expressions differ among implementations",
                    ));
                }
                let headers = matched.headers.iter().map(|header| header.r#type());
                out.extend(expressions(&object, &at, "headers", headers));
            }
            sessions(&object, &rule_field, rule.session_persistence.as_ref(), out);
        }
    }
}

fn filters(snapshot: &Snapshot, out: &mut Vec<Finding>) {
    visit::filters(snapshot, |object, field, filter| {
        if filter.r#type == FilterType::ExtensionRef {
            let kind = filter.extension_ref.as_ref().map_or("", |reference| &reference.kind);
            out.push(specific(
                visit::at(object, format!("{field}.extensionRef")),
                format!(
                    "ExtensionRef to {kind} works with the implementation that defines it only"
                ),
            ));
        }
    });
}

fn listeners(snapshot: &Snapshot, out: &mut Vec<Finding>) {
    visit::listeners(snapshot, |object, field, listener| {
        if let Some(tls) = &listener.tls {
            if tls.certificate_refs.len() > 1 {
                out.push(specific(
                    visit::at(object, format!("{field}.tls.certificateRefs")),
                    "several certificateRefs on one listener are not supported everywhere; here \
                     the server name chooses, and the first is the default",
                ));
            }
            for key in tls.options.keys() {
                out.push(specific(
                    visit::at(object, format!("{field}.tls.options[{key}]")),
                    format!("TLS option {key} means what one implementation makes of it"),
                ));
            }
        }
        if let ProtocolType::Other(protocol) = &listener.protocol
            && protocol.contains('/')
        {
            out.push(specific(
                visit::at(object, format!("{field}.protocol")),
                format!("protocol {protocol} is known to one implementation only"),
            ));
        }
        if listener.routes_from() == FromNamespaces::Selector {
            let at = format!("{field}.allowedRoutes.namespaces.selector");
            out.extend(selector(object, &at, listener.routes_selector(), "attach routes"));
        }
    });
}

fn traffic_policies(snapshot: &Snapshot, out: &mut Vec<Finding>) {
    for (name, policy) in &snapshot.x_backend_traffic_policies {
        if policy.spec.session_persistence.is_some() {
            let object = visit::object_ref::<XBackendTrafficPolicy>(name);
            let message = "sessionPersistence of a policy is deprecated since 1.7; its home is the \
                           sessionPersistence of an XBackend";
            let origin = visit::at(&object, "spec.sessionPersistence");
            out.push(Finding::new(Code::DeprecatedField, origin, message));
        }
    }
}

fn gateways(snapshot: &Snapshot, out: &mut Vec<Finding>) {
    for (name, gateway) in &snapshot.gateways {
        let object = visit::object_ref::<api::Gateway>(name);
        for (index, address) in gateway.spec.addresses.iter().enumerate() {
            let origin = visit::at(&object, format!("spec.addresses[{index}].type"));
            match address.r#type() {
                AddressType::NamedAddress => out.push(Finding::new(
                    Code::DeprecatedField,
                    origin,
                    "address type NamedAddress is deprecated; use IPAddress or a type of the form \
                     domain/name",
                )),
                AddressType::Other(kind) => out.push(specific(
                    origin,
                    format!("address type {kind} is known to one implementation only"),
                )),
                AddressType::IpAddress | AddressType::Hostname => {}
            }
        }
        if gateway.spec.allowed_listeners_from() == FromNamespaces::Selector {
            let namespaces = gateway.spec.allowed_listeners.as_ref();
            let wanted = namespaces.and_then(|a| a.namespaces.as_ref()?.selector.as_ref());
            let at = "spec.allowedListeners.namespaces.selector";
            out.extend(selector(&object, at, wanted, "add listeners"));
        }
    }
}

fn selector(
    object: &Arc<ObjectRef>,
    field: &str,
    selector: Option<&LabelSelector>,
    what: &str,
) -> Option<Finding> {
    let selector = selector?;
    let by_name = selector.match_labels.contains_key(NAMESPACE_NAME_LABEL)
        || selector.match_expressions.iter().any(|one| {
            &*one.key == NAMESPACE_NAME_LABEL && one.operator == LabelSelectorOperator::In
        });
    if by_name {
        return None;
    }
    let keys = selector.match_labels.keys();
    let keys = keys.chain(selector.match_expressions.iter().map(|one| &one.key));
    let keys: Vec<&str> = keys.map(|key| &**key).collect();
    let keys = if keys.is_empty() { "no label".to_owned() } else { keys.join(", ") };
    let message =
        format!("whoever may label a namespace can {what} here (the selector asks for {keys})");
    Some(
        Finding::new(Code::SelectorOnEditableLabel, visit::at(object, field), message).with_hint(
            format!("select by {NAMESPACE_NAME_LABEL}, or let no tenant label namespaces"),
        ),
    )
}

fn weights(snapshot: &Snapshot, out: &mut Vec<Finding>) {
    visit::backends(snapshot, |object, field, reference, weight| {
        if weight == Some(0) {
            let origin = visit::at(object, format!("{field}.weight"));
            let message = format!("{} {} gets no traffic", reference.kind(), reference.name);
            out.push(Finding::new(Code::ZeroWeight, origin, message));
        }
    });
}

fn experimental(snapshot: &Snapshot, out: &mut Vec<Finding>) {
    for object in snapshot.objects() {
        if !api::is_gateway_group(object.group()) {
            continue;
        }
        let reference = reference(&object);
        let known = kinds::find(object.group(), object.kind());
        if known.is_some_and(|known| known.channel == kinds::Channel::Experimental) {
            let message = format!("{} is a kind of the experimental channel only", object.kind());
            let origin = visit::at(&reference, "");
            out.push(Finding::new(Code::ExperimentalField, origin, message));
            continue;
        }
        for field in Validator::experimental_fields(&object.to_value()) {
            let message = "the field is in the experimental channel only; a cluster with the \
                           standard channel drops it";
            let origin = visit::at(&reference, field);
            out.push(Finding::new(Code::ExperimentalField, origin, message));
        }
    }
}

fn reference(object: &Object) -> Arc<ObjectRef> {
    let name = object.name();
    Arc::new(ObjectRef {
        group: object.group().into(),
        kind: object.kind().into(),
        namespace: name.namespace,
        name: name.name,
    })
}
