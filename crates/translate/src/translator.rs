//! Translation as a whole, and its increments: a cache by equality of inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::{GrpcRoute, HttpRoute, ObjectName, TcpRoute, TlsRoute, UdpRoute};
use ir::{IrSet, ListenerId, ObjectRef, Protocol};

use crate::certificate::Store;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Target};
use crate::finish::{Facts, GatewayFrame, run};
use crate::gateways::build::{build, keep_used};
use crate::gateways::class::Classes;
use crate::gateways::{self, Gateways, provisioned};
use crate::kinds::{RouteType, object_ref, seniority, whole};
use crate::plan::Plan;
use crate::policy::{Users, backend_tls, telemetry, traffic};
use crate::refs;
use crate::routes::inputs::{ListenerView, Parents, RouteInputs, gateways_by_listener, gather};
use crate::routes::{Entity, Lower, Lowered, lower};
use crate::settings::{Placement, Settings};
use crate::snapshot::{ObjMap, Snapshot};
use crate::status::Statuses;
use crate::world::World;
use crate::x_backend;

/// What a snapshot means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Translation {
    /// What data planes execute.
    pub ir: IrSet,
    /// Statuses of every object that is ours, with nothing known about running yet: see
    /// [`crate::finish()`].
    pub statuses: Statuses,
    /// Every finding, grouped by object: classes, Gateways with their listeners, ListenerSets,
    /// routes, policies, Services.
    pub diagnostics: Vec<Diagnostic>,
    /// HTTPRoutes and GRPCRoutes that no serving listener accepted, lowered all the same: lint
    /// looks at their rules.
    pub unattached: BTreeMap<Arc<ObjectRef>, Arc<ir::HttpRoute>>,
    /// With [`crate::settings::Placement::Provisioned`]: every Gateway of ours, and what to
    /// make for it. `None` leaves as it is what was made before.
    pub plans: BTreeMap<Arc<ObjectRef>, Option<Plan>>,
    pub(crate) frames: Vec<GatewayFrame>,
}

/// The one translation. Total, pure and deterministic.
pub fn translate(snapshot: &Snapshot, settings: &Settings) -> Translation {
    Translator::default().update(snapshot, settings)
}

/// [`translate`] with a memory: routes whose inputs did not change are not lowered again.
#[derive(Debug, Default)]
pub struct Translator {
    /// What the routes saw around them at the last update.
    surroundings: Option<(Settings, Snapshot)>,
    certificates: Store,
    views: BTreeMap<ListenerId, Arc<ListenerView>>,
    http: Cache<HttpRoute>,
    grpc: Cache<GrpcRoute>,
    tls: Cache<TlsRoute>,
    tcp: Cache<TcpRoute>,
    udp: Cache<UdpRoute>,
    lowered: usize,
}

type Cache<R> = BTreeMap<ObjectName, Entry<R>>;

#[derive(Debug)]
struct Entry<R> {
    route: Arc<R>,
    inputs: RouteInputs,
    lowered: Arc<Lowered>,
}

impl Translator {
    /// The same as [`translate`], faster when little changed since the last call.
    pub fn update(&mut self, snapshot: &Snapshot, settings: &Settings) -> Translation {
        let surroundings = (settings.clone(), snapshot.without_routes());
        let known = self.surroundings.take();
        let kept = |known: &Settings| {
            (known.capabilities, known.namespace_patterns_bytes_max)
                == (settings.capabilities, settings.namespace_patterns_bytes_max)
        };
        if !known.as_ref().is_some_and(|(known, _)| kept(known)) {
            *self = Self::default();
        }
        let same_surroundings = known.as_ref() == Some(&surroundings);
        self.surroundings = Some(surroundings);
        self.lowered = 0;
        let mut world = World::new(snapshot, settings);
        world.identities = x_backend::identities(&world, &mut self.certificates);
        let classes = Classes::new(&world);
        let mut gateways = gateways::lower(&world, &classes, &mut self.certificates);
        self.certificates.turn();
        let routes = self.routes(&world, &gateways, same_surroundings);
        let mut certificates = std::mem::take(&mut gateways.certificates);
        let shown = world.identities.values().filter_map(|shown| shown.as_ref().ok()?.as_ref());
        certificates.extend(shown.map(|shown| (shown.id.clone(), Arc::clone(shown))));
        let mut translation = collect(&world, classes, &gateways, &routes);
        keep_used(&mut translation.ir, certificates, world.trust.bundles());
        translation
    }

    /// How many routes the last call lowered anew.
    pub fn lowered_routes(&self) -> usize {
        self.lowered
    }

