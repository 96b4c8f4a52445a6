//! Gateways that are served by pods of their own: what each is told over the link, and what its
//! pods answer.
//!
//! A pod gets the slice of the configuration that is its Gateway's. Only the leader makes pods and
//! tells them anything; another controller sends them to it.

mod authority;
mod pods;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use api::{ObjectName, Routing, Service};
use ir::{EndpointMap, IrSet, ObjectRef, Revision};
use kube::Client;
use link::{Config, Event, GatewayUid, Role, Server, ServerError, ServerOptions};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use translate::snapshot::ObjMap;
use translate::{Facts, Snapshot, Translation};

use crate::leader::Leadership;
use crate::limits::RECONNECT_PATIENCE;
use crate::plane::{DataPlane, Publication};
use crate::provision::{self, Order, Orders, Provisioner, Report, Reports};

pub use authority::KeepError;
use authority::Keeper;
use pods::Pods;

/// What is needed to serve pods.
#[derive(Clone, Debug)]
pub struct RemoteOptions {
    /// Where proxies are listened to.
    pub listen: SocketAddr,
    /// Where the Secret with the link's authority is.
    pub namespace: String,
    pub provision: provision::Settings,
}

/// Why pods cannot be served.
#[derive(Debug, Error)]
pub enum RemoteError {
    #[error(transparent)]
    Authority(#[from] KeepError),
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// The data planes in pods.
pub struct Remote {
    server: Server,
    events: mpsc::Receiver<Event>,
    provisioner: Provisioner,
    reports: watch::Receiver<Arc<Reports>>,
    keeper: Keeper,
    leading: bool,
    /// Since when.
    since: Instant,
    gateways: BTreeMap<Arc<ObjectRef>, Pods>,
    orders: Orders,
    /// For Gateways whose backends are reached by their Services.
    services: ObjMap<Service>,
    /// As published last, for all Gateways.
    endpoints: Arc<EndpointMap>,
}

impl Remote {
    /// Starts to listen to proxies; nothing is told or made before this controller leads.
    ///
    /// # Errors
    /// When the port cannot be bound, or the authority can neither be read nor made.
    pub async fn start(client: Client, options: RemoteOptions) -> Result<Self, RemoteError> {
        let keeper = Keeper::start(client.clone(), &options.namespace).await?;
        let role = Role::Follower { leader: None };
        let authority = keeper.authority();
        let listening = ServerOptions { listen: options.listen, authority, role };
        let (server, events) = Server::start(listening).await?;
        let provisioner = Provisioner::start(client, options.provision, keeper.identities());
        let reports = provisioner.reports();
        Ok(Self {
            server,
            events,
            provisioner,
            reports,
            keeper,
            leading: false,
            since: Instant::now(),
            gateways: BTreeMap::new(),
            orders: Orders::new(),
            services: ObjMap::new(),
            endpoints: Arc::default(),
        })
    }

    /// The Gateways of now, each with its pods; those that are gone are sent away.
    fn follow_gateways(&mut self, orders: &Orders) {
        let uid = |order: &Order| GatewayUid::new(order.gateway.metadata.uid.as_deref()?);
        self.gateways.retain(|gateway, pods| {
            let stays = orders.get(gateway).and_then(uid).as_ref() == Some(&pods.uid);
            if !stays {
                self.server.retract(&pods.uid);
            }
            stays
        });
        for (gateway, order) in orders {
            if let Some(uid) = uid(order) {
                self.gateways.entry(Arc::clone(gateway)).or_insert_with(|| Pods::new(uid));
            }
        }
    }

    /// The endpoints of one Gateway's clusters.
    fn endpoints_of(&self, gateway: &ObjectRef, ir: &IrSet) -> Arc<EndpointMap> {
        let plan = self.orders.get(gateway).and_then(|order| order.plan.as_ref());
        let by_service = plan.is_some_and(|plan| plan.routing() == Routing::Service);
        let wanted = translate::endpoints::wanted(ir).into_iter().map(|key| {
            let pods = self.endpoints.get(&key).cloned().unwrap_or_default();
            let name =
                ObjectName::new(Arc::clone(&key.backend.namespace), Arc::clone(&key.backend.name));
            let service = (by_service && &*key.backend.kind == "Service")
                .then(|| self.services.get(&name))
                .flatten();
            let set = match service {
                Some(service) => translate::endpoints::through_service(service, key.port, &pods)
                    .map_or(pods, Arc::new),
                None => pods,
            };
            (key, set)
        });
        Arc::new(wanted.collect())
    }

    fn tell(&mut self, gateway: &Arc<ObjectRef>, ir: Arc<IrSet>, revision: Revision) {
        let endpoints = self.endpoints_of(gateway, &ir);
        let Some(pods) = self.gateways.get_mut(gateway) else { return };
        let revision = pods.next(revision);
        let config = Config { revision, ir: Arc::clone(&ir), endpoints: Arc::clone(&endpoints) };
        match self.server.publish(&pods.uid, config) {
            Ok(()) => pods.told(ir, endpoints, revision),
            Err(error) => {
                tracing::error!(%gateway, %error, "the configuration cannot be sent");
                pods.refused = Some(error.to_string());
            }
        }
    }

    /// Takes in what a pod told; `false` when nothing follows from it.
    fn take(&mut self, event: Event) -> bool {
        let uid = match &event {
            Event::Connected { gateway, .. }
            | Event::Acked { gateway, .. }
            | Event::Refused { gateway, .. }
            | Event::Disconnected { gateway, .. } => gateway.clone(),
        };
        let Some((gateway, pods)) = self.gateways.iter_mut().find(|(_, pods)| pods.uid == uid)
        else {
            return false;
        };
        let again = pods.take(event);
        if let (true, Some(ir)) = (again, pods.ir()) {
            let (gateway, revision) = (Arc::clone(gateway), pods.revision());
            self.tell(&gateway, ir, revision);
        }
        true
    }
}

impl DataPlane for Remote {
    async fn publish(&mut self, publication: Publication<'_>) {
        self.endpoints = Arc::clone(publication.endpoints);
        let gateways: Vec<Arc<ObjectRef>> = self.gateways.keys().cloned().collect();
        for gateway in gateways {
            let slice = Arc::new(publication.ir.for_gateway(&gateway));
            let Some(pods) = self.gateways.get(&gateway) else { continue };
            if pods.serves(&slice, publication.revision) {
                self.renew_endpoints(&gateway);
            } else {
                self.tell(&gateway, slice, publication.revision);
            }
        }
        if self.leading {
            self.server.set_role(Role::Leader);
        }
    }

    async fn publish_endpoints(&mut self, endpoints: &Arc<EndpointMap>) {
        self.endpoints = Arc::clone(endpoints);
        let gateways: Vec<Arc<ObjectRef>> = self.gateways.keys().cloned().collect();
        for gateway in gateways {
            self.renew_endpoints(&gateway);
        }
    }

    fn translated(&mut self, translation: &Translation, snapshot: &Snapshot) {
        let order = |(gateway, plan): (&Arc<ObjectRef>, &Option<translate::Plan>)| {
            let name = ObjectName::new(Arc::clone(&gateway.namespace), Arc::clone(&gateway.name));
            let object = Arc::clone(snapshot.gateways.get(&name)?);
            Some((Arc::clone(gateway), Order { gateway: object, plan: plan.clone() }))
        };
        let orders: Orders = translation.plans.iter().filter_map(order).collect();
        self.follow_gateways(&orders);
        self.services = snapshot.services.clone();
        self.orders = orders;
        if self.leading {
            self.provisioner.order(self.orders.clone());
        }
    }

    async fn changed(&mut self) {
        loop {
            let patience = patience_ends(&self.gateways, &self.reports.borrow(), self.since);
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(event) => if self.take(event) { return },
                    None => std::future::pending().await,
                },
                () = tokio::time::sleep_until(patience.into()) => return,
                changed = self.reports.changed() => match changed {
                    Ok(()) => return,
                    Err(_) => std::future::pending().await,
                },
                () = self.keeper.due() => return,
            }
        }
    }

