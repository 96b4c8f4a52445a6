//! The running controller: glue between `controller`, which knows the cluster, and whoever carries
//! the traffic.

mod inline;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::ExitCode,
    rc::Rc,
    sync::Arc,
};

use analyze::lint::Level;
use anyhow::{Context, Result};
use controller::{Cluster, Counters, LeaseOptions, Options, Remote, RemoteOptions, View};
use ir::Revision;
use source::Store;
use tokio::sync::watch;
use translate::{BackendAddresses, Capabilities, Placement, Settings};

use crate::{
    config::Config,
    render::report::{self, Report},
    serve::{self, End, Local, Shared},
};

use inline::Inline;

/// Runs until a signal ends it. Must run inside a `LocalSet`.
pub(crate) async fn run(config: &Config) -> Result<ExitCode> {
    let counters = Arc::new(Counters::default());
    let shown = Arc::clone(&counters);
    let shown: serve::RenderCounters = Rc::new(move || shown.render());
    let mut running = serve::start(config, config.inline.value, Some(shown)).await?;
    let shared = running.shared.clone();
    let cluster =
        Cluster::connect(config.kubeconfig.value.as_deref(), config.context.value.as_deref())
            .await?;
    let options = options(config, &cluster);
    let (sender, view) = watch::channel(View::default());
    running.answer();
    let (proxy, published) = (shared.proxy.clone(), Rc::clone(&shared.published));
    let told = tokio::task::spawn_local(tell(view, shared));
    tracing::info!(
        health = %running.addresses.health,
        admin = %running.addresses.admin,
        "controller started"
    );
    let mut ending = End::Graceful;
    let stop = async { ending = running.end().await };
    if config.inline.value {
        let proxy = proxy.context("the workers did not start")?;
        let own = cluster.own_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let plane = Inline::new(Local::new(proxy, published, vec![own]));
        controller::run(cluster, options, plane, counters, sender, stop).await?;
    } else {
        let plane = remote(config, &cluster).await?;
        controller::run(cluster, options, plane, counters, sender, stop).await?;
    }
    told.abort();
    running.drain(&ending, config).await;
    Ok(ExitCode::SUCCESS)
}

fn options(config: &Config, cluster: &Cluster) -> Options {
    let port = config.link_address.value.port();
    let own_link = config.own_address.value.map(|ip| SocketAddr::new(ip, port));
    Options {
        settings: settings(config),
        lease: Some(LeaseOptions {
            namespace: lease_namespace(config, cluster),
            name: config.lease_name.value.clone(),
            identity: config.lease_identity.value.clone(),
            address: own_link.filter(|_| !config.inline.value).map(|own| own.to_string()),
        }),
    }
}

fn lease_namespace(config: &Config, cluster: &Cluster) -> String {
    config.lease_namespace.value.clone().unwrap_or_else(|| cluster.namespace().to_owned())
}

/// Gateways in pods of their own.
async fn remote(config: &Config, cluster: &Cluster) -> Result<Remote> {
    let provision = controller::provision::Settings {
        controller_name: config.controller_name.value.clone(),
        image: config.proxy_image.value.clone(),
        image_pull_policy: None,
        controller: config.link_service.value.clone(),
    };
    let options = RemoteOptions {
        listen: config.link_address.value,
        namespace: lease_namespace(config, cluster),
        provision,
    };
    Ok(Remote::start(cluster.client(), options).await?)
}

fn settings(config: &Config) -> Settings {
    let provisions = !config.inline.value;
    let defaults = Settings::default();
    let capabilities = Capabilities {
        infrastructure: provisions,
        address_routability: provisions,
        ..defaults.capabilities
    };
    Settings {
        controller_name: config.controller_name.value.clone(),
        class: config.class.value.clone(),
        placement: if provisions { Placement::Provisioned } else { Placement::Shared },
        capabilities,
        addresses: config.address.value.clone(),
        port_offset: if provisions { 0 } else { config.port_offset.value },
        // Whoever may write an EndpointSlice must not reach what only this machine may reach.
        backend_addresses: BackendAddresses::Restricted,
        ..defaults
    }
}

/// Keeps what the health and admin endpoints show up to date, and logs what is found.
async fn tell(mut view: watch::Receiver<View>, shared: Shared) {
    let files = Store::new(source::Settings::default());
    let mut told = BTreeSet::new();
    while view.changed().await.is_ok() {
        let view = view.borrow_and_update().clone();
        let reports: Vec<Report> =
            view.findings.iter().map(|found| Report::from_diagnostic(found, &files)).collect();
        let mut now = BTreeSet::new();
        for report in reports.iter().filter(|report| report.level < Level::Note) {
            let line = format!("{} {}", report.code, report.message);
            if !told.contains(&line) {
                let origin = report.origin.as_ref().map(ToString::to_string).unwrap_or_default();
                tracing::warn!(code = report.code, origin, "{}", report.message);
            }
            now.insert(line);
        }
        told = now;
        let mut published = shared.published.borrow_mut();
        published.statuses = (*view.statuses).clone();
        published.findings = reports.iter().map(report::json).collect();
        if shared.proxy.is_none() && view.ready {
            published.revision.get_or_insert(Revision::default());
        }
    }
}
