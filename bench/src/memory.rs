//! Memory of an idle proxy, and what each idle connection adds.

use crate::{driver::Contender, measure::generator_command, proc::Process};
use serde::Serialize;
use std::time::{Duration, Instant};

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) label: String,
    pub(crate) idle_rss_kib: u64,
    pub(crate) idle_pss_kib: u64,
    pub(crate) held_rss_kib: u64,
    pub(crate) held_pss_kib: u64,
    pub(crate) connections: u32,
}

impl Memory {
    /// KiB of proportional set size that each connection added.
    pub(crate) fn kib_per_connection(&self) -> f64 {
        let added = self.held_pss_kib as f64 - self.idle_pss_kib as f64;
        added / f64::from(self.connections.max(1))
    }
}

pub(crate) fn measure(contender: &mut Contender, connections: u32) -> anyhow::Result<Memory> {
    // One request has been answered by now; what it allocated is part of being idle.
    std::thread::sleep(Duration::from_secs(1));
    let idle = contender.process.memory_kib();
    let command = generator_command(contender, "idle", connections, 60, &[])?;
    let log = contender.site.file("idle.log");
    let mut generator = Process::start("the load generator", command, &log)?;
    let until = Instant::now() + Duration::from_secs(30);
    while !std::fs::read_to_string(&log)?.contains("ready") {
        generator.check()?;
        anyhow::ensure!(Instant::now() < until, "the idle connections were not made in time");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Buffers may be given back with a delay.
    std::thread::sleep(Duration::from_secs(3));
    contender.process.check()?;
    let held = contender.process.memory_kib();
    Ok(Memory {
        label: contender.label.clone(),
        idle_rss_kib: idle.0,
        idle_pss_kib: idle.1,
        held_rss_kib: held.0,
        held_pss_kib: held.1,
        connections,
    })
}
