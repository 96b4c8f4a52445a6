//! Process configuration: one struct, flags over environment over file over default.
//!
//! It is read once, in `main`, and printed by `portcullis config show` with where each value
//! came from. What belongs to users of the gateway is in their objects, never here.

mod cluster;
mod parse;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::{ArgMatches, Args, parser::ValueSource};
use link::ProxyName;
use serde::Deserialize;
use translate::AddressPool;

pub(crate) use cluster::ClusterFlags;
pub(crate) use parse::parse_loopback;

use cluster::{default_lease_identity, default_own_address};
use parse::{
    parse_access_log, parse_controller, parse_controllers, parse_count, parse_duration,
    parse_folder, parse_host_and_port, parse_ip, parse_log_format, parse_log_level, parse_name,
    parse_number, parse_offset, parse_optional, parse_pools, parse_proxy_name, parse_size,
    parse_socket, parse_switch,
};

use crate::command::install::default_image;

pub(crate) const CONTROLLER_NAME: &str = "portcullis.dev/gateway-controller";

pub(crate) const ADMIN_ADDRESS: &str = "127.0.0.1:9181";

/// As `deploy/manifests/controller.yaml` has it in the namespace of its own choice.
const LINK_SERVICE: &str = "portcullis-controller.portcullis-system.svc:9443";

/// The flags of all commands that run something; each command takes the groups it needs.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Flags {
    #[command(flatten)]
    pub(crate) gateways: GatewayFlags,
    #[command(flatten)]
    pub(crate) link: LinkFlags,
    #[command(flatten)]
    pub(crate) cluster: ClusterFlags,
    #[command(flatten)]
    pub(crate) common: CommonFlags,
}

/// What is served, and where.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct GatewayFlags {
    /// Address or CIDR that Gateways may take, `*` (the default) for all of this machine; repeatable
    #[arg(
        long,
        env = "PORTCULLIS_ADDRESS",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    pub(crate) address: Option<Vec<String>>,

    /// Added to every listener's port when binding, so that 80 and 443 need no root; default 0
    #[arg(long, env = "PORTCULLIS_PORT_OFFSET", hide_env_values = true, value_name = "N")]
    pub(crate) port_offset: Option<String>,

    /// Serve this GatewayClass, whatever its controller is
    #[arg(long, env = "PORTCULLIS_CLASS", hide_env_values = true, value_name = "NAME")]
    pub(crate) class: Option<String>,

    /// The controllerName of GatewayClasses that are ours; default
    /// portcullis.dev/gateway-controller
    #[arg(
        long,
        env = "PORTCULLIS_CONTROLLER_NAME",
        hide_env_values = true,
        value_name = "DOMAIN/PATH"
    )]
    pub(crate) controller_name: Option<String>,
}

/// Where a proxy gets its configuration.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct LinkFlags {
    /// Controllers, tried in turn; repeatable
    #[arg(
        long,
        env = "PORTCULLIS_CONTROLLER",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "HOST:PORT"
    )]
    pub(crate) controller: Option<Vec<String>>,

    /// Folder with tls.crt, tls.key and ca.crt, which prove whose proxy this is; re-read when
    /// they change
    #[arg(long, env = "PORTCULLIS_IDENTITY", hide_env_values = true, value_name = "FOLDER")]
    pub(crate) identity: Option<String>,

    /// Folder for the last good configuration, private keys included: memory-backed, nobody
    /// else's; nothing is kept without it
    #[arg(long, env = "PORTCULLIS_STATE_DIR", hide_env_values = true, value_name = "FOLDER")]
    pub(crate) state_dir: Option<String>,

    /// What the controller calls this proxy; default the Pod's name in POD_NAME, else the host's
    #[arg(long, env = "PORTCULLIS_PROXY_NAME", hide_env_values = true, value_name = "NAME")]
    pub(crate) proxy_name: Option<String>,
}

