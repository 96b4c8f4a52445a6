//! How a process ends: who asked, how far it is, and who waits for that.

use std::convert::Infallible;

use tokio::{sync::mpsc, task::JoinHandle};

use super::Running;
use crate::{config::Config, limits};

/// How far the process has come towards its end. It never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Serving,
    /// Not ready any longer; connections are accepted, since some are still sent here.
    Draining,
    /// Nothing new is accepted; what is open may finish.
    Closing,
}

impl Phase {
    /// Begins to drain; whether that is news.
    pub(crate) fn begin(&mut self) -> bool {
        let begins = *self == Self::Serving;
        if begins {
            *self = Self::Draining;
        }
        begins
    }
}

/// How the process was asked to end.
pub(crate) enum End {
    /// SIGTERM, or the admin endpoint: orchestrated, so keep accepting for a while.
    Graceful,
    /// Ctrl-C.
    Quick,
}

/// The admin endpoint while it is served.
pub(crate) struct Admin {
    pub(crate) accepting: JoinHandle<()>,
    /// Ends when no connection is open any longer: each holds a sender.
    pub(crate) open: mpsc::Receiver<Infallible>,
}

impl Running {
    /// Waits until somebody wants the process to end. May be dropped at any time.
    pub(crate) async fn end(&mut self) -> End {
        let mut phase = self.shared.phase.subscribe();
        let asked = async { phase.wait_for(|phase| *phase != Phase::Serving).await.is_ok() };
        tokio::select! {
            true = asked => End::Graceful,
            Some(()) = self.terminate.recv() => End::Graceful,
            Some(()) = self.interrupt.recv() => End::Quick,
        }
    }

    /// Lets open connections finish.
    pub(crate) async fn drain(&mut self, end: &End, config: &Config) {
        self.drain_unless(end, config, std::future::pending()).await;
    }

    /// As [`Self::drain`]; once `unwanted` is done, nobody sends new connections any longer, and
    /// none are waited for.
    pub(crate) async fn drain_unless(
        &mut self,
        end: &End,
        config: &Config,
        unwanted: impl Future<Output = ()>,
    ) {
        self.shared.phase.send_if_modified(Phase::begin);
        self.drain_proxy(end, config, unwanted).await;
        self.shared.phase.send_replace(Phase::Closing);
        if matches!(end, End::Graceful) {
            self.see_off().await;
        }
    }

    async fn drain_proxy(
        &mut self,
        end: &End,
        config: &Config,
        unwanted: impl Future<Output = ()>,
    ) {
        let Some(proxy) = &self.shared.proxy else { return };
        let min = match end {
            End::Graceful => config.drain_min.value,
            End::Quick => std::time::Duration::ZERO,
        };
        let enough = async {
            tokio::select! {
                () = tokio::time::sleep(min) => {}
                () = unwanted => {}
            }
            self.shared.phase.send_replace(Phase::Closing);
        };
        tracing::info!(connections = proxy.connections(), "draining");
        tokio::select! {
            cut = proxy.drain_after(enough, config.drain_deadline.value) => {
                if cut > 0 {
                    tracing::warn!(connections = cut, "closed at the drain deadline");
                }
                tracing::info!("done");
            }
            Some(()) = self.interrupt.recv() => tracing::warn!("ended at once, as asked"),
        }
    }

    /// Lets those who wait for the drain hear of it and end. A preStop hook runs in our container:
    /// it is killed when we end, and would be reported as failed.
    async fn see_off(&mut self) {
        let Some(mut admin) = self.admin.take() else { return };
        admin.accepting.abort();
        let closed = tokio::time::timeout(limits::ADMIN_CLOSE_MAX, admin.open.recv()).await;
        if closed.is_err() {
            tracing::debug!("a client of the admin port stayed until the end");
        }
    }
}
