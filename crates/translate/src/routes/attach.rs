//! Attachment: which listeners of which parents accept a route, and for which hosts.

use std::sync::Arc;

use api::ParentReference;
use ir::{Attachment, HostPattern, ListenerId};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, Target};
use crate::hint::nearest;
use crate::kinds::RouteType;
use crate::routes::Pass;
use crate::routes::inputs::{ListenerView, ParentInput};
use crate::settings::Capabilities;

#[derive(Default)]
pub(crate) struct Attached {
    /// Parents that are ours: position and reference, group and kind filled in.
    pub(crate) parents: Vec<(usize, ParentReference)>,
    /// Listeners that accepted the route, each once.
    pub(crate) accepted: Vec<ListenerId>,
    /// Those among them that serve.
    pub(crate) serving: Vec<Attachment>,
    /// How many of the parents are default Gateways.
    defaults: usize,
}

/// The field that attaches a route to default Gateways.
const DEFAULTS: &str = "spec.useDefaultGateways";

/// `hosts` is `None` when no hostname of the route is usable: it attaches nowhere.
pub(crate) fn attach(
    pass: &mut Pass<'_>,
    references: &[ParentReference],
    hosts: Option<&[HostPattern]>,
) -> Attached {
    let mut attached = Attached::default();
    let inputs = pass.inputs;
    for (index, (reference, input)) in references.iter().zip(&inputs.parents).enumerate() {
        let field = format!("spec.parentRefs[{index}]");
        if let Some((path, message)) = pass.broken(&field) {
            pass.aside(Code::InvalidValue, &path, message);
            continue;
        }
        if references.iter().take(index).any(|earlier| earlier == reference) {
            pass.aside(Code::ParentRefRepeated, &field, "the same parent is named before");
            continue;
        }
        match input {
            ParentInput::Ours(listeners) => {
                attached.parents.push((index, filled(reference)));
                if let Some(hosts) = hosts {
                    attach_parent(pass, index, reference, listeners, hosts, &mut attached);
                }
            }
            ParentInput::NotOurs => {}
            ParentInput::OtherKind => {
                let message = match (reference.group(), reference.kind()) {
                    ("", "Service") => "a Service as a parent is for a mesh, which Portcullis is \
                                        not: the route changes nothing between pods"
                        .to_owned(),
                    (_, kind) => {
                        format!("{kind} is not a parent that is served here; use a Gateway")
                    }
                };
                pass.aside(Code::ParentKindNotServed, &field, message);
            }
            ParentInput::Missing { hint } => {
                let message = format!("{} does not exist", shown(pass, reference));
                pass.aside(Code::ParentNotFound, &field, message);
                if let Some(finding) = pass.findings.last_mut() {
                    finding.hint.clone_from(hint);
                    finding.effect = Some("the route serves nothing there".to_owned());
                }
            }
            ParentInput::Outside { hint } => {
                let message =
                    format!("{} is not among the objects that were read", shown(pass, reference));
                pass.aside(Code::OutsideSnapshot, &field, message);
                if let Some(finding) = pass.findings.last_mut() {
                    finding.hint.clone_from(hint);
                }
            }
        }
    }
    if let Some(hosts) = hosts {
        attach_defaults(pass, references.len(), hosts, &mut attached);
    }
    attached
}

/// Default Gateways that accept the route are its parents as if it named them. The others are
/// not, since nobody asked for them by name, and are spoken of only when there is no parent at all.
fn attach_defaults(
    pass: &mut Pass<'_>,
    named: usize,
    hosts: &[HostPattern],
    attached: &mut Attached,
) {
    let inputs = pass.inputs;
    let mut refusals: Vec<String> = Vec::new();
    for (reference, listeners) in &inputs.defaults {
        let index = named.saturating_add(attached.defaults);
        match attach_listeners(pass, reference, listeners, hosts, attached) {
            Ok(unserved) => {
                attached.defaults = attached.defaults.saturating_add(1);
                attached.parents.push((index, reference.clone()));
                say_unserved(pass, DEFAULTS, &unserved);
            }
            Err(selected) => {
                refusals.push(refusal(pass, reference, listeners, &selected, hosts).1);
            }
        }
    }
    if attached.parents.is_empty() && !refusals.is_empty() {
        pass.aside(Code::NoDefaultGateway, DEFAULTS, refusals.join("; "));
    }
}

fn shown(pass: &Pass<'_>, reference: &ParentReference) -> String {
    format!("{} {}", reference.kind(), reference.object_name(&pass.object.namespace))
}

/// As a defaulted object has it, and as a status repeats it.
fn filled(reference: &ParentReference) -> ParentReference {
    let mut filled = reference.clone();
    filled.group = Some(reference.group().into());
    filled.kind = Some(reference.kind().into());
    filled
}

fn attach_parent(
    pass: &mut Pass<'_>,
    index: usize,
    reference: &ParentReference,
    listeners: &[(Arc<ListenerView>, bool)],
    hosts: &[HostPattern],
    attached: &mut Attached,
) {
    let field = format!("spec.parentRefs[{index}]");
    match attach_listeners(pass, reference, listeners, hosts, attached) {
        Ok(unserved) => say_unserved(pass, &field, &unserved),
        Err(selected) => {
            let (code, message, hint) = refusal(pass, reference, listeners, &selected, hosts);
            let mut finding =
                Diagnostic::new(code, pass.origin(&field), Target::RouteParent(index), message);
            finding.hint = hint;
            pass.findings.push(finding);
        }
    }
}

