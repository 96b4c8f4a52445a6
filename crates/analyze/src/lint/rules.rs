//! Rules that never run, from what [`super::shadow`] knows about their matches.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::{ParentReference, Route as _};
use ir::{
    Attachment, BindAddress, ConnectionSettings, HostPattern, HttpRoute, HttpSettings, IrSet,
    Listener, ListenerId, ListenerIndex, Match, ObjectRef, Origin, Protocol, Revision, RouteKind,
    Rule, RuleEntry, Table, assemble,
};
use translate::{Code, Snapshot, Translation};

use super::{
    Finding, attachments,
    shadow::{Death, Placement, placements},
};
use crate::explain::words::conditions;

/// Findings about the rules of every route, attached or not.
pub(super) fn findings(snapshot: &Snapshot, translation: &Translation, out: &mut Vec<Finding>) {
    let served = assemble(&translation.ir, Revision::default(), None);
    judge(snapshot, &served, out);
    for set in unattached(snapshot, translation) {
        judge(snapshot, &assemble(&set, Revision::default(), None), out);
    }
}

/// Routes that no listener accepted, by the parents they ask for: those of equal parents would
/// meet at the same listener.
fn unattached(snapshot: &Snapshot, translation: &Translation) -> Vec<IrSet> {
    let mut sets: BTreeMap<Vec<ParentReference>, IrSet> = BTreeMap::new();
    for (object, route) in &translation.unattached {
        let name = api::ObjectName::new(Arc::clone(&object.namespace), Arc::clone(&object.name));
        let (parents, hostnames) = match route.kind {
            RouteKind::Http => match snapshot.http_routes.get(&name) {
                Some(route) => (route.parent_refs(), route.hostnames()),
                None => continue,
            },
            RouteKind::Grpc => match snapshot.grpc_routes.get(&name) {
                Some(route) => (route.parent_refs(), route.hostnames()),
                None => continue,
            },
        };
        let mut parents: Vec<ParentReference> = parents.to_vec();
        for parent in &mut parents {
            parent.namespace = Some(parent.namespace(&object.namespace).into());
        }
        parents.sort();
        let set = sets.entry(parents).or_default();
        let listener = stand_in();
        let hosts = if hostnames.is_empty() {
            vec![None]
        } else {
            hostnames.iter().map(|text| Some(HostPattern::new(text))).collect()
        };
        let attachments = vec![Attachment { listener: listener.id.clone(), hosts }];
        let route = HttpRoute { attachments, ..HttpRoute::clone(route) };
        set.listeners.insert(listener.id.clone(), Arc::new(listener));
        set.http_routes.insert(Arc::clone(object), Arc::new(route));
    }
    sets.into_values().collect()
}

/// A listener that takes everything; it is never named in a finding.
fn stand_in() -> Listener {
    let owner = Arc::new(ObjectRef::new("", "Gateway", "", ""));
    Listener {
        id: ListenerId { owner: Arc::clone(&owner), name: "".into() },
        origin: Origin::new(Arc::clone(&owner), ""),
        gateway: owner,
        addresses: vec![BindAddress::Any],
        port: 80,
        bind_port: 80,
        protocol: Protocol::Http,
        hostname: None,
        http: HttpSettings { keep_empty_segments: true, ..HttpSettings::default() },
        connection: ConnectionSettings::default(),
        filters: Vec::new(),
    }
}

/// A rule of a route, wherever it is served.
type Key<'t> = (&'t Arc<ObjectRef>, u32);

#[derive(Default)]
struct Fate<'t> {
    rule: Option<&'t Rule>,
    /// By position in the rule's matches: each place with what keeps it from winning.
    matches: BTreeMap<usize, Vec<Option<&'t Death>>>,
}

fn judge(snapshot: &Snapshot, table: &Table, out: &mut Vec<Finding>) {
    let placed = placements(table);
    let mut fates: BTreeMap<Key<'_>, Fate<'_>> = BTreeMap::new();
    for (Placement { rule, match_index, .. }, death) in &placed {
        let Some(entry) = table.rule(*rule) else { continue };
        let fate = fates.entry((&entry.route.object, entry.rule.index)).or_default();
        fate.rule = Some(&entry.rule);
        fate.matches.entry(*match_index).or_default().push(death.as_ref());
    }
    for (key, fate) in &fates {
        let Some(rule) = fate.rule else { continue };
        Judge { table, key: *key, rule }.findings(fate, out);
    }
    lost_hosts(snapshot, table, &placed, out);
}

struct Judge<'t> {
    table: &'t Table,
    key: Key<'t>,
    rule: &'t Rule,
}

impl<'t> Judge<'t> {
    fn findings(&self, fate: &Fate<'t>, out: &mut Vec<Finding>) {
        let dead = |places: &Vec<Option<&'t Death>>| places.iter().all(|one| self.kills(*one));
        let number = self.rule.index.saturating_add(1);
        if fate.matches.values().all(dead) {
            let deaths: Vec<&Death> = fate.matches.values().flatten().flatten().copied().collect();
            // Losing to another listener everywhere is told of the hostnames.
            if deaths.iter().any(|death| !matches!(death, Death::OtherListener(_))) {
                let what = format!("rule {number}");
                let origin = self.rule.origin.clone();
                out.push(self.finding(&what, origin, &deaths).with_effect("the rule never runs"));
            }
            return;
        }
        for (position, places) in &fate.matches {
            let Some(matched) = self.rule.matches.get(*position) else { continue };
            let deaths: Vec<&Death> = places.iter().flatten().copied().collect();
            if dead(places) && deaths.iter().any(|d| !matches!(d, Death::OtherListener(_))) {
                let what = format!("match {} of rule {number}", position.saturating_add(1));
                out.push(self.finding(&what, matched.origin.clone(), &deaths));
            } else if let Some(twin) = self.twin(places) {
                let message = format!(
                    "match {} of rule {number} says the same as an earlier match of the rule; remove it",
                    position.saturating_add(1)
                );
                out.push(
                    Finding::new(Code::DuplicateMatch, matched.origin.clone(), message)
                        .with_related(twin.origin.clone(), "the same match is here"),
                );
            }
        }
    }

