//! h2load: started on the load core, its report read.

use crate::{
    proc::{self, LOAD_CORE, pinned},
    site::{Site, Wire},
};
use anyhow::Context as _;
use std::{path::Path, time::Duration};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Requests that were answered with a status of 200 to 399.
    pub(crate) succeeded: u64,
    pub(crate) errors: u64,
}

/// A message of gRPC: a hundred bytes of content.
pub(crate) fn message() -> Vec<u8> {
    let mut message = vec![0, 0, 0, 0, 100];
    message.resize(105, b'x');
    message
}

pub(crate) fn run(
    site: &Site,
    connections: u32,
    streams: u32,
    seconds: u32,
) -> anyhow::Result<Report> {
    let mut command = pinned(LOAD_CORE, Path::new("h2load"));
    command.args(["-t1", &format!("-c{connections}"), &format!("-m{streams}")]);
    command.arg(format!("-D{seconds}"));
    let mut path = "/x";
    if site.wire == Wire::Grpc {
        path = "/bench.Echo/Unary";
        let file = site.file("message");
        std::fs::write(&file, message())?;
        command.arg("-d").arg(file);
        command.args(["-H", "content-type: application/grpc", "-H", "te: trailers"]);
    }
    let scheme = if site.client_tls() { "https" } else { "http" };
    command.arg(format!("{scheme}://localhost:{}{path}", site.listen.port()));
    let text = proc::output("h2load", command, Duration::from_secs(u64::from(seconds) + 20))?;
    parse(&text).with_context(|| format!("cannot read what h2load printed: {text}"))
}

fn parse(text: &str) -> Option<Report> {
    let line = text.lines().find_map(|line| line.strip_prefix("requests: "))?;
    let mut report = Report::default();
    for part in line.split(", ") {
        let (count, name) = part.split_once(' ')?;
        let count: u64 = count.parse().ok()?;
        match name {
            "succeeded" => report.succeeded = count,
            // What runs at the end of the time is neither done nor failed.
            "failed" | "timeout" => report.errors += count,
            _ => {}
        }
    }
    Some(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_h2load_is_read() {
        let text = "finished in 1.00s, 93185.00 req/s, 97.66MB/s\n\
                    requests: 93185 total, 93313 started, 93185 done, 93180 succeeded, 5 failed, 0 errored, 0 timeout\n\
                    status codes: 93180 2xx, 0 3xx, 0 4xx, 5 5xx\n";
        assert_eq!(parse(text), Some(Report { succeeded: 93180, errors: 5 }));
        assert_eq!(parse("nothing"), None);
    }
}