fn say_unserved(pass: &mut Pass<'_>, field: &str, names: &[&str]) {
    if !names.is_empty() {
        let message = format!("listener {} is not served; see its conditions", names.join(", "));
        pass.aside(Code::ListenerNotServing, field, message);
    }
}

type Selected<'l> = Vec<&'l (Arc<ListenerView>, bool)>;

/// Attaches the route to the listeners that the reference selects and that accept it. `Ok` names
/// those among them that are not served; `Err` has what was selected when none accepts it.
fn attach_listeners<'l>(
    pass: &Pass<'_>,
    reference: &ParentReference,
    listeners: &'l [(Arc<ListenerView>, bool)],
    hosts: &[HostPattern],
    attached: &mut Attached,
) -> Result<Vec<&'l str>, Selected<'l>> {
    let selected: Selected<'l> = listeners
        .iter()
        .filter(|(view, _)| {
            reference.section_name.as_ref().is_none_or(|section| *section == view.id.name)
                && reference.port.is_none_or(|port| port == view.port)
        })
        .collect();
    let mut unserved: Vec<&str> = Vec::new();
    let mut taken = false;
    for (view, admitted) in &selected {
        let own = common_hosts(pass.route, hosts, view.hostname.as_ref());
        let (true, true, Some(own)) = (view.supported.contains(&pass.route), *admitted, own) else {
            continue;
        };
        taken = true;
        if !view.serving {
            unserved.push(&view.id.name);
        }
        if attached.accepted.contains(&view.id) {
            continue;
        }
        attached.accepted.push(view.id.clone());
        if view.serving {
            attached.serving.push(Attachment { listener: view.id.clone(), hosts: own });
        }
    }
    if taken { Ok(unserved) } else { Err(selected) }
}

/// The hosts of the route that the listener shares, as written on the route; `None` when they
/// have none in common.
fn common_hosts(
    route: RouteType,
    hosts: &[HostPattern],
    listener: Option<&HostPattern>,
) -> Option<Vec<Option<HostPattern>>> {
    let hostless = match route {
        RouteType::Tcp | RouteType::Udp => true,
        RouteType::Grpc | RouteType::Http | RouteType::Tls => hosts.is_empty(),
    };
    if hostless {
        return Some(vec![None]);
    }
    let common: Vec<Option<HostPattern>> = hosts
        .iter()
        .filter(|host| listener.is_none_or(|listener| host.intersects(listener)))
        .map(|host| Some(host.clone()))
        .collect();
    (!common.is_empty()).then_some(common)
}

/// The reason of the listener that came closest: host, then namespace, then kind.
fn refusal(
    pass: &Pass<'_>,
    reference: &ParentReference,
    listeners: &[(Arc<ListenerView>, bool)],
    selected: &[&(Arc<ListenerView>, bool)],
    hosts: &[HostPattern],
) -> (Code, String, Option<String>) {
    let parent = shown(pass, reference);
    let kind = pass.route.as_str();
    if selected.is_empty() {
        return no_listener(&parent, reference, listeners);
    }
    let able: Vec<_> =
        selected.iter().filter(|(view, _)| view.supported.contains(&pass.route)).collect();
    if able.is_empty() {
        if !is_served(pass.route, pass.capabilities) {
            let message = format!("{kind} is not served yet, so no listener of {parent} allows it");
            return (Code::RouteKindNotServed, message, None);
        }
        let message = format!("no listener of {parent} allows routes of kind {kind}");
        return (Code::KindNotAllowed, message, None);
    }
    if !able.iter().any(|(_, admitted)| *admitted) {
        let message = format!(
            "no listener of {parent} allows routes of namespace {}; see its allowedRoutes.namespaces",
            pass.object.namespace
        );
        return (Code::NamespaceNotAllowed, message, None);
    }
    let own: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let theirs: Vec<String> = able
        .iter()
        .filter(|(_, admitted)| *admitted)
        .filter_map(|(view, _)| view.hostname.as_ref().map(ToString::to_string))
        .collect();
    let message = format!(
        "no hostname of the route ({}) is covered by a listener of {parent} ({})",
        own.join(", "),
        theirs.join(", ")
    );
    (Code::NoMatchingListenerHostname, message, None)
}

fn no_listener(
    parent: &str,
    reference: &ParentReference,
    listeners: &[(Arc<ListenerView>, bool)],
) -> (Code, String, Option<String>) {
    let mut what = Vec::new();
    if let Some(section) = &reference.section_name {
        what.push(format!("with the name {section}"));
    }
    if let Some(port) = reference.port {
        what.push(format!("on port {port}"));
    }
    let message = if what.is_empty() {
        format!("{parent} has no listeners that are admitted")
    } else {
        format!("{parent} has no listener {}", what.join(" "))
    };
    let names = listeners.iter().map(|(view, _)| &*view.id.name);
    let hint = reference.section_name.as_ref().and_then(|section| nearest(section, names));
    (Code::NoMatchingParent, message, hint)
}

pub(crate) fn is_served(route: RouteType, capabilities: Capabilities) -> bool {
    match route {
        RouteType::Http => capabilities.http || capabilities.https,
        RouteType::Grpc => capabilities.grpc,
        RouteType::Tls => capabilities.tls_passthrough || capabilities.tls_terminate,
        RouteType::Tcp => capabilities.tcp,
        RouteType::Udp => capabilities.udp,
    }
}
