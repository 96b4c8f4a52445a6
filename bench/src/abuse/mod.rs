//! Attacks on each proxy, one after the other, each with a victim beside it: an honest client at a fixed rate.
//!
//! Everything is bounded in time, stays on loopback and ends with this process. Start reading at `attacks.rs`.

mod attacks;
mod group;
mod plain;
mod report;
mod strike;
mod watch;

use crate::{
    driver::{self, Contender, Weight},
    proxy::{Kind, Tools},
    site::{self, Backends, Certificate, Confined, Shape, Site, Wire},
};
use anyhow::{Context as _, ensure};
use attacks::{ATTACKS, Attack, Plan};
use clap::Args;
use group::Group;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

#[derive(Args)]
pub(crate) struct Options {
    /// Attacks to make, by name; all without it.
    #[arg(long, value_delimiter = ',')]
    attacks: Vec<String>,
    /// Seconds of each flood.
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// Connections at most, for machines that allow few open files.
    #[arg(long, default_value_t = 15_000)]
    connections: u32,
    /// Proxies to attack (portcullis, nginx, haproxy, envoy); all without it.
    #[arg(long, value_delimiter = ',')]
    proxies: Vec<String>,
    /// The binary of ours, in place of target/dist/portcullis.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Go on without a peer that cannot be run, and say so.
    #[arg(long)]
    skip_missing: bool,
    /// Print the result and write no file.
    #[arg(long)]
    no_write: bool,
}

/// What all attacks share.
struct Run<'a> {
    tools: &'a Tools,
    backends: Backends,
    folder: PathBuf,
    certificate: Certificate,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let root = std::env::current_dir()?;
    ensure!(root.join("bench/Cargo.toml").exists(), "run this in the workspace root");
    let chosen = choose(&options.attacks)?;
    let _weight = Weight::raise();
    let tools = Tools::find(&root, options.binary.as_deref());
    let mut versions = driver::choose_kinds(&tools, &options.proxies, false, options.skip_missing)?;
    // It does not know what it carries.
    versions.retain(|(kind, _)| *kind != Kind::Relay);
    let folder = root.join("target/bench/abuse");
    site::fresh_folder(&folder)?;
    let certificate = Certificate::new()?;
    let (_backend, backends) = driver::start_backend(&root.join("target/bench"), &certificate)?;
    let run = Run { tools: &tools, backends, folder, certificate };
    let mut outcomes = Vec::new();
    for (kind, _) in &versions {
        let mut calm = {
            let contender = start(&run, *kind, "calm", Confined::default())?;
            strike::calm(&contender)?
        };
        println!("{}: p99 of the victim without an attack {:.0} us", kind.name(), calm.p99_us);
        // Below this the ratio says more about the machine than about the proxy.
        calm.p99_us = calm.p99_us.max(strike::LEAST_P99_US);
        for attack in chosen.iter().copied() {
            if *kind != Kind::Portcullis && !attack.plan.with_peers() {
                continue;
            }
            let outcome = one(&run, options, *kind, attack, calm.p99_us)
                .with_context(|| format!("attack `{}` on {}", attack.name, kind.name()))?;
            println!("{}", report::line(&outcome));
            outcomes.push(outcome);
        }
    }
    let text = report::text(&outcomes);
    println!("\n{text}");
    if options.no_write { Ok(()) } else { report::write(&root, &versions, &outcomes, &text) }
}

fn choose(names: &[String]) -> anyhow::Result<Vec<&'static Attack>> {
    for name in names {
        let known = ATTACKS.iter().any(|attack| attack.name == name);
        let all: Vec<&str> = ATTACKS.iter().map(|attack| attack.name).collect();
        ensure!(known, "no attack `{name}`; attacks are {}", all.join(", "));
    }
    let named = |attack: &&Attack| names.is_empty() || names.iter().any(|n| n == attack.name);
    Ok(ATTACKS.iter().filter(named).collect())
}

/// One attack on a proxy of its own.
fn one(
    run: &Run<'_>,
    options: &Options,
    kind: Kind,
    attack: &Attack,
    calm_p99_us: f64,
) -> anyhow::Result<strike::Outcome> {
    let seconds = if attack.plan == Plan::Flood { options.seconds.max(1) } else { attack.seconds };
    let connections = attack.connections.min(options.connections);
    let mut confined = Confined::default();
    let mut group = None;
    match attack.plan {
        Plan::Files { most } => confined.files = Some(most),
        Plan::Memory { most } => {
            let made = Group::new(most)?;
            confined.memory = Some(made.folder());
            group = Some(made);
        }
        Plan::Flood | Plan::Bomb | Plan::Slow { .. } | Plan::Crowd => {}
    }
    let mut contender = start(run, kind, attack.name, confined)?;
    let strike =
        strike::Strike { attack, seconds, connections, calm_p99_us, group: group.as_ref() };
    let outcome = strike.make(&mut contender)?;
    drop(contender);
    drop(group);
    Ok(outcome)
}

fn start(run: &Run<'_>, kind: Kind, name: &str, confined: Confined) -> anyhow::Result<Contender> {
    let folder = run.folder.join(format!("{name}-{}", kind.name()));
    site::fresh_folder(&folder)?;
    let address = || anyhow::Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, driver::free_port()?)));
    let second = matches!(kind, Kind::Nginx | Kind::Haproxy);
    let site = Site {
        folder,
        listen: address()?,
        side_ports: (driver::free_port()?, driver::free_port()?),
        backends: run.backends,
        wire: Wire::Http2ToHttp1,
        tls: false,
        access_log: false,
        shape: Shape::One,
        reloads: false,
        with_new_host: false,
        second_listen: if second { Some(address()?) } else { None },
        confined,
        certificate: run.certificate.clone(),
    };
    driver::launch(run.tools, kind.name().to_owned(), kind, site)
}
