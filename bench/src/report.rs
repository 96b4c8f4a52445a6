//! The table for people and the raw figures for programs.

use crate::{
    driver::Run,
    measure::{Measured, Slice},
    memory::Memory,
    proxy::Kind,
    reload::Reload,
    rows::{Load, MemoryTargets, RELOAD_MS, Row},
    stats::{median, middle_half, range},
};
use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;
use std::{fmt::Write as _, path::Path, process::Command};

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Result {
    Slices(Vec<Measured>),
    Memory(Vec<Memory>),
    Reload(Vec<Reload>),
}

pub(crate) struct Document<'a> {
    pub(crate) versions: &'a [(Kind, String)],
    pub(crate) run: &'a Run<'a>,
    pub(crate) results: &'a [(&'a Row, Result)],
}

/// When, of what and where a result is.
pub(crate) struct Identity {
    pub(crate) date: String,
    pub(crate) revision: String,
    /// Whether files differ from the revision.
    pub(crate) changed: bool,
    pub(crate) kernel: String,
}

impl Identity {
    pub(crate) fn of(root: &Path) -> anyhow::Result<Self> {
        let shell = |program: &str, args: &[&str]| {
            let output = Command::new(program).args(args).current_dir(root).output();
            let output = output.with_context(|| format!("cannot run {program}"))?;
            anyhow::Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        Ok(Self {
            date: shell("date", &["-u", "+%Y-%m-%d"])?,
            revision: shell("git", &["rev-parse", "--short=10", "HEAD"])?,
            changed: !shell("git", &["status", "--porcelain", "--untracked-files=no"])?.is_empty(),
            kernel: shell("uname", &["-sr"])?,
        })
    }
}

impl Document<'_> {
    /// Writes `bench/results/DATE-REVISION.md` and `.json`.
    pub(crate) fn write(&self, root: &Path) -> anyhow::Result<()> {
        let Identity { date, revision, changed, kernel } = Identity::of(root)?;
        let name = format!("{date}-{revision}{}", if changed { "-changed" } else { "" });
        let folder = root.join("bench/results");
        std::fs::create_dir_all(&folder)?;
        let mut text = format!("# Benchmark of {date}, revision {revision}");
        text.push_str(if changed { " with uncommitted changes\n\n" } else { "\n\n" });
        writeln!(text, "{}", self.method(&kernel))?;
        for (row, result) in self.results {
            writeln!(text, "\n## {}: {}\n\n{}", row.name, row.title, self::row(row, result))?;
        }
        let markdown = folder.join(format!("{name}.md"));
        std::fs::write(&markdown, text)?;
        let raw = json!({
            "date": date, "revision": revision, "changed": changed, "kernel": kernel,
            "machine": cpu(), "passes": self.run.passes, "seconds": self.run.seconds,
            "versions": self.versions.iter().map(|(kind, version)| (kind.name(), version)).collect::<Vec<_>>(),
            "rows": self.results.iter().map(|(row, result)| (row.name, result)).collect::<Vec<_>>(),
        });
        std::fs::write(folder.join(format!("{name}.json")), format!("{raw}\n"))?;
        println!("\nwritten: bench/results/{name}.md and .json");
        Ok(())
    }

    fn method(&self, kernel: &str) -> String {
        let versions: Vec<String> = self
            .versions
            .iter()
            .filter(|(kind, _)| *kind != Kind::Relay)
            .map(|(kind, version)| format!("- {}: {version}", kind.name()))
            .collect();
        format!(
            "{machine}, {kernel}, loopback.\n\
             All proxies of a row are up at once; slices of {seconds} s rotate over them, {passes} passes, the order shifted in each.\n\
             Each proxy has one worker on core 0; backend and load generator share core 1.\n\
             CPU per request is the kernel's run time of all its threads and processes over the answered requests.\n\
             Ratios are taken within a pass; shown is their median, in brackets their middle half.\n\
             `relay` is HAProxy in TCP mode: what carrying the bytes costs.\n\n{versions}",
            machine = cpu(),
            seconds = self.run.seconds,
            passes = self.run.passes,
            versions = versions.join("\n")
        )
    }
}