/// How the process itself runs.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct CommonFlags {
    /// Read settings from this TOML file; keys are the long flags below
    #[arg(long, env = "PORTCULLIS_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Where /livez, /readyz and /metrics are served; default 0.0.0.0:9180
    #[arg(
        long,
        env = "PORTCULLIS_METRICS_ADDRESS",
        hide_env_values = true,
        value_name = "HOST:PORT"
    )]
    pub(crate) metrics_address: Option<String>,

    /// Where configuration, status and endpoints can be looked at, on loopback only; default 127.0.0.1:9181
    #[arg(
        long,
        env = "PORTCULLIS_ADMIN_ADDRESS",
        hide_env_values = true,
        value_name = "HOST:PORT"
    )]
    pub(crate) admin_address: Option<String>,

    /// Worker threads; default one per core
    #[arg(long, env = "PORTCULLIS_WORKERS", hide_env_values = true, value_name = "N")]
    pub(crate) workers: Option<String>,

    /// Form of our own log lines: text (the default) or json
    #[arg(long, env = "PORTCULLIS_LOG_FORMAT", hide_env_values = true, value_name = "FORMAT")]
    pub(crate) log_format: Option<String>,

    /// error, warn, info (the default), debug or trace; per module as in `info,proxy=debug`
    #[arg(long, env = "PORTCULLIS_LOG_LEVEL", hide_env_values = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,

    /// JSON lines, one per request: `-` (the default) for standard output, `off`, or a file
    #[arg(long, env = "PORTCULLIS_ACCESS_LOG", hide_env_values = true, value_name = "WHERE")]
    pub(crate) access_log: Option<String>,

    /// After SIGTERM, go on accepting at least this long; default 10s
    #[arg(long, env = "PORTCULLIS_DRAIN_MIN", hide_env_values = true, value_name = "DURATION")]
    pub(crate) drain_min: Option<String>,

    /// After SIGTERM, close what is still open after this long; default 60s
    #[arg(
        long,
        env = "PORTCULLIS_DRAIN_DEADLINE",
        hide_env_values = true,
        value_name = "DURATION"
    )]
    pub(crate) drain_deadline: Option<String>,

    /// Most client connections at a time; default what the limit of open files allows, up to 10000
    #[arg(long, env = "PORTCULLIS_MAX_CONNECTIONS", hide_env_values = true, value_name = "N")]
    pub(crate) max_connections: Option<String>,

    /// Most connections of one client address (IPv6: of its /64); default 0, no bound
    #[arg(
        long,
        env = "PORTCULLIS_MAX_CONNECTIONS_PER_SOURCE",
        hide_env_values = true,
        value_name = "N"
    )]
    pub(crate) max_connections_per_source: Option<String>,

    /// Memory that the process may hold, such as 512Mi: near it, idle connections are closed, then
    /// requests refused, then connections; default the limit of its control group, else 0, no bound
    #[arg(long, env = "PORTCULLIS_MAX_MEMORY", hide_env_values = true, value_name = "SIZE")]
    pub(crate) max_memory: Option<String>,

    /// Zone that the data plane runs in (topology.kubernetes.io/zone), for Services that prefer
    /// endpoints nearby
    #[arg(long, env = "PORTCULLIS_ZONE", hide_env_values = true, value_name = "ZONE")]
    pub(crate) zone: Option<String>,

    /// Node that the data plane runs on, for Services that prefer endpoints of the same node
    #[arg(long, env = "PORTCULLIS_NODE", hide_env_values = true, value_name = "NODE")]
    pub(crate) node: Option<String>,
}

/// The file form: the long flags as keys.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileConfig {
    address: Option<Text>,
    controller: Option<Text>,
    identity: Option<Text>,
    state_dir: Option<Text>,
    proxy_name: Option<Text>,
    inline: Option<Text>,
    kubeconfig: Option<Text>,
    context: Option<Text>,
    lease_namespace: Option<Text>,
    lease_name: Option<Text>,
    lease_identity: Option<Text>,
    link_address: Option<Text>,
    link_service: Option<Text>,
    own_address: Option<Text>,
    proxy_image: Option<Text>,
    metrics_address: Option<Text>,
    admin_address: Option<Text>,
    workers: Option<Text>,
    port_offset: Option<Text>,
    class: Option<Text>,
    controller_name: Option<Text>,
    log_format: Option<Text>,
    log_level: Option<Text>,
    access_log: Option<Text>,
    drain_min: Option<Text>,
    drain_deadline: Option<Text>,
    max_connections: Option<Text>,
    max_connections_per_source: Option<Text>,
    max_memory: Option<Text>,
    zone: Option<Text>,
    node: Option<Text>,
}

/// A value of the file, in the form that flags have.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Text {
    List(Vec<String>),
    Switch(bool),
    Number(i64),
    One(String),
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text {
            Text::List(list) => list.join(","),
            Text::Switch(on) => on.to_string(),
            Text::Number(number) => number.to_string(),
            Text::One(text) => text,
        }
    }
}

