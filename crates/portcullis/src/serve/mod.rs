//! The running gateway: one loop owns the store and the translation, and tells the data plane.
//!
//! [`engine`] turns what the files hold into what is served; [`endpoints`](admin) and health are
//! read from what it last [`Published`]; [`run`] waits for changes and for the end.

mod admin;
mod banner;
mod ending;
mod engine;
mod health;
mod local;

use std::{
    cell::RefCell, collections::BTreeMap, path::PathBuf, process::ExitCode, rc::Rc, sync::Arc,
};

use anyhow::{Context, Result, bail};
use ir::{EndpointMap, Revision, Table};
use proxy::{AccessLog, Proxy, ProxyConfig, ProxyHandle};
use source::{BackendOverride, Watcher};
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
};
use translate::Statuses;

use crate::{
    cli::OutputFormat,
    config::{AccessLogTarget, Config},
    observe::{
        log::{self, LogLevel},
        server,
    },
    proxy_role::LinkFeed,
    render,
};

#[cfg(feature = "kubernetes")]
pub(crate) use ending::End;
pub(crate) use engine::Engine;
pub(crate) use local::Local;

use ending::{Admin, Phase};

/// What `serve` was asked to do, beside the process configuration.
pub(crate) struct Options {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) demo: bool,
    pub(crate) backends: Vec<BackendOverride>,
    pub(crate) format: OutputFormat,
}

/// What the health and admin endpoints read. Replaced as a whole with each revision.
#[derive(Default)]
pub(crate) struct Published {
    pub(crate) table: Arc<Table>,
    pub(crate) endpoints: Arc<EndpointMap>,
    pub(crate) statuses: Statuses,
    /// The statuses as `/status` showed them last.
    pub(crate) shown: render::status::Shown,
    /// What is wrong with files and objects now, in JSON.
    pub(crate) findings: Vec<serde_json::Value>,
    pub(crate) revision: Option<Revision>,
    /// What clients of a demo need, by file name; nothing without `--demo`.
    pub(crate) demo: BTreeMap<&'static str, String>,
    /// Revisions that could not be served in full, and reloads in all.
    pub(crate) reloads: u64,
}

/// Counters of something that this module does not know.
pub(crate) type RenderCounters = Rc<dyn Fn() -> String>;

/// Shared by the loop and the endpoints, all on one thread.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) published: Rc<RefCell<Published>>,
    /// Absent in a controller that carries no traffic itself.
    pub(crate) proxy: Option<Rc<ProxyHandle>>,
    /// What a controller counts, in the text format of Prometheus.
    pub(crate) counters: Option<RenderCounters>,
    /// Of a proxy that a controller configures, which has the statuses and findings.
    pub(crate) link: Option<LinkFeed>,
    pub(crate) level: LogLevel,
    pub(crate) phase: watch::Sender<Phase>,
    pub(crate) controller_name: Rc<str>,
}

/// Serves until a signal ends it. Must run inside a `LocalSet`.
pub(crate) async fn run(options: Options, config: &Config) -> Result<ExitCode> {
    for path in options.paths.iter().filter(|path| path.as_os_str() != "-") {
        if !path.exists() {
            bail!("{} does not exist; give a file, a folder or -", path.display());
        }
    }
    let mut running = start(config, true, None).await?;
    let shared = running.shared.clone();
    let proxy = shared.proxy.clone().context("the workers did not start")?;
    // Watching begins before the first read, so that no change is missed in between.
    let (_watcher, mut changes) = watch(&options.paths);
    let mut engine = Engine::new(&options, config, proxy, shared);
    running.answer();
    engine.reload().await?;
    render::print(&banner::banner(&engine, &options, config, &running.addresses)?)?;
    let end = loop {
        tokio::select! {
            Some(()) = changes.recv() => engine.reload().await?,
            due = engine.due() => engine.work(due).await,
            end = running.end() => break end,
        }
    };
    running.drain(&end, config).await;
    Ok(ExitCode::SUCCESS)
}