    async fn catch_up(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.take(event);
        }
        if let Some(authority) = self.keeper.maintain(self.leading).await
            && let Err(error) = self.server.set_authority(authority)
        {
            tracing::error!(%error, "the link's certificate cannot be renewed");
        }
    }

    fn facts(&self) -> Facts {
        let reports = self.reports.borrow().clone();
        let nothing = Report::default();
        let facts = |(gateway, pods): (&Arc<ObjectRef>, &Pods)| {
            let report = reports.get(gateway).unwrap_or(&nothing);
            (Arc::clone(gateway), pods.facts(report))
        };
        Facts { gateways: self.gateways.iter().map(facts).collect(), ..Facts::default() }
    }

    fn unsettled(&self) -> BTreeSet<Arc<ObjectRef>> {
        let (now, reports) = (Instant::now(), self.reports.borrow());
        let early = |(gateway, pods): &(&Arc<ObjectRef>, &Pods)| {
            let report = reports.get(*gateway);
            let facts = report.map(|report| pods.facts(report));
            !facts.is_some_and(|facts| facts.acknowledged || facts.obstacle.is_some())
                && pods.patience(report, self.since).is_some_and(|end| end > now)
        };
        self.gateways.iter().filter(early).map(|(gateway, _)| Arc::clone(gateway)).collect()
    }

    fn follow(&mut self, leadership: &Leadership) {
        if leadership.epoch.is_some() && !self.leading {
            self.since = Instant::now();
        }
        self.leading = leadership.epoch.is_some();
        self.keeper.look_soon();
        if self.leading {
            // Proxies are served once there is a configuration of ours for them.
            if !self.orders.is_empty() {
                self.provisioner.order(self.orders.clone());
            }
        } else {
            self.server.set_role(Role::Follower { leader: leadership.leader.clone() });
            self.provisioner.pause();
        }
    }
}

/// When the next Gateway must be judged, whatever its pods have told by then.
fn patience_ends(
    gateways: &BTreeMap<Arc<ObjectRef>, Pods>,
    reports: &Reports,
    since: Instant,
) -> Instant {
    let now = Instant::now();
    let ends =
        gateways.iter().filter_map(|(gateway, pods)| pods.patience(reports.get(gateway), since));
    ends.filter(|end| *end > now).min().unwrap_or(now + RECONNECT_PATIENCE)
}

impl Remote {
    fn renew_endpoints(&mut self, gateway: &Arc<ObjectRef>) {
        let Some(ir) = self.gateways.get(gateway).and_then(Pods::ir) else { return };
        let endpoints = self.endpoints_of(gateway, &ir);
        let Some(pods) = self.gateways.get_mut(gateway) else { return };
        if pods.has_endpoints(&endpoints) {
            return;
        }
        match self.server.publish_endpoints(&pods.uid, Arc::clone(&endpoints)) {
            Ok(()) => pods.told_endpoints(endpoints),
            Err(error) => tracing::error!(%gateway, %error, "the endpoints cannot be sent"),
        }
    }
}
