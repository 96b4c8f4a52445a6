//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{self, ClusterFlags, CommonFlags, Flags, GatewayFlags, LinkFlags};

/// A Kubernetes Gateway API implementation in one binary: a folder of YAML in, HTTP traffic out,
/// every decision explained.
#[derive(Parser, Debug)]
#[command(name = "portcullis", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Serve the Gateways and routes found in PATH, and follow its changes
    Serve(ServeArgs),
    /// Serve the Gateways and routes of a Kubernetes cluster, and write their statuses
    Controller(ControllerArgs),
    /// Carry the traffic of one Gateway, as a controller says
    Proxy(ProxyArgs),
    /// Ask a running process on this machine to drain and end, as SIGTERM does
    Drain(DrainArgs),
    /// Check objects: schema, references, grants, conflicts, shadowed rules
    Lint(LintArgs),
    /// Say which route, rule and backend a request takes, and why the others lost
    Explain(ExplainArgs),
    /// Print the status conditions that the objects have
    Status(StatusArgs),
    /// Explain a diagnostic code, such as PC0203; without a code, list them all
    Code(CodeArgs),
    /// Write the manifests that install Portcullis in a cluster
    Install(InstallArgs),
    /// Look at the process configuration
    Config(ConfigArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page in roff
    Man,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Inputs {
    /// Files, folders (recursive) and `-` for standard input
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Output {
    /// Form of the output
    #[arg(short = 'o', long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) output: OutputFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    Json,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintFormat {
    Json,
    Sarif,
    Text,
}

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) inputs: Inputs,

    /// Stand in for whatever PATH lacks: GatewayClass, Gateway, Services, Secrets; prints each
    #[arg(long)]
    pub(crate) demo: bool,

    /// Send a Service's traffic to this address; repeatable
    #[arg(long, value_name = "[NAMESPACE/]SERVICE[:PORT]=HOST:PORT")]
    pub(crate) backend: Vec<String>,

    #[command(flatten)]
    pub(crate) output: Output,

    #[command(flatten)]
    pub(crate) gateways: GatewayFlags,

    #[command(flatten)]
    pub(crate) common: CommonFlags,
}

#[derive(Args, Debug)]
pub(crate) struct ProxyArgs {
    #[command(flatten)]
    pub(crate) link: LinkFlags,

    #[command(flatten)]
    pub(crate) common: CommonFlags,
}

#[derive(Args, Debug)]
pub(crate) struct DrainArgs {
    /// Return once nothing new is accepted, that is, after --drain-min of the process, or when it
    /// has ended; without this, as soon as the drain has begun
    #[arg(long)]
    pub(crate) wait: bool,

    /// Where the process can be asked: its --admin-address
    #[arg(
        long,
        env = "PORTCULLIS_ADMIN_ADDRESS",
        hide_env_values = true,
        value_name = "HOST:PORT",
        value_parser = config::parse_loopback,
        default_value = config::ADMIN_ADDRESS
    )]
    pub(crate) admin_address: SocketAddr,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct ControllerArgs {
    #[command(flatten)]
    pub(crate) cluster: ClusterFlags,

    #[command(flatten)]
    pub(crate) gateways: GatewayFlags,

    #[command(flatten)]
    pub(crate) common: CommonFlags,
}

#[derive(Args, Debug)]
pub(crate) struct LintArgs {
    #[command(flatten)]
    pub(crate) inputs: Inputs,

    /// Supplies objects that PATH refers to, without being checked itself; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) with: Vec<PathBuf>,

    /// PATH is all there is: what it does not define is missing, not merely elsewhere
    #[arg(long)]
    pub(crate) complete: bool,

    /// Apply the fixes that cannot change meaning
    #[arg(long)]
    pub(crate) fix: bool,

    /// Severities and suppressions (default: portcullis-lint.toml in the current folder, if any)
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Accept the findings listed in this file
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,

    /// Write today's findings to the file named by --baseline, to be accepted from now on
    #[arg(long, requires = "baseline")]
    pub(crate) write_baseline: bool,

    /// Serve this GatewayClass, whatever its controller is
    #[arg(long, value_name = "NAME")]
    pub(crate) class: Option<String>,

    /// The controllerName of GatewayClasses that are ours
    #[arg(long, value_name = "DOMAIN/PATH", default_value = crate::config::CONTROLLER_NAME)]
    pub(crate) controller_name: String,

    /// Form of the output
    #[arg(short = 'o', long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) output: LintFormat,
}

#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// Files, folders (recursive) and `-` for standard input; repeatable
    #[arg(short = 'f', long = "file", required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Request method; GET if it is not given, POST for a gRPC call
    #[arg(short = 'X', long, value_name = "METHOD")]
    pub(crate) request: Option<String>,

    /// Request header; repeatable
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,

    /// Address the request comes from
    #[arg(long, value_name = "IP")]
    pub(crate) client_ip: Option<std::net::IpAddr>,

    /// Server name in the TLS handshake, if it differs from the URL's host
    #[arg(long, value_name = "NAME")]
    pub(crate) sni: Option<String>,

    /// Name every rule that was looked at, not only the nearest
    #[arg(long)]
    pub(crate) all: bool,

    /// Only this Gateway, when several listen on the port
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pub(crate) gateway: Option<String>,

    #[command(flatten)]
    pub(crate) rules: Ownership,

    #[command(flatten)]
    pub(crate) output: Output,

    /// The URL as a client would use it
    #[arg(value_name = "URL")]
    pub(crate) url: String,
}

#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) inputs: Inputs,

    #[command(flatten)]
    pub(crate) rules: Ownership,

    #[command(flatten)]
    pub(crate) output: Output,
}

/// Which classes are ours; the offline commands assume what `serve` would.
#[derive(Args, Clone, Debug)]
pub(crate) struct Ownership {
    /// Serve this GatewayClass, whatever its controller is
    #[arg(long, value_name = "NAME")]
    pub(crate) class: Option<String>,

    /// The controllerName of GatewayClasses that are ours
    #[arg(long, value_name = "DOMAIN/PATH", default_value = crate::config::CONTROLLER_NAME)]
    pub(crate) controller_name: String,

    /// Stand in for whatever PATH lacks, as `serve --demo` does
    #[arg(long)]
    pub(crate) demo: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CodeArgs {
    /// Such as PC0203
    #[arg(value_name = "CODE")]
    pub(crate) code: Option<String>,

    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Args, Debug)]
pub(crate) struct InstallArgs {
    /// Print the manifests, for `kubectl apply --server-side -f -`
    #[arg(long)]
    pub(crate) print: bool,

    /// The namespace of the controller
    #[arg(long, default_value = "portcullis-system", value_name = "NAME")]
    pub(crate) namespace: String,

    /// The image of controller and proxies; default localhost/portcullis and this version
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) image: Option<String>,

    /// Controllers; one of them leads
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) replicas: u16,
}

#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum ConfigCommand {
    /// Print each setting, its value and where the value came from
    Show {
        #[command(flatten)]
        flags: Box<Flags>,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    pub(crate) shell: clap_complete::Shell,
}
