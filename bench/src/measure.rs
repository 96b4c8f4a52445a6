//! Rotating one-second slices: every proxy of a row is up, one at a time gets load.

use crate::{
    driver::{Contender, Run},
    h2load,
    load::{Protocol, Seen},
    proc::{self, LOAD_CORE, pinned},
    rows::{Load, Row},
    site::{Site, Wire},
    wrk,
};
use serde::Serialize;
use std::time::Duration;

/// One slice of one proxy.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Slice {
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) per_second: f64,
    /// Nanoseconds that the proxy was on a CPU, over requests, in microseconds.
    pub(crate) cpu_us: f64,
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
    /// Latencies; `None` where the load generator does not tell.
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) p999_us: Option<f64>,
    pub(crate) rss_kib: u64,
}

/// All slices of one proxy in a row, in the order of the passes.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Measured {
    pub(crate) label: String,
    pub(crate) slices: Vec<Slice>,
}

pub(crate) fn slices(
    run: &Run<'_>,
    row: &Row,
    contenders: &mut [Contender],
) -> anyhow::Result<Vec<Measured>> {
    let mut measured: Vec<Measured> = contenders
        .iter()
        .map(|contender| Measured { label: contender.label.clone(), slices: Vec::new() })
        .collect();
    let count = contenders.len();
    // The first round warms pools, caches and branch predictors and is not kept.
    for contender in contenders.iter_mut() {
        slice(run, row, contender)?;
    }
    for pass in 0..run.passes {
        for turn in 0..count {
            let index = (turn + pass) % count;
            let Some(contender) = contenders.get_mut(index) else { continue };
            let slice = slice(run, row, contender)?;
            println!(
                "    pass {:>2}  {:<22} {:>8.2} us/request  {:>8.0} requests/s  {} errors",
                pass + 1,
                contender.label,
                slice.cpu_us,
                slice.per_second,
                slice.errors
            );
            if let Some(measured) = measured.get_mut(index) {
                measured.slices.push(slice);
            }
        }
    }
    Ok(measured)
}

fn slice(run: &Run<'_>, row: &Row, contender: &mut Contender) -> anyhow::Result<Slice> {
    contender.process.check()?;
    let ticks = contender.process.ticks();
    let before = contender.process.cpu_ns();
    let mut slice = load(run, row, contender)?;
    let cpu_ns = contender.process.cpu_ns().saturating_sub(before);
    let after = contender.process.ticks();
    slice.user_ticks = after.0.saturating_sub(ticks.0);
    slice.system_ticks = after.1.saturating_sub(ticks.1);
    slice.cpu_us = cpu_ns as f64 / 1e3 / slice.requests.max(1) as f64;
    slice.rss_kib = contender.process.memory_kib().0;
    Ok(slice)
}

fn load(run: &Run<'_>, row: &Row, contender: &Contender) -> anyhow::Result<Slice> {
    let site = &contender.site;
    match row.load {
        Load::Wrk { connections, path } => {
            let (host, path) = site.last(path);
            // A name and not an address, so that the handshake names the server.
            let scheme = if site.client_tls() { "https" } else { "http" };
            let url = format!("{scheme}://localhost:{}{path}", site.listen.port());
            let report = wrk::run(&url, &host, connections, run.seconds)?;
            Ok(Slice {
                requests: report.requests,
                errors: report.errors,
                per_second: report.per_second,
                p50_us: Some(report.p50_us),
                p99_us: Some(report.p99_us),
                ..Slice::default()
            })
        }
        Load::H2load { connections, streams } => {
            let report = h2load::run(site, connections, streams, run.seconds)?;
            Ok(Slice {
                requests: report.succeeded,
                errors: report.errors,
                per_second: report.succeeded as f64 / f64::from(run.seconds),
                ..Slice::default()
            })
        }
        Load::Echo { clients } => {
            let seen = generator(run, contender, "echo", clients, &[])?;
            Ok(from_seen(&seen, run))
        }
        Load::Handshake { connections } => {
            let seen = generator(run, contender, "handshake", connections, &[])?;
            Ok(from_seen(&seen, run))
        }
        Load::Rate { per_second, connections } => {
            let rate = per_second.to_string();
            let seen = generator(run, contender, "rate", connections, &["--rate", &rate])?;
            Ok(from_seen(&seen, run))
        }
        Load::Idle { .. } | Load::Reload => anyhow::bail!("row `{}` has no slices", row.name),
    }
}

fn from_seen(seen: &Seen, run: &Run<'_>) -> Slice {
    Slice {
        requests: seen.requests,
        errors: seen.failed + seen.shed + seen.dropped,
        per_second: seen.requests as f64 / f64::from(run.seconds),
        p50_us: Some(seen.p50_us),
        p99_us: Some(seen.p99_us),
        p999_us: Some(seen.p999_us),
        ..Slice::default()
    }
}

/// Runs our own load generator against a contender until it ends.
fn generator(
    run: &Run<'_>,
    contender: &Contender,
    kind: &str,
    connections: u32,
    more: &[&str],
) -> anyhow::Result<Seen> {
    let command = generator_command(contender, kind, connections, run.seconds, more)?;
    let limit = Duration::from_secs(u64::from(run.seconds) + 20);
    let text = proc::output("the load generator", command, limit)?;
    Ok(serde_json::from_str(text.lines().last().unwrap_or_default())?)
}

pub(crate) fn generator_command(
    contender: &Contender,
    kind: &str,
    connections: u32,
    seconds: u32,
    more: &[&str],
) -> anyhow::Result<std::process::Command> {
    command(&contender.site, kind, connections, seconds, more)
}

/// Our own load generator for a site, on the load core.
pub(crate) fn command(
    site: &Site,
    kind: &str,
    connections: u32,
    seconds: u32,
    more: &[&str],
) -> anyhow::Result<std::process::Command> {
    let path = if site.wire == Wire::Grpc { "/bench.Echo/Unary" } else { "/x" };
    let (host, path) = site.last(path);
    let protocol = match site.wire {
        Wire::Http1 | Wire::Tcp | Wire::Passthrough => Protocol::Http1,
        Wire::Http2ToHttp1 | Wire::Http2 => Protocol::Http2,
        Wire::Grpc => Protocol::Grpc,
        Wire::Udp => Protocol::Udp,
    };
    let mut command = pinned(LOAD_CORE, &std::env::current_exe()?);
    command.arg("load").arg(kind).arg(site.listen.to_string());
    command.args(["--host", &host, "--path", &path, "--protocol", protocol.name()]);
    command.args(["--connections", &connections.to_string(), "--seconds", &seconds.to_string()]);
    command.args(more);
    if site.client_tls() {
        command.arg("--trust").arg(site.file("trust.pem"));
    }
    Ok(command)
}