pub(crate) fn cpu() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut names =
        text.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let name = names.next().map_or("unknown processor", |(_, name)| name).to_owned();
    format!("{} × {name}", names.count() + 1)
}

pub(crate) fn row(row: &Row, result: &Result) -> String {
    let text = match result {
        Result::Slices(measured) => slices(row, measured),
        Result::Memory(all) => memory(row, all),
        Result::Reload(all) => reloads(all),
    };
    text.unwrap_or_else(|error| format!("cannot format the row: {error}"))
}

fn slices(row: &Row, all: &[Measured]) -> std::result::Result<String, std::fmt::Error> {
    let find = |label: &str| all.iter().find(|measured| measured.label == label);
    let mut references: Vec<&Measured> =
        ["relay", "nginx", "haproxy"].iter().filter_map(|label| find(label)).collect();
    if references.len() < 2 {
        references.extend(find("envoy"));
    }
    let mut text = String::from("| proxy | CPU µs/request (min–max) |");
    for reference in &references {
        write!(text, " × {} |", reference.label)?;
    }
    text.push_str(" user + system µs | requests per CPU second | requests/s | p50 µs | p99 µs | p99.9 µs | RSS MiB | errors |\n|---|---|");
    text.push_str(&"---|".repeat(references.len() + 8));
    text.push('\n');
    for measured in all {
        let of = |get: fn(&Slice) -> f64| -> Vec<f64> { measured.slices.iter().map(get).collect() };
        let cpu = of(|slice| slice.cpu_us);
        let (low, high) = range(&cpu);
        write!(text, "| {} | **{:.2}** ({low:.1}–{high:.1}) |", measured.label, median(&cpu))?;
        for reference in &references {
            let ratios = ratios(measured, reference);
            let (low, high) = middle_half(&ratios);
            write!(text, " {:.2} ({low:.2}–{high:.2}) |", median(&ratios))?;
        }
        let requests: u64 = measured.slices.iter().map(|slice| slice.requests).sum();
        let per_request = |ticks: u64| ticks as f64 * 1e4 / requests.max(1) as f64;
        let user = per_request(measured.slices.iter().map(|slice| slice.user_ticks).sum());
        let system = per_request(measured.slices.iter().map(|slice| slice.system_ticks).sum());
        let errors: u64 = measured.slices.iter().map(|slice| slice.errors).sum();
        writeln!(
            text,
            " {user:.1} + {system:.1} | {:.0} | {:.0} | {} | {} | {} | {:.1} | {errors} |",
            1e6 / median(&cpu).max(0.001),
            median(&of(|slice| slice.per_second)),
            latency(measured, |slice| slice.p50_us),
            latency(measured, |slice| slice.p99_us),
            latency(measured, |slice| slice.p999_us),
            median(&of(|slice| slice.rss_kib as f64)) / 1024.0,
        )?;
    }
    for target in row.targets {
        if let (Some(ours), Some(peer)) = (find("portcullis"), find(target.peer)) {
            let reached = median(&ratios(ours, peer));
            let what = format!("portcullis / {} ≤ {}", target.peer, target.at_most);
            writeln!(text, "\n{}", verdict(&what, reached, target.at_most))?;
        }
    }
    Ok(text)
}

/// The median of a quantile over the slices, where the load generator tells it.
fn latency(measured: &Measured, get: fn(&Slice) -> Option<f64>) -> String {
    let known: Vec<f64> = measured.slices.iter().filter_map(get).collect();
    if known.is_empty() { "–".to_owned() } else { format!("{:.0}", median(&known)) }
}

/// Ratios of CPU per request, pass by pass.
fn ratios(ours: &Measured, peer: &Measured) -> Vec<f64> {
    let pairs = ours.slices.iter().zip(&peer.slices);
    pairs
        .filter(|(_, peer)| peer.cpu_us > 0.0)
        .map(|(ours, peer)| ours.cpu_us / peer.cpu_us)
        .collect()
}

fn verdict(what: &str, reached: f64, at_most: f64) -> String {
    if reached <= at_most {
        format!("Target {what}: reached, {reached:.2}.")
    } else {
        let over = (reached / at_most - 1.0) * 100.0;
        format!("Target {what}: MISSED, {reached:.2} ({over:.0} % over).")
    }
}

