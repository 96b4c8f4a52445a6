//! Connections that have made a request and stay open.

use super::{Options, Protocol, Seen, echo, http, http2};
use anyhow::ensure;
use std::time::Duration;

pub(super) async fn run(options: &Options) -> anyhow::Result<Seen> {
    let connector = http::Connector::new(options)?;
    let mut seen = Seen::default();
    let mut open = Vec::with_capacity(options.connections);
    for _ in 0..options.connections {
        match Open::new(options, &connector).await {
            Ok(connection) => {
                seen.requests += 1;
                open.push(connection);
            }
            Err(error) => {
                seen.failed += 1;
                seen.error = Some(error.to_string());
            }
        }
    }
    println!("ready");
    tokio::time::sleep(Duration::from_secs_f64(options.seconds)).await;
    drop(open);
    Ok(seen)
}

/// One connection, kept as long as this lives.
#[expect(dead_code, reason = "what is open is held, not used")]
enum Open {
    Http1(http::Connection),
    Http2(http2::Connection),
    Udp(echo::Client),
}

impl Open {
    /// Connects, makes one request and requires that it is answered well.
    async fn new(options: &Options, connector: &http::Connector) -> anyhow::Result<Self> {
        let (open, status) = match options.protocol {
            Protocol::Http1 => {
                let mut connection = connector.connect().await?;
                let request = http::request(&options.host, &options.path, false);
                let status = connection.exchange(&request).await?;
                (Self::Http1(connection), status)
            }
            Protocol::Http2 | Protocol::Grpc => {
                let mut connection = http2::Connection::open(connector).await?;
                let grpc = options.protocol == Protocol::Grpc;
                let status = connection.exchange(options, grpc).await?;
                (Self::Http2(connection), status)
            }
            Protocol::Udp => {
                let mut client = echo::Client::new(options.address).await?;
                ensure!(client.exchange().await, "no datagram came back");
                (Self::Udp(client), 200)
            }
        };
        ensure!(status == 200, "status {status}");
        Ok(open)
    }
}
