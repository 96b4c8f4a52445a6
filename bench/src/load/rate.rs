//! A fixed rate on kept connections: latency counts from when a request was due, not from when it could be sent.

use super::{Options, Seen, http};
use nix::sys::{
    time::TimeSpec,
    timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags},
};
use std::{
    cell::RefCell,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub(super) async fn run(options: &Options) -> anyhow::Result<Seen> {
    let connector = http::Connector::new(options)?;
    let request = http::request(&options.host, &options.path, false);
    let totals = Rc::new(RefCell::new((Seen::default(), Vec::new())));
    let (mut queues, mut tasks) = (Vec::new(), Vec::new());
    for _ in 0..options.connections {
        let (queue, due) = unbounded_channel();
        let worker = Worker {
            connector: connector.clone(),
            request: Arc::clone(&request),
            due,
            totals: Rc::clone(&totals),
        };
        queues.push(queue);
        tasks.push(tokio::task::spawn_local(worker.run()));
    }
    let of = options.clone();
    let pacer = std::thread::spawn(move || pace(&of, &queues));
    for task in tasks {
        task.await?;
    }
    // The workers end when it has dropped their queues.
    pacer.join().map_err(|_| anyhow::anyhow!("the pacing thread failed"))??;
    let (mut seen, latencies) = totals.take();
    seen.set_latencies(&latencies);
    Ok(seen)
}

/// Hands each request to a connection when it is due, whatever became of those before; ends early when nobody takes them. The queues have no bound because the run has one.
fn pace(options: &Options, queues: &[UnboundedSender<Instant>]) -> nix::Result<()> {
    // The runtime's own timer is late by up to a millisecond, a sleep by the thread's slack.
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
    let interval = Duration::from_secs_f64(1.0 / options.rate.max(1.0));
    let count = (options.seconds * options.rate.max(1.0)) as u32;
    let begin = Instant::now() + Duration::from_millis(50);
    for (number, queue) in (0..count).zip(queues.iter().cycle()) {
        let due = begin + interval * number;
        let wait = due.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            let after = Expiration::OneShot(TimeSpec::from_duration(wait));
            timer.set(after, TimerSetTimeFlags::empty())?;
            timer.wait()?;
        }
        if queue.send(due).is_err() {
            break;
        }
    }
    Ok(())
}

struct Worker {
    connector: http::Connector,
    request: Arc<[u8]>,
    due: UnboundedReceiver<Instant>,
    totals: Rc<RefCell<(Seen, Vec<f64>)>>,
}

impl Worker {
    async fn run(mut self) {
        let mut connection = None;
        loop {
            let current = match connection.as_mut() {
                Some(current) => current,
                None => match self.connector.connect().await {
                    Ok(new) => connection.insert(new),
                    Err(_) => {
                        let Some(_) = self.due.recv().await else { return };
                        self.totals.borrow_mut().0.failed += 1;
                        continue;
                    }
                },
            };
            let due = tokio::select! {
                biased;
                due = self.due.recv() => due,
                () = current.closed() => {
                    self.totals.borrow_mut().0.dropped += 1;
                    connection = None;
                    continue;
                }
            };
            let Some(due) = due else { return };
            let answer = current.exchange(&self.request).await;
            let mut totals = self.totals.borrow_mut();
            match answer {
                Ok(200) => {
                    totals.0.requests += 1;
                    totals.1.push(due.elapsed().as_secs_f64() * 1e6);
                }
                Ok(503) => totals.0.shed += 1,
                Ok(_) => totals.0.failed += 1,
                Err(_) => {
                    totals.0.failed += 1;
                    connection = None;
                }
            }
        }
    }
}