/// Everything the process needs to know that is not in an object.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) address: Setting<Vec<AddressPool>>,
    pub(crate) metrics_address: Setting<SocketAddr>,
    pub(crate) admin_address: Setting<SocketAddr>,
    pub(crate) workers: Setting<usize>,
    pub(crate) port_offset: Setting<u16>,
    pub(crate) class: Setting<Option<String>>,
    pub(crate) controller_name: Setting<String>,
    pub(crate) controller: Setting<Vec<String>>,
    pub(crate) identity: Setting<Option<PathBuf>>,
    pub(crate) state_dir: Setting<Option<PathBuf>>,
    pub(crate) proxy_name: Setting<ProxyName>,
    pub(crate) inline: Setting<bool>,
    pub(crate) kubeconfig: Setting<Option<PathBuf>>,
    pub(crate) context: Setting<Option<String>>,
    pub(crate) lease_namespace: Setting<Option<String>>,
    pub(crate) lease_name: Setting<String>,
    pub(crate) lease_identity: Setting<String>,
    pub(crate) link_address: Setting<SocketAddr>,
    pub(crate) link_service: Setting<String>,
    pub(crate) own_address: Setting<Option<IpAddr>>,
    pub(crate) proxy_image: Setting<String>,
    pub(crate) log_format: Setting<LogFormat>,
    pub(crate) log_level: Setting<String>,
    pub(crate) access_log: Setting<AccessLogTarget>,
    pub(crate) drain_min: Setting<Duration>,
    pub(crate) drain_deadline: Setting<Duration>,
    pub(crate) max_connections: Setting<usize>,
    /// 0 is no bound.
    pub(crate) max_connections_per_source: Setting<usize>,
    /// Bytes; 0 is no bound.
    pub(crate) max_memory: Setting<usize>,
    pub(crate) zone: Setting<Option<String>>,
    pub(crate) node: Setting<Option<String>>,
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) text: String,
    pub(crate) from: Provenance,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Provenance {
    Default,
    Environment(String),
    File(PathBuf),
    Flag(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Json,
    Text,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AccessLogTarget {
    File(PathBuf),
    Off,
    Stdout,
}

impl Config {
    /// Merges the layers. Errors name the setting, the layer and what would be valid.
    pub(crate) fn load(flags: &Flags, matches: &ArgMatches) -> Result<Self> {
        let file = match &flags.common.config {
            Some(path) => read_file(path)?,
            None => FileConfig::default(),
        };
        let layers = Layers { matches, path: flags.common.config.as_deref() };
        let workers = std::thread::available_parallelism().map_or(1, usize::from).to_string();
        let connections = default_max_connections().to_string();
        let memory = default_max_memory().to_string();
        let proxy_name = default_proxy_name();
        let list = |values: &Option<Vec<String>>| values.as_ref().map(|list| list.join(","));
        let inline = flags.cluster.inline.then(|| true.to_string());
        /// One setting: the flag and the key of the file have its name.
        macro_rules! pick {
            ($group:ident.$name:ident, $default:expr, $parse:expr) => {
                pick!($name, flags.$group.$name.clone(), $default, $parse)
            };
            ($name:ident, $flag:expr, $default:expr, $parse:expr) => {
                layers.pick(stringify!($name), $flag, file.$name, $default, $parse)?
            };
        }
        let config = Self {
            address: pick!(address, list(&flags.gateways.address), "*", parse_pools),
            metrics_address: pick!(common.metrics_address, "0.0.0.0:9180", parse_socket),
            admin_address: pick!(common.admin_address, ADMIN_ADDRESS, parse_loopback),
            workers: pick!(common.workers, &workers, parse_count),
            port_offset: pick!(gateways.port_offset, "0", parse_offset),
            class: pick!(gateways.class, "", parse_optional),
            controller_name: pick!(gateways.controller_name, CONTROLLER_NAME, parse_controller),
            controller: pick!(controller, list(&flags.link.controller), "", parse_controllers),
            identity: pick!(link.identity, "", parse_folder),
            state_dir: pick!(link.state_dir, "", parse_folder),
            proxy_name: pick!(link.proxy_name, &proxy_name, parse_proxy_name),
            inline: pick!(inline, inline, "false", parse_switch),
            kubeconfig: pick!(cluster.kubeconfig, "", parse_folder),
            context: pick!(cluster.context, "", parse_optional),
            lease_namespace: pick!(cluster.lease_namespace, "", parse_optional),
            lease_name: pick!(cluster.lease_name, "portcullis-controller", parse_name),
            lease_identity: pick!(cluster.lease_identity, &default_lease_identity(), parse_name),
            link_address: pick!(cluster.link_address, "0.0.0.0:9443", parse_socket),
            link_service: pick!(cluster.link_service, LINK_SERVICE, parse_host_and_port),
            own_address: pick!(cluster.own_address, &default_own_address(), parse_ip),
            proxy_image: pick!(cluster.proxy_image, &default_image(), parse_name),
            log_format: pick!(common.log_format, "text", parse_log_format),
            log_level: pick!(common.log_level, "info", parse_log_level),
            access_log: pick!(common.access_log, "-", parse_access_log),
            drain_min: pick!(common.drain_min, "10s", parse_duration),
            drain_deadline: pick!(common.drain_deadline, "60s", parse_duration),
            max_connections: pick!(common.max_connections, &connections, parse_count),
            max_connections_per_source: pick!(common.max_connections_per_source, "0", parse_number),
            max_memory: pick!(common.max_memory, &memory, parse_size),
            zone: pick!(common.zone, "", parse_optional),
            node: pick!(common.node, "", parse_optional),
        };
        if config.drain_min.value > config.drain_deadline.value {
            bail!(
                "drain-min ({}) is longer than drain-deadline ({}): set drain-deadline to at least drain-min",
                config.drain_min.text,
                config.drain_deadline.text
            );
        }
        Ok(config)
    }

    /// Name, value and origin of each setting, in the order of `--help`.
    pub(crate) fn rows(&self) -> Vec<[String; 3]> {
        fn row<T>(name: &str, setting: &Setting<T>) -> [String; 3] {
            [name.to_owned(), setting.text.clone(), setting.from.to_string()]
        }
        vec![
            row("address", &self.address),
            row("metrics-address", &self.metrics_address),
            row("admin-address", &self.admin_address),
            row("workers", &self.workers),
            row("port-offset", &self.port_offset),
            row("class", &self.class),
            row("controller-name", &self.controller_name),
            row("controller", &self.controller),
            row("identity", &self.identity),
            row("state-dir", &self.state_dir),
            row("proxy-name", &self.proxy_name),
            row("inline", &self.inline),
            row("kubeconfig", &self.kubeconfig),
            row("context", &self.context),
            row("lease-namespace", &self.lease_namespace),
            row("lease-name", &self.lease_name),
            row("lease-identity", &self.lease_identity),
            row("link-address", &self.link_address),
            row("link-service", &self.link_service),
            row("own-address", &self.own_address),
            row("proxy-image", &self.proxy_image),
            row("log-format", &self.log_format),
            row("log-level", &self.log_level),
            row("access-log", &self.access_log),
            row("drain-min", &self.drain_min),
            row("drain-deadline", &self.drain_deadline),
            row("max-connections", &self.max_connections),
            row("max-connections-per-source", &self.max_connections_per_source),
            row("max-memory", &self.max_memory),
            row("zone", &self.zone),
            row("node", &self.node),
        ]
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

struct Layers<'a> {
    matches: &'a ArgMatches,
    path: Option<&'a Path>,
}

impl Layers<'_> {
    fn pick<T>(
        &self,
        field: &str,
        flag: Option<String>,
        file: Option<Text>,
        default: &str,
        parse: impl Fn(&str) -> Result<T>,
    ) -> Result<Setting<T>> {
        let name = &field.replace('_', "-");
        let (text, from) = match (flag, file, self.path) {
            (Some(text), _, _) => (text, self.flag_provenance(field)),
            (None, Some(text), Some(path)) => (text.into(), Provenance::File(path.to_owned())),
            (None, _, _) => (default.to_owned(), Provenance::Default),
        };
        let value = parse(&text).with_context(|| format!("{name} = \"{text}\" (from {from})"))?;
        Ok(Setting { value, text, from })
    }

    fn flag_provenance(&self, field: &str) -> Provenance {
        if self.matches.value_source(field) == Some(ValueSource::EnvVariable) {
            Provenance::Environment(format!("PORTCULLIS_{}", field.to_ascii_uppercase()))
        } else {
            Provenance::Flag(field.replace('_', "-"))
        }
    }
}

fn read_file(path: &Path) -> Result<FileConfig> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("configuration file {} cannot be read", path.display()))?;
    toml::from_str(&text)
        .with_context(|| format!("configuration file {} is not valid", path.display()))
}

/// The name of the Pod, else of the host.
fn default_proxy_name() -> String {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = std::env::var("POD_NAME").ok().or_else(host);
    name.map(|name| name.trim().to_owned()).unwrap_or_else(|| "proxy".to_owned())
}

/// As many as the open files of the process allow.
fn default_max_connections() -> usize {
    let files = open_files_limit().unwrap_or(1024);
    proxy::Limits::default().within_files(files).connections
}

/// Requests that the open files of the process allow beside so many connections.
pub(crate) fn requests_within(connections: usize) -> usize {
    let most = proxy::Limits::default().requests;
    let files = open_files_limit();
    files.map_or(most, |files| most.min(proxy::Limits::requests_within(files, connections)))
}

/// What the control group leaves for the process. 0 without one.
fn default_max_memory() -> usize {
    proxy::memory_of_group().unwrap_or(0)
}

/// The soft limit on open files, read from the kernel's own table for this process.
fn open_files_limit() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}
