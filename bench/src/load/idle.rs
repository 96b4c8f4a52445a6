//! Connections that have made a request and stay open.

use super::{Options, Seen, http};
use std::time::Duration;

pub(super) async fn run(options: &Options) -> anyhow::Result<Seen> {
    let connector = http::Connector::new(options)?;
    let request = http::request(&options.host, &options.path, false);
    let mut seen = Seen::default();
    let mut open = Vec::with_capacity(options.connections);
    for _ in 0..options.connections {
        let mut connection = connector.connect().await?;
        match connection.exchange(&request).await {
            Ok(200) => seen.requests += 1,
            Ok(_) | Err(_) => seen.failed += 1,
        }
        open.push(connection);
    }
    println!("ready");
    tokio::time::sleep(Duration::from_secs_f64(options.seconds)).await;
    drop(open);
    Ok(seen)
}