fn memory(row: &Row, all: &[Memory]) -> std::result::Result<String, std::fmt::Error> {
    let mut text = String::from(
        "| proxy | idle RSS MiB | idle PSS MiB | RSS with connections MiB | KiB per idle connection (PSS) |\n|---|---|---|---|---|\n",
    );
    let mib = |kib: u64| kib as f64 / 1024.0;
    for memory in all {
        writeln!(
            text,
            "| {} | {:.1} | {:.1} | {:.1} | {:.2} |",
            memory.label,
            mib(memory.idle_rss_kib),
            mib(memory.idle_pss_kib),
            mib(memory.held_rss_kib),
            memory.kib_per_connection()
        )?;
    }
    let ours = all.iter().find(|memory| memory.label == "portcullis");
    if let (Some(ours), Load::Idle { targets, .. }) = (ours, row.load) {
        text.push_str(&memory_verdicts(ours, targets));
    }
    Ok(text)
}

fn memory_verdicts(ours: &Memory, targets: MemoryTargets) -> String {
    let MemoryTargets { idle_rss_mib, kib_per_connection } = targets;
    let mut text = String::new();
    if let Some(at_most) = idle_rss_mib {
        let reached = ours.idle_rss_kib as f64 / 1024.0;
        text.push_str(&format!(
            "\n{}\n",
            verdict(&format!("idle RSS ≤ {at_most} MiB"), reached, at_most)
        ));
    }
    let what = format!("≤ {kib_per_connection} KiB per idle connection");
    let each = verdict(&what, ours.kib_per_connection(), kib_per_connection);
    text.push_str(&format!("\n{each}\n"));
    text
}

fn reloads(all: &[Reload]) -> std::result::Result<String, std::fmt::Error> {
    let mut labels: Vec<&str> = Vec::new();
    for reload in all {
        if !labels.contains(&reload.label.as_str()) {
            labels.push(&reload.label);
        }
    }
    let mut text = String::from(
        "| proxy | effective after ms (min–max) | failed of requests | kept connections dropped (of 32) | new connections failed | p99 ms | max ms | CPU ms from the change to the end |\n|---|---|---|---|---|---|---|---|\n",
    );
    for label in labels {
        let own: Vec<&Reload> = all.iter().filter(|reload| reload.label == label).collect();
        let of = |get: fn(&Reload) -> f64| -> Vec<f64> {
            own.iter().map(|reload| get(reload)).collect()
        };
        let list = |get: fn(&Reload) -> u64| {
            own.iter().map(|reload| get(reload).to_string()).collect::<Vec<_>>().join(", ")
        };
        let effective: Vec<f64> = own.iter().filter_map(|reload| reload.effective_ms).collect();
        let never = own.len() - effective.len();
        let (low, high) = range(&effective);
        let effect = if never > 0 {
            format!("never in {never} of {}", own.len())
        } else {
            format!("**{:.1}** ({low:.1}–{high:.1})", median(&effective))
        };
        writeln!(
            text,
            "| {label} | {effect} | {} of {} | {} | {} of {} | {:.1} | {:.1} | {:.0} |",
            list(|reload| reload.seen.failed),
            list(|reload| reload.seen.requests),
            list(|reload| reload.seen.dropped),
            list(|reload| reload.seen.probes_failed),
            list(|reload| reload.seen.probes),
            median(&of(|reload| reload.seen.p99_us)) / 1e3,
            median(&of(|reload| reload.seen.max_us)) / 1e3,
            median(&of(|reload| reload.cpu_ms)),
        )?;
        if label == "portcullis" && never == 0 {
            let harmed: u64 =
                own.iter().map(|r| r.seen.failed + r.seen.dropped + r.seen.probes_failed).sum();
            let what = format!("effective within {RELOAD_MS} ms, nothing failed or dropped");
            let verdict = verdict(&what, median(&effective), RELOAD_MS);
            text.push_str(&format!("| | {verdict} {harmed} harmed. | | | | | | |\n"));
        }
    }
    Ok(text)
}
