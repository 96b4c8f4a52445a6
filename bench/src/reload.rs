//! How long a change takes to be effective, and whom it harms.

use crate::{
    driver::Contender, load::Seen, measure::generator_command, proc::Process, site::NEW_HOST,
};
use anyhow::Context as _;
use serde::Serialize;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const CONNECTIONS: u32 = 32;
const SECONDS: u32 = 5;

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reload {
    pub(crate) label: String,
    /// From before the change was written to the first answer of the new host; `None` when it never came.
    pub(crate) effective_ms: Option<f64>,
    pub(crate) cpu_ms: f64,
    pub(crate) seen: Seen,
}

pub(crate) fn measure(contender: &mut Contender) -> anyhow::Result<Reload> {
    let more = ["--rate", "1000", "--new-host", NEW_HOST];
    let command = generator_command(contender, "watch", CONNECTIONS, SECONDS, &more)?;
    let log = contender.site.file("watch.log");
    let mut generator = Process::start("the load generator", command, &log)?;
    let until = Instant::now() + Duration::from_secs(10);
    while !std::fs::read_to_string(&log)?.contains("ready") {
        generator.check()?;
        anyhow::ensure!(Instant::now() < until, "the load generator did not start in time");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_secs(1));
    let cpu = contender.process.cpu_ns();
    let changed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    contender.site.with_new_host = true;
    contender.kind.reload(&contender.process, &contender.site)?;
    let until = Instant::now() + Duration::from_secs(u64::from(SECONDS) + 20);
    let text = loop {
        let text = std::fs::read_to_string(&log)?;
        if text.contains("effective_at_us") && text.ends_with('\n') {
            break text;
        }
        anyhow::ensure!(Instant::now() < until, "the load generator did not end in time");
        std::thread::sleep(Duration::from_millis(20));
    };
    contender.process.check()?;
    let seen: Seen = serde_json::from_str(text.lines().last().context("no result")?)?;
    let effective = seen.effective_at_us.map(|at| (i128::from(at) - changed as i128) as f64 / 1e3);
    let cpu = contender.process.cpu_ns().saturating_sub(cpu);
    Ok(Reload {
        label: contender.label.clone(),
        effective_ms: effective,
        cpu_ms: cpu as f64 / 1e6,
        seen,
    })
}
