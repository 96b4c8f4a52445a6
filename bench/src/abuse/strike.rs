//! One attack: victim and attacker beside each other, and what became of the proxy.

use super::{
    attacks::{self, Attack, Plan, VICTIM_CONNECTIONS, VICTIM_RATE},
    group::Group,
    plain::{self, Probe},
    watch::{Sample, Watch, sample},
};
use crate::{
    attack::Struck,
    driver::Contender,
    load::Seen,
    proc::{LOAD_CORE, Process, pinned},
};
use anyhow::{Context as _, ensure};
use clap::ValueEnum as _;
use serde::Serialize;
use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    time::{Duration, Instant},
};

/// A p99 below this counts as this.
pub(super) const LEAST_P99_US: f64 = 500.0;

pub(super) struct Strike<'a> {
    pub(super) attack: &'a Attack,
    pub(super) seconds: u32,
    pub(super) connections: u32,
    pub(super) calm_p99_us: f64,
    pub(super) group: Option<&'a Group>,
}

/// Something that was to stay at or below a bound.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Fact {
    pub(super) what: String,
    pub(super) reached: f64,
    pub(super) at_most: f64,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct Outcome {
    pub(super) attack: &'static str,
    pub(super) title: &'static str,
    pub(super) label: String,
    pub(super) seconds: u32,
    /// Attacking connections at a time.
    pub(super) connections: u32,
    pub(super) struck: Struck,
    pub(super) victim: Seen,
    pub(super) calm_p99_us: f64,
    /// Requests of the attacker that reached the backend.
    pub(super) upstream: u64,
    pub(super) rss_before_kib: u64,
    pub(super) rss_peak_kib: u64,
    pub(super) facts: Vec<Fact>,
}

impl Outcome {
    pub(super) fn grown_mib(&self) -> f64 {
        self.rss_peak_kib.saturating_sub(self.rss_before_kib) as f64 / 1024.0
    }

    /// Memory over the bytes that were sent for it.
    pub(super) fn amplification(&self) -> f64 {
        self.grown_mib() * 1024.0 * 1024.0 / self.struck.bytes.max(1) as f64
    }
}

/// The moments of an attack.
struct Times {
    begun: Instant,
    /// The attacker says that it has begun, or that all is open.
    ready: Instant,
    ended: Instant,
}

/// The victim alone.
pub(super) fn calm(contender: &Contender) -> anyhow::Result<Seen> {
    Generator::victim(contender, 3)?.finish(Duration::from_secs(20))
}

