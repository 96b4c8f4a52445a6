//! A fixed rate on kept connections: latency counts from when a request was due, not from when it could be sent.

use super::{Options, Seen, http};
use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};

pub(super) async fn run(options: &Options) -> anyhow::Result<Seen> {
    let connector = http::Connector::new(options)?;
    let request = http::request(&options.host, &options.path, false);
    let totals = Rc::new(RefCell::new((Seen::default(), Vec::new())));
    let interval = Duration::from_secs_f64(options.connections as f64 / options.rate.max(1.0));
    let begin = Instant::now() + Duration::from_millis(50);
    let until = begin + Duration::from_secs_f64(options.seconds);
    let mut tasks = Vec::new();
    for number in 0..options.connections {
        let worker = Worker {
            connector: connector.clone(),
            request: Arc::clone(&request),
            interval,
            // Spread over one interval, so that the connections do not fire together.
            first: begin + interval.mul_f64(number as f64 / options.connections as f64),
            until,
            totals: Rc::clone(&totals),
        };
        tasks.push(tokio::task::spawn_local(worker.run()));
    }
    for task in tasks {
        task.await?;
    }
    let (mut seen, latencies) = totals.take();
    seen.set_latencies(&latencies);
    Ok(seen)
}

struct Worker {
    connector: http::Connector,
    request: Arc<[u8]>,
    interval: Duration,
    first: Instant,
    until: Instant,
    totals: Rc<RefCell<(Seen, Vec<f64>)>>,
}

impl Worker {
    async fn run(self) {
        let mut due = self.first;
        let mut connection = None;
        while due < self.until {
            let current = match connection.as_mut() {
                Some(current) => current,
                None => match self.connector.connect().await {
                    Ok(new) => connection.insert(new),
                    Err(_) => {
                        self.totals.borrow_mut().0.failed += 1;
                        due += self.interval;
                        sleep_until(due).await;
                        continue;
                    }
                },
            };
            tokio::select! {
                () = sleep_until(due) => {}
                () = current.closed(), if due > Instant::now() => {
                    self.totals.borrow_mut().0.dropped += 1;
                    connection = None;
                    continue;
                }
            }
            let answer = current.exchange(&self.request).await;
            let mut totals = self.totals.borrow_mut();
            match answer {
                Ok(200) => {
                    totals.0.requests += 1;
                    totals.1.push(due.elapsed().as_secs_f64() * 1e6);
                }
                Ok(_) => totals.0.failed += 1,
                Err(_) => {
                    totals.0.failed += 1;
                    connection = None;
                }
            }
            drop(totals);
            due += self.interval;
        }
    }
}