    fn routes(
        &mut self,
        world: &World<'_>,
        gateways: &Gateways<'_>,
        same_surroundings: bool,
    ) -> Vec<Arc<Lowered>> {
        let parents = Parents::new(gateways, &mut self.views);
        let snapshot = world.snapshot;
        let patterns = BTreeMap::new();
        let mut round = Round { world, parents, same_surroundings, lowered: 0, patterns };
        round.refresh(&snapshot.grpc_routes, &mut self.grpc);
        round.refresh(&snapshot.http_routes, &mut self.http);
        round.refresh(&snapshot.tcp_routes, &mut self.tcp);
        round.refresh(&snapshot.tls_routes, &mut self.tls);
        round.refresh(&snapshot.udp_routes, &mut self.udp);
        let refused =
            over_budget(&self.grpc, &self.http, world.settings.namespace_patterns_bytes_max);
        round.settle(&mut self.grpc, &refused);
        round.settle(&mut self.http, &refused);
        self.lowered = round.lowered;
        let mut all = Vec::new();
        all.extend(self.grpc.values().map(|entry| Arc::clone(&entry.lowered)));
        all.extend(self.http.values().map(|entry| Arc::clone(&entry.lowered)));
        all.extend(self.tcp.values().map(|entry| Arc::clone(&entry.lowered)));
        all.extend(self.tls.values().map(|entry| Arc::clone(&entry.lowered)));
        all.extend(self.udp.values().map(|entry| Arc::clone(&entry.lowered)));
        all
    }
}

/// A route by age, and the memory of its regular expressions.
type Weighed<'n> = ((i64, &'n ObjectName), RouteType, usize);

fn weighed<R: Lower>(cache: &Cache<R>) -> impl Iterator<Item = Weighed<'_>> {
    cache.iter().filter(|(_, entry)| entry.lowered.pattern_bytes > 0).map(|(name, entry)| {
        (seniority(entry.route.meta(), name), R::TYPE, entry.lowered.pattern_bytes)
    })
}

/// The routes whose regular expressions do not fit into the budget of their namespace; the oldest
/// routes come first.
fn over_budget(
    grpc: &Cache<GrpcRoute>,
    http: &Cache<HttpRoute>,
    bytes_max: usize,
) -> BTreeSet<(RouteType, ObjectName)> {
    let mut namespaces: BTreeMap<&str, Vec<Weighed<'_>>> = BTreeMap::new();
    for one in weighed(grpc).chain(weighed(http)) {
        namespaces.entry(&one.0.1.namespace).or_default().push(one);
    }
    let mut refused = BTreeSet::new();
    for routes in namespaces.values_mut() {
        routes.sort_unstable();
        let mut total = 0_usize;
        for ((_, name), kind, bytes) in routes {
            let with = total.saturating_add(*bytes);
            if with > bytes_max {
                refused.insert((*kind, name.clone()));
            } else {
                total = with;
            }
        }
    }
    refused
}

/// One update of all routes.
struct Round<'a, 'w> {
    world: &'a World<'w>,
    parents: Parents<'a>,
    /// Nothing but routes differs from the last update.
    same_surroundings: bool,
    /// How many routes were lowered.
    lowered: usize,
    /// What the regular expressions take that are held, by namespace.
    patterns: BTreeMap<Arc<str>, usize>,
}

impl Round<'_, '_> {
    /// Lowers the routes of one kind, as far as they or their inputs changed. Old and new routes
    /// are walked side by side, since both are in the order of their names.
    fn refresh<R: Lower>(&mut self, routes: &ObjMap<R>, cache: &mut Cache<R>) {
        let mut old = std::mem::take(cache).into_iter().peekable();
        let mut entries = Vec::with_capacity(routes.len());
        for (name, route) in routes {
            while old.next_if(|(other, _)| other < name).is_some() {}
            let before = old.next_if(|(other, _)| other == name).map(|(_, entry)| entry);
            let entry = self.entry(name, route, before);
            if entry.lowered.pattern_bytes > 0 && !entry.inputs.over_budget {
                let held = self.patterns.entry(Arc::clone(&name.namespace)).or_default();
                *held = held.saturating_add(entry.lowered.pattern_bytes);
            }
            entries.push((name.clone(), entry));
        }
        *cache = entries.into_iter().collect();
    }

    /// Lowers those routes again whose regular expressions were left out and now fit, or the
    /// other way round.
    fn settle<R: Lower>(
        &mut self,
        cache: &mut Cache<R>,
        refused: &BTreeSet<(RouteType, ObjectName)>,
    ) {
        for (name, entry) in cache.iter_mut().filter(|(_, e)| e.lowered.pattern_bytes > 0) {
            let over_budget = refused.contains(&(R::TYPE, name.clone()));
            if entry.inputs.over_budget != over_budget {
                entry.inputs.over_budget = over_budget;
                let object = Arc::clone(entry.lowered.object());
                entry.lowered = self.lower(object, &*entry.route, &entry.inputs);
            }
        }
    }

