//! A fixed rate on kept connections, while new connections ask for a host that is not there yet.

use super::{Options, Seen, http, rate};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Between two probes; the time to effect is known to within this.
const PROBE_INTERVAL: Duration = Duration::from_millis(2);

pub(super) async fn run(options: &Options) -> anyhow::Result<Seen> {
    println!("ready");
    let probe = tokio::task::spawn_local(probe(options.clone()));
    let mut seen = rate::run(options).await?;
    let probe = probe.await??;
    seen.probes = probe.probes;
    seen.probes_failed = probe.probes_failed;
    seen.effective_at_us = probe.effective_at_us;
    Ok(seen)
}

async fn probe(options: Options) -> anyhow::Result<Seen> {
    let connector = http::Connector::new(&options)?;
    let request = http::request(&options.new_host, &options.path, true);
    let until = Instant::now() + Duration::from_secs_f64(options.seconds);
    let mut seen = Seen::default();
    while Instant::now() < until {
        let answer = async { connector.connect().await?.exchange(&request).await }.await;
        seen.probes += 1;
        match answer {
            Ok(200) if seen.effective_at_us.is_none() => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
                seen.effective_at_us = Some(u64::try_from(now.as_micros())?);
            }
            Ok(_) => {}
            Err(_) => seen.probes_failed += 1,
        }
        tokio::time::sleep(PROBE_INTERVAL).await;
    }
    Ok(seen)
}