    /// A place where another rule, another listener or nobody at all gets the requests.
    fn kills(&self, death: Option<&Death>) -> bool {
        match death {
            None => false,
            Some(Death::OtherListener(_) | Death::Impossible(_)) => true,
            Some(Death::Covered { by, .. }) => {
                self.entry(by).is_some_and(|other| self.is_other(other))
            }
        }
    }

    fn is_other(&self, other: &RuleEntry) -> bool {
        (&other.route.object, other.rule.index) != self.key
    }

    fn entry(&self, placement: &Placement) -> Option<&'t Arc<RuleEntry>> {
        self.table.rule(placement.rule)
    }

    fn matched(&self, placement: &Placement) -> Option<&'t Match> {
        self.entry(placement)?.rule.matches.get(placement.match_index)
    }

    /// The earlier match of the same rule that says the same everywhere.
    fn twin(&self, places: &[Option<&'t Death>]) -> Option<&'t Match> {
        let mut twins = places.iter().map(|death| match death {
            Some(Death::Covered { by, same: true }) => self.matched(by),
            Some(Death::Covered { .. } | Death::OtherListener(_) | Death::Impossible(_)) | None => {
                None
            }
        });
        let first = twins.next()??;
        twins.all(|twin| twin.is_some()).then_some(first)
    }

    fn finding(&self, what: &str, origin: Origin, deaths: &[&'t Death]) -> Finding {
        let mut covers: Vec<(&Arc<RuleEntry>, &Match, bool)> = Vec::new();
        let mut impossible: Option<&str> = None;
        for death in deaths {
            match death {
                Death::Covered { by, same } => {
                    let found = self.entry(by).zip(self.matched(by));
                    covers.extend(found.map(|(entry, matched)| (entry, matched, *same)));
                }
                Death::Impossible(why) => impossible = impossible.or(Some(why)),
                Death::OtherListener(_) => {}
            }
        }
        let Some((entry, _, _)) = covers.first() else {
            let why = impossible.unwrap_or("no request can fulfil it");
            return Finding::new(
                Code::RuleUnreachable,
                origin,
                format!("{what} never runs: {why}"),
            );
        };
        let who = if entry.route.object == *self.key.0 {
            format!("rule {} of the same route", entry.rule.index.saturating_add(1))
        } else {
            format!("rule {} of {}", entry.rule.index.saturating_add(1), entry.route.object)
        };
        let same = covers.iter().all(|(_, _, same)| *same);
        let (code, message) = if same {
            let message = format!("{what} never wins: {who} has the same match and comes first");
            (Code::DuplicateMatch, message)
        } else {
            let message = format!("{what} never wins: {who} takes all of its requests first");
            (Code::RuleShadowed, message)
        };
        let mut finding = Finding::new(code, origin, message)
            .with_hint("make the earlier match narrower, or remove this one");
        let mut named: BTreeSet<&Origin> = BTreeSet::new();
        for (entry, matched, _) in covers {
            if named.insert(&matched.origin) {
                let words = conditions(entry.route.kind, matched);
                let why = format!("this match comes first: {words}");
                finding = finding.with_related(matched.origin.clone(), why);
            }
        }
        finding
    }
}

/// A hostname of a route.
type Hosted<'t> = (&'t Arc<ObjectRef>, Option<&'t HostPattern>);

/// A rule of the route, and the listeners that it is at and that gets its requests instead.
type Lost<'t> = (&'t RuleEntry, Option<(ListenerIndex, ListenerIndex)>);

/// Hostnames of routes whose requests a more specific listener gets, at which the route is not.
fn lost_hosts(
    snapshot: &Snapshot,
    table: &Table,
    placed: &BTreeMap<Placement, Option<Death>>,
    out: &mut Vec<Finding>,
) {
    let mut lost: BTreeMap<Hosted<'_>, Lost<'_>> = BTreeMap::new();
    for (Placement { rule, host, .. }, death) in placed {
        let Some(entry) = table.rule(*rule) else { continue };
        let taken = match death {
            Some(Death::OtherListener(by)) => Some((entry.listener, *by)),
            Some(Death::Covered { .. } | Death::Impossible(_)) | None => None,
        };
        let known = lost.entry((&entry.route.object, host.as_ref())).or_insert((entry, taken));
        // One place that is not lost is enough.
        known.1 = known.1.and(taken);
    }
    for ((object, host), (entry, taken)) in lost {
        let (Some(host), Some((own, by))) = (host, taken) else { continue };
        let (Some(own), Some(by)) = (table.listener(own), table.listener(by)) else { continue };
        let field = attachments::hostname_field(snapshot, &entry.route, host);
        let message = format!(
            "no request for {host} arrives: the route is attached to listener {}, but listener {} of the port takes the host",
            own.listener.id.name, by.listener.id.name
        );
        out.push(
            Finding::new(Code::RuleUnreachable, Origin::new(Arc::clone(object), field), message)
                .with_related(
                    by.listener.origin.child("hostname"),
                    "this listener is more specific",
                )
                .with_hint(format!("attach the route to listener {}", by.listener.id.name)),
        );
    }
}