    fn lower<R: Lower>(
        &mut self,
        object: Arc<ObjectRef>,
        route: &R,
        inputs: &RouteInputs,
    ) -> Arc<Lowered> {
        self.lowered = self.lowered.saturating_add(1);
        Arc::new(lower(object, route, inputs, self.world.settings))
    }

    /// Whether a namespace holds so much that a route is measured before it is taken in.
    fn is_full(&self, namespace: &str) -> bool {
        let held = self.patterns.get(namespace).copied().unwrap_or_default();
        held > self.world.settings.namespace_patterns_bytes_max
    }

    fn entry<R: Lower>(
        &mut self,
        name: &ObjectName,
        route: &Arc<R>,
        before: Option<Entry<R>>,
    ) -> Entry<R> {
        let before = match before {
            Some(entry) if self.same_surroundings && Arc::ptr_eq(&entry.route, route) => {
                return entry;
            }
            before => before,
        };
        let object = before.as_ref().map(|entry| Arc::clone(entry.lowered.object()));
        let object = object.unwrap_or_else(|| object_ref::<R>(name));
        let mut inputs = gather(self.world, &self.parents, &object, &**route);
        inputs.over_budget = match &before {
            Some(entry) => entry.inputs.over_budget,
            None => self.is_full(&name.namespace),
        };
        let kept = before.filter(|entry| {
            entry.inputs == inputs && (Arc::ptr_eq(&entry.route, route) || entry.route == *route)
        });
        let lowered = match kept {
            Some(entry) => entry.lowered,
            None => self.lower(object, &**route, &inputs),
        };
        Entry { route: Arc::clone(route), inputs, lowered }
    }
}

fn collect(
    world: &World<'_>,
    classes: Classes<'_>,
    gateways: &Gateways<'_>,
    routes: &[Arc<Lowered>],
) -> Translation {
    let mut translation = Translation::default();
    let Translation { ir, statuses, diagnostics, unattached, plans, frames } = &mut translation;
    classes.finish(world, diagnostics, statuses);
    diagnostics.extend(gateways.asides.iter().cloned());
    let mut attached: BTreeMap<ListenerId, u32> = BTreeMap::new();
    for listener in routes.iter().flat_map(|route| &route.accepted_by) {
        let count = attached.entry(listener.clone()).or_default();
        *count = count.saturating_add(1);
    }
    for work in &gateways.works {
        build(work, ir);
        if world.settings.placement == Placement::Provisioned {
            plans.insert(Arc::clone(&work.object), provisioned::plan(work));
        }
        let sets = work.sets.iter();
        diagnostics.extend(work.findings.iter().cloned());
        diagnostics.extend(work.listeners.iter().flat_map(|l| l.findings.iter().cloned()));
        for set in sets {
            diagnostics.extend(set.findings.iter().cloned());
            diagnostics.extend(set.listeners.iter().flat_map(|l| l.findings.iter().cloned()));
        }
        let frame = GatewayFrame::new(work, &attached);
        run(&frame, &Facts::default(), statuses, &mut Vec::new());
        frames.push(frame);
    }
    diagnostics.extend(routes.iter().flat_map(|route| route.findings.iter().cloned()));
    place(routes, ir, unattached, statuses);
    only_oldest(ir, diagnostics);
    judge_policies(world, gateways, routes, diagnostics, statuses);
    diagnostics.extend(refs::service_settings(world));
    translation
}

/// Routes come in the order of their references, so that each map is built in one go.
fn place(
    routes: &[Arc<Lowered>],
    ir: &mut IrSet,
    unattached: &mut BTreeMap<Arc<ObjectRef>, Arc<ir::HttpRoute>>,
    statuses: &mut Statuses,
) {
    let (mut attached, mut idle, mut l4) = (Vec::new(), Vec::new(), Vec::new());
    for route in routes {
        let object = Arc::clone(route.object());
        match &route.entity {
            Entity::Http(entity) if entity.attachments.is_empty() => {
                idle.push((object, Arc::clone(entity)));
            }
            Entity::Http(entity) => attached.push((object, Arc::clone(entity))),
            Entity::L4(entity) if entity.attachments.is_empty() => {}
            Entity::L4(entity) => l4.push((object, Arc::clone(entity))),
        }
    }
    ir.http_routes = attached.into_iter().collect();
    ir.l4_routes = l4.into_iter().collect();
    *unattached = idle.into_iter().collect();
    let own = routes.iter().filter_map(|route| {
        let status = route.status.as_ref()?;
        Some((Arc::clone(route.object()), Arc::clone(status)))
    });
    // The few into the many: appending inserts one by one.
    let mut all: Statuses = own.collect();
    all.append(statuses);
    *statuses = all;
}