impl Strike<'_> {
    pub(super) fn make(&self, contender: &mut Contender) -> anyhow::Result<Outcome> {
        let count = || -> anyhow::Result<u64> {
            Ok(plain::get(contender.site.backends.http1, "/count")?.trim().parse()?)
        };
        let pids = contender.process.pids();
        let with_files = matches!(self.attack.plan, Plan::Slow { .. });
        let before = (count()?, sample(&pids, true));
        let probe = self.probe(contender);
        let watch = Watch::start(pids.clone(), with_files);
        // Where connections run out, the victim has its own before.
        let early = matches!(self.attack.plan, Plan::Crowd | Plan::Files { .. });
        let mut victim = None;
        if early {
            victim = Some(Generator::victim(contender, self.seconds)?);
            std::thread::sleep(Duration::from_millis(500));
        }
        let begun = Instant::now();
        let mut attacker = Generator::attacker(contender, self)?;
        attacker.wait_ready(Duration::from_secs(60))?;
        let ready = Instant::now();
        let victim = match victim {
            Some(victim) => victim,
            None => Generator::victim(contender, self.seconds.saturating_sub(1).max(1))?,
        };
        let busy = self.blocked_share(contender);
        let limit = Duration::from_secs(u64::from(self.seconds) + 40);
        let victim: Seen = victim.finish(limit)?;
        let struck: Struck = attacker.finish(limit)?;
        let times = Times { begun, ready, ended: Instant::now() };
        let gone = contender.process.check().is_err();
        let recovered = if gone { f64::from(u16::MAX) } else { recovered(contender) };
        let freed = self.freed(&pids, &before.1, times.ended);
        let samples = watch.stop();
        let mut outcome = Outcome {
            attack: self.attack.name,
            title: self.attack.title,
            label: contender.label.clone(),
            seconds: self.seconds,
            connections: self.connections,
            struck,
            victim,
            calm_p99_us: self.calm_p99_us,
            upstream: count()?.saturating_sub(before.0),
            rss_before_kib: before.1.rss_kib,
            rss_peak_kib: samples.iter().map(|sample| sample.rss_kib).max().unwrap_or(0),
            facts: Vec::new(),
        };
        outcome.facts = self.facts(&outcome, gone);
        outcome.facts.extend(match self.attack.plan {
            Plan::Slow { deadline } => closings(&samples, &before.1, &times, deadline),
            Plan::Bomb => vec![Fact {
                what: "memory given back after s".to_owned(),
                reached: freed,
                at_most: attacks::FREED_SECONDS,
            }],
            Plan::Crowd => vec![Fact {
                what: "share of a core while blocked".to_owned(),
                reached: busy,
                at_most: attacks::BLOCKED_CPU,
            }],
            Plan::Flood | Plan::Files { .. } | Plan::Memory { .. } => Vec::new(),
        });
        outcome.facts.extend(probe.map(unanswered));
        outcome.facts.push(Fact {
            what: "answers again after s".to_owned(),
            reached: recovered,
            at_most: attacks::RECOVER_SECONDS,
        });
        Ok(outcome)
    }

    /// Asks for health all the while, where files run out.
    fn probe(&self, contender: &Contender) -> Option<Probe> {
        let health = SocketAddr::from((Ipv4Addr::LOCALHOST, contender.site.side_ports.0));
        matches!(self.attack.plan, Plan::Files { .. }).then(|| Probe::start(health, "/livez"))
    }

    /// What follows from the outcome alone.
    fn facts(&self, outcome: &Outcome, gone: bool) -> Vec<Fact> {
        let mut facts = Vec::new();
        let mut fact = |what: &str, reached: f64, at_most: f64| {
            facts.push(Fact { what: what.to_owned(), reached, at_most });
        };
        fact("proxy gone", f64::from(u8::from(gone)), 0.0);
        // Where there is no memory for all, some requests are refused on purpose.
        if !matches!(self.attack.plan, Plan::Memory { .. }) {
            fact("victim requests lost", outcome.victim.failed as f64, 0.0);
        }
        let p99 = outcome.victim.p99_us / outcome.calm_p99_us;
        match self.attack.plan {
            Plan::Flood => {
                fact("victim p99 over calm", p99, attacks::P99_RATIO);
                let each = outcome.upstream as f64 / outcome.struck.connections.max(1) as f64;
                fact(
                    "upstream requests for each connection",
                    each,
                    attacks::UPSTREAM_PER_CONNECTION,
                );
                fact("MiB more", outcome.grown_mib(), attacks::FLOOD_MIB);
            }
            Plan::Bomb => fact("MiB", outcome.rss_peak_kib as f64 / 1024.0, attacks::BOMB_MIB),
            Plan::Memory { .. } => {
                let kills = self.group.map_or(0, Group::kills);
                fact("processes ended by the kernel", kills as f64, 0.0);
            }
            Plan::Slow { .. } | Plan::Crowd | Plan::Files { .. } => {}
        }
        facts
    }

    /// Seconds from the end of the attack until the memory is nearly what it was, where that is asked for.
    fn freed(&self, pids: &[u32], before: &Sample, ended: Instant) -> f64 {
        if self.attack.plan != Plan::Bomb {
            return 0.0;
        }
        let enough = before.rss_kib + (attacks::FREED_MIB * 1024.0) as u64;
        let limit = Duration::from_secs_f64(attacks::FREED_SECONDS + 1.0);
        while sample(pids, false).rss_kib > enough && ended.elapsed() < limit {
            std::thread::sleep(Duration::from_millis(100));
        }
        ended.elapsed().as_secs_f64()
    }

    /// Share of a core in two seconds in which all connections are taken.
    fn blocked_share(&self, contender: &Contender) -> f64 {
        if self.attack.plan != Plan::Crowd {
            return 0.0;
        }
        std::thread::sleep(Duration::from_millis(300));
        let (cpu, started) = (contender.process.cpu_ns(), Instant::now());
        std::thread::sleep(Duration::from_secs(2));
        let used = contender.process.cpu_ns().saturating_sub(cpu) as f64 / 1e9;
        used / started.elapsed().as_secs_f64()
    }
}

