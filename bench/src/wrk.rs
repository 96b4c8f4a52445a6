//! wrk: started on the load core, its report read.

use crate::proc::{self, LOAD_CORE, pinned};
use anyhow::Context as _;
use std::{path::Path, time::Duration};

#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub(crate) requests: u64,
    /// Socket errors and statuses other than 2xx and 3xx.
    pub(crate) errors: u64,
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

pub(crate) fn run(url: &str, host: &str, connections: u32, seconds: u32) -> anyhow::Result<Report> {
    let mut command = pinned(LOAD_CORE, Path::new("wrk"));
    command.args(["-t1", "--latency", "--timeout", "5s"]);
    command.args([format!("-c{connections}"), format!("-d{seconds}s")]);
    command.args(["-H", &format!("Host: {host}"), url]);
    let text = proc::output("wrk", command, Duration::from_secs(u64::from(seconds) + 20))?;
    parse(&text).with_context(|| format!("cannot read what wrk printed: {text}"))
}

fn parse(text: &str) -> Option<Report> {
    let mut report = Report::default();
    for line in text.lines().map(str::trim) {
        if let Some((count, _)) = line.split_once(" requests in ") {
            report.requests = count.parse().ok()?;
        } else if let Some(rate) = line.strip_prefix("Requests/sec:") {
            report.per_second = rate.trim().parse().ok()?;
        } else if let Some(value) = line.strip_prefix("50%") {
            report.p50_us = microseconds(value.trim())?;
        } else if let Some(value) = line.strip_prefix("99%") {
            report.p99_us = microseconds(value.trim())?;
        } else if let Some(count) = line.strip_prefix("Non-2xx or 3xx responses:") {
            report.errors += count.trim().parse::<u64>().ok()?;
        } else if let Some(errors) = line.strip_prefix("Socket errors:") {
            let counts = errors.split(',').filter_map(|part| part.split_whitespace().nth(1));
            report.errors += counts.filter_map(|count| count.parse::<u64>().ok()).sum::<u64>();
        }
    }
    (report.requests > 0 || report.errors > 0).then_some(report)
}

/// wrk's `595.00us`, `4.72ms`, `1.20s`.
fn microseconds(text: &str) -> Option<f64> {
    for (unit, factor) in [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 60e6)] {
        if let Some(number) = text.strip_suffix(unit) {
            return number.parse::<f64>().ok().map(|number| number * factor);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_of_wrk_is_read() {
        let text = "Running 1s test @ http://127.0.0.1:1/\n  1 threads and 64 connections\n  \
                    Latency Distribution\n     50%  595.00us\n     75%    1.00ms\n     99%    4.72ms\n  \
                    70646 requests in 1.00s, 80.21MB read\n  Socket errors: connect 0, read 2, write 0, timeout 1\n  \
                    Non-2xx or 3xx responses: 3\nRequests/sec:  70600.10\nTransfer/sec:     80.16MB\n";
        let report = parse(text).unwrap();
        assert_eq!((report.requests, report.errors), (70646, 6));
        assert!((report.per_second - 70600.1).abs() < 1e-6);
        assert!((report.p50_us - 595.0).abs() < 1e-6 && (report.p99_us - 4720.0).abs() < 1e-6);
    }
}