/// A TCP or UDP listener cannot tell routes apart: only the oldest keeps its attachment.
fn only_oldest(ir: &mut IrSet, diagnostics: &mut Vec<Diagnostic>) {
    let mut oldest: BTreeMap<ListenerId, (i64, Arc<ObjectRef>)> = BTreeMap::new();
    let undivided = |ir: &IrSet, id: &ListenerId| {
        ir.listeners.get(id).is_some_and(|listener| match listener.protocol {
            Protocol::Tcp | Protocol::Udp => true,
            Protocol::Http
            | Protocol::Https(_)
            | Protocol::TlsPassthrough
            | Protocol::TlsTerminate(_) => false,
        })
    };
    let age = |route: &ir::L4Route| {
        let name = (Arc::clone(&route.object.namespace), Arc::clone(&route.object.name));
        (route.created.unwrap_or(i64::MAX), name)
    };
    for route in ir.l4_routes.values() {
        for attachment in route.attachments.iter().filter(|a| undivided(ir, &a.listener)) {
            let first =
                oldest.get(&attachment.listener).and_then(|(_, object)| ir.l4_routes.get(object));
            if first.is_none_or(|first| age(route) < age(first)) {
                let entry = (age(route).0, Arc::clone(&route.object));
                oldest.insert(attachment.listener.clone(), entry);
            }
        }
    }
    let losers: Vec<Arc<ir::L4Route>> = ir
        .l4_routes
        .values()
        .filter(|route| {
            let lost = |id| oldest.get(id).is_some_and(|(_, first)| *first != route.object);
            route.attachments.iter().any(|attachment| lost(&attachment.listener))
        })
        .cloned()
        .collect();
    for route in losers {
        let mut kept = (*route).clone();
        kept.attachments.retain(|attachment| {
            let first = oldest.get(&attachment.listener).map(|(_, first)| first);
            let Some(first) = first.filter(|first| **first != route.object) else { return true };
            let message = format!(
                "listener {} serves the older {first}; this route gets no traffic there",
                attachment.listener.name
            );
            diagnostics.push(
                Diagnostic::new(
                    Code::RouteNotOldest,
                    whole(&route.object),
                    Target::Nothing,
                    message,
                )
                .with_related(whole(first), "the older route"),
            );
            false
        });
        if kept.attachments.is_empty() {
            ir.l4_routes.remove(&route.object);
        } else {
            ir.l4_routes.insert(Arc::clone(&route.object), Arc::new(kept));
        }
    }
}

/// The Gateways that send traffic to a backend.
fn users(gateways: &Gateways<'_>, routes: &[Arc<Lowered>]) -> Users {
    let by_listener = gateways_by_listener(&gateways.works);
    let mut users = Users::new();
    for work in &gateways.works {
        for backend in work.all_listeners().flat_map(|listener| &listener.filter_backends) {
            users.entry(Arc::clone(backend)).or_default().insert(Arc::clone(&work.object));
        }
    }
    for route in routes {
        let own = route.accepted_by.iter().filter_map(|listener| by_listener.get(listener));
        let own: BTreeSet<&Arc<ObjectRef>> = own.collect();
        for backend in route.backends.iter().filter(|_| !own.is_empty()) {
            users.entry(Arc::clone(backend)).or_default().extend(own.iter().copied().cloned());
        }
    }
    users
}

/// Findings and statuses of policies and backends, which depend on who uses what.
fn judge_policies(
    world: &World<'_>,
    gateways: &Gateways<'_>,
    routes: &[Arc<Lowered>],
    findings: &mut Vec<Diagnostic>,
    statuses: &mut Statuses,
) {
    let Snapshot { backend_tls_policies, x_backends, x_backend_traffic_policies, .. } =
        world.snapshot;
    let users = if backend_tls_policies.is_empty()
        && x_backends.is_empty()
        && x_backend_traffic_policies.is_empty()
    {
        Users::new()
    } else {
        users(gateways, routes)
    };
    backend_tls::judge(world, &users, findings, statuses);
    x_backend::judge(world, &users, findings, statuses);
    traffic::judge(world, &users, findings, statuses);
    let ours = gateways.works.iter().map(|work| Arc::clone(&work.object)).collect();
    telemetry::judge(world, &ours, findings, statuses);
}
