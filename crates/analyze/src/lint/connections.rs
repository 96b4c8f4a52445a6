//! TLSRoutes whose connections go elsewhere, and rules and routes without a backend.

use std::{collections::BTreeMap, sync::Arc};

use api::ObjectName;
use ir::{
    Action, FailReason, HostPattern, HttpRoute, IrSet, L4Route, Listener, ListenerTable, Origin,
    PortKind, PortTable, Revision, Table, assemble,
};
use translate::{Code, Snapshot, Translation};

use super::Finding;

/// A first label that nobody writes: the names of a wildcard that nothing else singles out.
const ANY_LABEL: &str = "any-other-name";

/// Hostnames of TLSRoutes that no connection reaches, at any listener of theirs.
pub(super) fn lost_names(set: &IrSet, snapshot: &Snapshot, out: &mut Vec<Finding>) {
    let table = assemble(set, Revision::default(), None);
    for route in set.l4_routes.values() {
        let mut fates: BTreeMap<&Option<HostPattern>, Vec<Option<Thief<'_>>>> = BTreeMap::new();
        for attachment in &route.attachments {
            let Some(listener) = table.listener_by_id(&attachment.listener) else { continue };
            if PortKind::of(&listener.listener.protocol) != PortKind::Tls {
                continue;
            }
            for host in &attachment.hosts {
                let fate = thief(&table, listener, route, host.as_ref());
                fates.entry(host).or_default().push(fate);
            }
        }
        for (host, fates) in fates {
            // One listener where it is reached is enough.
            let Some(Some(thief)) = fates.iter().find(|_| fates.iter().all(Option::is_some)) else {
                continue;
            };
            out.push(finding(route, host.as_ref(), thief, snapshot));
        }
    }
}

/// What gets the connections instead.
enum Thief<'t> {
    Listener {
        own: &'t Listener,
        other: &'t Listener,
    },
    /// With the hostname by which it takes them.
    Route(&'t L4Route, Option<&'t HostPattern>),
}

fn thief<'t>(
    table: &'t Table,
    listener: &'t ListenerTable,
    route: &L4Route,
    host: Option<&HostPattern>,
) -> Option<Thief<'t>> {
    let name = probe(host, listener.listener.hostname.as_ref());
    let port = port_of(table, listener)?;
    let taken = port.listener_for(&name)?;
    if taken.index != listener.index {
        return Some(Thief::Listener { own: &listener.listener, other: &taken.listener });
    }
    let other = &listener.l4_for(Some(&name))?.route;
    if other.object == route.object {
        return None;
    }
    let at_it = other.attachments.iter().filter(|one| one.listener == listener.listener.id);
    let hosts = at_it.flat_map(|one| one.hosts.iter().flatten());
    let taking = hosts.filter(|host| host.matches(&name));
    Some(Thief::Route(other, taking.max_by_key(|host| host.to_string().len())))
}

fn port_of<'t>(table: &'t Table, listener: &ListenerTable) -> Option<&'t PortTable> {
    let ports = table.ports.values().map(|port| &**port);
    ports.into_iter().find(|port| port.listeners().any(|one| one.index == listener.index))
}

/// A server name that both take, as ordinary as can be: who gets it gets all that is left of the
/// hostname when single names and narrower wildcards have had theirs.
fn probe(route: Option<&HostPattern>, listener: Option<&HostPattern>) -> String {
    let narrower = match (route, listener) {
        (Some(route), Some(listener)) if covers(route, listener) => Some(listener),
        (Some(route), _) => Some(route),
        (None, listener) => listener,
    };
    match narrower {
        Some(HostPattern::Exact(name)) => name.to_string(),
        Some(HostPattern::Wildcard(suffix)) => format!("{ANY_LABEL}{suffix}"),
        None => format!("{ANY_LABEL}.invalid"),
    }
}

fn covers(wide: &HostPattern, narrow: &HostPattern) -> bool {
    match (wide, narrow) {
        (HostPattern::Wildcard(wide), HostPattern::Wildcard(narrow)) => narrow.ends_with(&**wide),
        (wide, HostPattern::Exact(name)) => wide.matches(name),
        (HostPattern::Exact(_), HostPattern::Wildcard(_)) => false,
    }
}

fn finding(
    route: &L4Route,
    host: Option<&HostPattern>,
    thief: &Thief<'_>,
    snapshot: &Snapshot,
) -> Finding {
    let shown = host.map_or_else(|| "any name".to_owned(), ToString::to_string);
    let origin = hostname(snapshot, route, host);
    match thief {
        Thief::Listener { own, other } => {
            let message = format!(
                "no connection for {shown} arrives: the route is attached to listener {}, but \
                 listener {} of the port takes the name",
                own.id.name, other.id.name
            );
            Finding::new(Code::RuleUnreachable, origin, message)
                .with_related(other.origin.child("hostname"), "this listener is more specific")
                .with_hint(format!("attach the route to listener {}", other.id.name))
        }
        Thief::Route(other, by) => {
            let why = match by {
                Some(by) if Some(*by) != host => format!("has the more specific hostname {by}"),
                Some(_) | None => "has the same hostname and is older".to_owned(),
            };
            let message = format!("no connection for {shown} arrives: {} {why}", other.object);
            Finding::new(Code::RuleShadowed, origin, message)
                .with_related(hostname(snapshot, other, *by), "this route comes first")
        }
    }
}

/// The hostname as the route's object has it.
fn hostname(snapshot: &Snapshot, route: &L4Route, host: Option<&HostPattern>) -> Origin {
    let name = ObjectName::new(Arc::clone(&route.object.namespace), Arc::clone(&route.object.name));
    let written = snapshot.tls_routes.get(&name).map_or(&[][..], |route| &route.spec.hostnames);
    let position = written.iter().position(|text| Some(&HostPattern::new(text)) == host);
    let field = position
        .map_or_else(|| "spec.hostnames".to_owned(), |index| format!("spec.hostnames[{index}]"));
    Origin::new(Arc::clone(&route.object), field)
}

/// Rules that forward to nothing, of routes attached or not.
pub(super) fn without_backends(translation: &Translation, out: &mut Vec<Finding>) {
    let hint = "add a backendRef with a weight above 0";
    let attached = translation.ir.http_routes.values();
    for route in attached.chain(translation.unattached.values()) {
        let route: &HttpRoute = route;
        for rule in &route.rules {
            if let Action::Fail(FailReason::NoBackends) = &rule.action {
                let number = rule.index.saturating_add(1);
                let message = format!("rule {number} sends its requests to no backend");
                out.push(
                    Finding::new(Code::RuleWithoutBackend, rule.origin.clone(), message)
                        .with_effect("each request answers 500")
                        .with_hint(hint),
                );
            }
        }
    }
    for route in translation.ir.l4_routes.values() {
        if route.backends.iter().all(|backend| backend.weight == 0) {
            let message = "the route sends its connections to no backend";
            out.push(
                Finding::new(Code::RuleWithoutBackend, route.origin.clone(), message)
                    .with_effect("each connection is closed")
                    .with_hint(hint),
            );
        }
    }
}
