//! New connections as fast as they are answered.

use super::{Options, Seen, http};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) async fn run(options: &Options) -> anyhow::Result<Seen> {
    let connector = http::Connector::new(options)?;
    let request = http::request(&options.host, &options.path, true);
    let until = Instant::now() + Duration::from_secs_f64(options.seconds);
    let mut tasks = Vec::new();
    for _ in 0..options.connections {
        let (connector, request) = (connector.clone(), Arc::clone(&request));
        tasks.push(tokio::task::spawn_local(async move {
            let (mut failed, mut latencies) = (0_u64, Vec::new());
            while Instant::now() < until {
                let started = Instant::now();
                let answer = async { connector.connect().await?.exchange(&request).await }.await;
                match answer {
                    Ok(200) => latencies.push(started.elapsed().as_secs_f64() * 1e6),
                    Ok(_) | Err(_) => failed += 1,
                }
            }
            (failed, latencies)
        }));
    }
    let (mut seen, mut latencies) = (Seen::default(), Vec::new());
    for task in tasks {
        let (failed, mut own) = task.await?;
        seen.failed += failed;
        latencies.append(&mut own);
    }
    seen.requests = latencies.len() as u64;
    seen.set_latencies(&latencies);
    Ok(seen)
}
