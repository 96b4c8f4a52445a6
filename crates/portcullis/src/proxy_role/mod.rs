//! One Gateway's data plane: what the controller sends is served, and acknowledged.
//!
//! It needs no file but its identity, no API server, and after its first revision no controller.

mod page;

use std::{process::ExitCode, rc::Rc, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use ir::Ack;
use link::{Client, ClientOptions, LinkStatus};
use proxy::ProxyHandle;
use tokio::{sync::watch, time::Instant};

pub(crate) use page::LinkFeed;

use crate::{
    config::Config,
    serve::{self, Shared},
};

/// Time between two tries to bind a port that could not be bound.
const PORT_RETRY: Duration = Duration::from_secs(5);

/// Serves until a signal ends it. Must run inside a `LocalSet`.
pub(crate) async fn run(config: &Config) -> Result<ExitCode> {
    let options = client_options(config)?;
    let mut running = serve::start(config, true, None).await?;
    let client = Client::start(options)?;
    let gateway = client.gateway().as_str().into();
    running.shared.link = Some(LinkFeed { gateway, status: client.status() });
    let shared = running.shared.clone();
    let proxy = shared.proxy.clone().context("the workers did not start")?;
    running.answer();
    tracing::info!(gateway = %client.gateway(), proxy = config.proxy_name.text, "waiting for a revision");
    let mut engine = Engine { client, proxy, shared, served: None, retry_at: None };
    let end = loop {
        tokio::select! {
            update = engine.client.next() => engine.take(update).await,
            () = retry_due(engine.retry_at) => engine.retry_ports().await,
            end = running.end() => break end,
        }
    };
    let unwanted = retracted(engine.client.status());
    tokio::select! {
        () = running.drain_unless(&end, config, unwanted) => {}
        () = engine.follow_endpoints() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns once the controller has said that the Gateway is served no longer.
async fn retracted(mut status: watch::Receiver<LinkStatus>) {
    if status.wait_for(|status| status.retracted).await.is_err() {
        std::future::pending().await
    }
}

fn client_options(config: &Config) -> Result<ClientOptions> {
    let identity = config.identity.value.clone();
    let controllers = config.controller.value.clone();
    anyhow::ensure!(!controllers.is_empty(), "no controller is given; use --controller HOST:PORT");
    Ok(ClientOptions {
        controllers,
        identity: identity.context("no identity is given; use --identity FOLDER")?,
        proxy: config.proxy_name.value.clone(),
        state: config.state_dir.value.clone(),
    })
}

async fn retry_due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Owns what is served; nothing else changes it.
struct Engine {
    client: Client,
    proxy: Rc<ProxyHandle>,
    shared: Shared,
    served: Option<link::Update>,
    /// When ports that could not be bound are tried again.
    retry_at: Option<Instant>,
}

impl Engine {
    async fn take(&mut self, update: link::Update) {
        if self.has_table_of(&update) {
            self.take_endpoints(update).await;
            return;
        }
        let started = Instant::now();
        // Held until the new revision serves: freeing thousands of objects takes its time.
        let before = self.served.replace(update);
        self.apply().await;
        drop(before);
        tracing::info!(elapsed = ?started.elapsed(), "serving");
    }

    fn has_table_of(&self, update: &link::Update) -> bool {
        self.served.as_ref().is_some_and(|served| {
            served.revision == update.revision && Arc::ptr_eq(&served.ir, &update.ir)
        })
    }

    async fn take_endpoints(&mut self, update: link::Update) {
        self.proxy.endpoints(&update.endpoints).await;
        self.shared.published.borrow_mut().endpoints = Arc::clone(&update.endpoints);
        self.served = Some(update);
    }

    /// While the process ends, requests go on to backends that are there. Another table is not
    /// taken: it could bind ports.
    async fn follow_endpoints(&mut self) {
        loop {
            let update = self.client.next().await;
            if self.has_table_of(&update) {
                self.take_endpoints(update).await;
            }
        }
    }

    /// The same again, for ports that could not be bound.
    async fn retry_ports(&mut self) {
        self.apply().await;
    }

    /// Makes the present update current, and says so to the controller.
    async fn apply(&mut self) {
        let Some(update) = &self.served else { return };
        let previous = Arc::clone(&self.shared.published.borrow().table);
        let table = Arc::new(ir::assemble(&update.ir, update.revision, Some(&previous)));
        let endpoints = Some(Arc::clone(&update.endpoints));
        let to_proxy = ir::Update { table: Arc::clone(&table), endpoints };
        let ack = self.proxy.apply(to_proxy).await;
        self.retry_at = report_ports(&ack).then(|| Instant::now() + PORT_RETRY);
        {
            let mut published = self.shared.published.borrow_mut();
            published.table = table;
            published.endpoints = Arc::clone(&update.endpoints);
            published.revision = Some(ack.revision);
            published.reloads = published.reloads.saturating_add(1);
        }
        tracing::debug!(revision = %ack.revision, source = ?update.source, "applied");
        self.client.ack(ack);
    }
}

/// Logs what could not be bound; whether there was something.
fn report_ports(ack: &Ack) -> bool {
    let failed = ack.ports.iter().filter_map(|port| Some((port.key, port.result.as_ref().err()?)));
    let mut any = false;
    for (port, why) in failed {
        tracing::warn!(%port, %why, "port cannot be bound; it is tried again");
        any = true;
    }
    any
}