/// What every running process has: workers, and the ports where it can be asked.
pub(crate) struct Running {
    pub(crate) shared: Shared,
    pub(crate) addresses: banner::Addresses,
    /// Not answered yet: health and admin.
    listeners: Option<(TcpListener, TcpListener)>,
    admin: Option<Admin>,
    terminate: Signal,
    interrupt: Signal,
}

/// Starts logging and, with `carries`, the workers, and binds the ports.
pub(crate) async fn start(
    config: &Config,
    carries: bool,
    counters: Option<RenderCounters>,
) -> Result<Running> {
    let level = log::init(config.log_format.value, &config.log_level.value)?;
    let health = bind("metrics-address", config.metrics_address.value).await?;
    let admin = bind("admin-address", config.admin_address.value).await?;
    let addresses = banner::Addresses {
        health: health.local_addr().context("the metrics address is gone")?,
        admin: admin.local_addr().context("the admin address is gone")?,
    };
    let proxy = carries.then(|| Proxy::start(proxy_config(config))).transpose()?;
    let shared = Shared {
        published: Rc::default(),
        proxy: proxy.map(Rc::new),
        counters,
        link: None,
        level,
        phase: watch::Sender::default(),
        controller_name: config.controller_name.value.as_str().into(),
    };
    Ok(Running {
        shared,
        addresses,
        listeners: Some((health, admin)),
        admin: None,
        terminate: signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?,
        interrupt: signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?,
    })
}

impl Running {
    /// Begins to answer on the ports.
    pub(crate) fn answer(&mut self) {
        let Some((health, admin)) = self.listeners.take() else { return };
        let shared = &self.shared;
        let (alive, open) = mpsc::channel(1);
        let health = server::serve(health, health::handler(shared.clone()), None);
        let admin = server::serve(admin, admin::handler(shared.clone()), Some(alive));
        tokio::task::spawn_local(health);
        self.admin = Some(Admin { accepting: tokio::task::spawn_local(admin), open });
    }
}

async fn bind(setting: &str, address: std::net::SocketAddr) -> Result<TcpListener> {
    let bound = link::listen(address).await;
    bound.with_context(|| {
        format!("{setting} {address} cannot be bound; choose another with --{setting}")
    })
}

fn proxy_config(config: &Config) -> ProxyConfig {
    ProxyConfig {
        workers: config.workers.value,
        limits: proxy::Limits {
            connections: config.max_connections.value,
            requests: crate::config::requests_within(config.max_connections.value),
            connections_per_source: bound(config.max_connections_per_source.value),
            memory: bound(config.max_memory.value),
            ..proxy::Limits::default()
        },
        access_log: match &config.access_log.value {
            AccessLogTarget::File(path) => AccessLog::File(path.clone()),
            AccessLogTarget::Off => AccessLog::Off,
            AccessLogTarget::Stdout => AccessLog::Stdout,
        },
        zone: config.zone.value.as_deref().map(Into::into),
        node: config.node.value.as_deref().map(Into::into),
    }
}

/// 0 is no bound.
fn bound(value: usize) -> Option<usize> {
    (value > 0).then_some(value)
}

/// The watcher's signals as something that can be awaited. One thread waits for them.
fn watch(paths: &[PathBuf]) -> (Watcher, mpsc::Receiver<()>) {
    let (watcher, signals) = Watcher::new(paths);
    if let Some(why) = watcher.events_missing() {
        tracing::warn!(why, "changes are found by comparing files every few seconds");
    }
    let (forward, changes) = mpsc::channel(1);
    let waiting = std::thread::Builder::new().name("changes".to_owned()).spawn(move || {
        while signals.recv().is_ok() {
            // A signal that is still waiting stands for this one, too.
            if let Err(mpsc::error::TrySendError::Closed(())) = forward.try_send(()) {
                return;
            }
        }
    });
    if let Err(error) = waiting {
        tracing::error!(%error, "changes of files are not followed");
    }
    (watcher, changes)
}