fn unanswered(probe: Probe) -> Fact {
    let (answered, failed) = probe.stop();
    let what = format!("of {} health requests unanswered", answered + failed);
    Fact { what, reached: failed as f64, at_most: 0.0 }
}

/// When the connections of a slow attack were closed, by the open files of the proxy.
fn closings(samples: &[Sample], before: &Sample, times: &Times, deadline: f64) -> Vec<Fact> {
    let most = samples.iter().map(|sample| sample.files).max().unwrap_or(0);
    let nearly = (most - before.files) / 50;
    let after = |from: Instant, found: Option<&Sample>| {
        found.map_or(f64::from(u16::MAX), |sample| {
            sample.at.saturating_duration_since(from).as_secs_f64()
        })
    };
    // What comes and goes with the victim is less than two in a hundred.
    let peak = samples.iter().rposition(|sample| sample.files == most).unwrap_or(0);
    let falling = samples.get(peak..).unwrap_or_default();
    let first = falling.iter().find(|sample| sample.files + nearly < most);
    let last = falling.iter().find(|sample| sample.files <= before.files + nearly + 16);
    let early = deadline - after(times.begun, first);
    let late = after(times.ready, last) - deadline;
    let fact = |what: &str, reached: f64| Fact {
        what: what.to_owned(),
        reached,
        at_most: attacks::AROUND,
    };
    vec![fact("first closed s too early", early), fact("last closed s too late", late)]
}

/// Seconds until a new connection is served.
fn recovered(contender: &Contender) -> f64 {
    let started = Instant::now();
    let limit = Duration::from_secs(20);
    let address = contender.site.second_listen.unwrap_or(contender.site.listen);
    while plain::get(address, "/x").is_err() && started.elapsed() < limit {
        std::thread::sleep(Duration::from_millis(10));
    }
    started.elapsed().as_secs_f64()
}

/// A load generator or an attacker that runs beside others.
struct Generator {
    process: Process,
    log: std::path::PathBuf,
}

impl Generator {
    fn victim(contender: &Contender, seconds: u32) -> anyhow::Result<Self> {
        let address = contender.site.second_listen.unwrap_or(contender.site.listen);
        let mut command = pinned(LOAD_CORE, &std::env::current_exe()?);
        command.args(["load", "rate", &address.to_string(), "--host", "localhost"]);
        command.args(["--connections", &VICTIM_CONNECTIONS.to_string()]);
        command.args(["--rate", &VICTIM_RATE.to_string(), "--seconds", &seconds.to_string()]);
        Self::start("the victim", contender, command)
    }

    fn attacker(contender: &Contender, strike: &Strike<'_>) -> anyhow::Result<Self> {
        let kind = strike.attack.kind.to_possible_value().context("an attack without a name")?;
        let mut command = pinned(LOAD_CORE, std::path::Path::new("nice"));
        // The victim shares its core and is not to wait for it.
        command.args(["-n", "19"]).arg(std::env::current_exe()?);
        command.args(["attack", kind.get_name(), &contender.site.listen.to_string()]);
        command.args(["--connections", &strike.connections.to_string()]);
        command.args(["--seconds", &strike.seconds.to_string()]);
        Self::start("the attacker", contender, command)
    }

    fn start(name: &str, contender: &Contender, command: Command) -> anyhow::Result<Self> {
        let log = contender.site.file(&format!("{}.log", name.replace(' ', "-")));
        let process = Process::start(name, command, &log)?;
        Ok(Self { process, log })
    }

    fn wait_ready(&mut self, limit: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + limit;
        while !std::fs::read_to_string(&self.log)?.contains("ready") {
            self.process.check()?;
            ensure!(Instant::now() < until, "the attacker did not begin within {limit:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Waits for the last line of its output.
    fn finish<T: serde::de::DeserializeOwned>(self, limit: Duration) -> anyhow::Result<T> {
        let until = Instant::now() + limit;
        loop {
            let text = std::fs::read_to_string(&self.log)?;
            let last = text.lines().last().unwrap_or_default();
            if last.starts_with('{') && text.ends_with('\n') {
                return Ok(serde_json::from_str(last)?);
            }
            ensure!(Instant::now() < until, "no result within {limit:?}: {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
