//! From one process of a site to the next. Rule: R26.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::start::Prepared;
use super::{App, Signals};
use crate::admin;
use crate::broker::Broker;
use crate::config::Config;
use crate::handover::{self, Claimant, Refused, Taken};

/// A next process that could not take everything comes back within this time, or another one. Then
/// this one serves again.
const RETURN: Duration = Duration::from_secs(3);

/// How the work of a broker ended.
pub(super) enum End {
    /// It was asked to, or the next process has everything.
    Stopped,
    /// No next process took what it keeps.
    Kept(Box<Kept>),
}

/// What a broker whose next process did not come goes on with.
pub(super) struct Kept {
    pub(super) config: Arc<Config>,
    pub(super) taken: Taken,
}

/// Takes over from the process before this one, if there is one. Meanwhile whoever asks hears that this one lives.
pub(super) async fn take(config: &Config, prepared: &Prepared) -> Result<Taken, Refused> {
    let taking = handover::take(config, &prepared.client);
    let admin = config.broker.listeners.admin.as_ref();
    let Some(socket) = admin.and_then(|admin| prepared.ports.get(&admin.bind, admin.port)) else {
        return taking.await;
    };
    let over = CancellationToken::new();
    let limit = config.limits.admin_connections;
    let (taken, ()) = tokio::join!(
        async {
            let taken = taking.await;
            over.cancel();
            taken
        },
        admin::serve_waiting(socket, limit, over.clone()),
    );
    taken
}

/// Keeps what the process before this one gave, and says so.
pub(super) fn restore(broker: &Broker, taken: Taken) {
    if taken.sections.is_empty() {
        return;
    }
    let restored = broker.restore(taken.sections);
    tracing::info!(
        messages = restored.messages,
        "what was kept before this start is here"
    );
    if restored.dropped > 0 {
        tracing::warn!(
            messages = restored.dropped,
            "what the process before this one kept could not be read and is lost"
        );
    }
}

impl App {
    /// Closes clients and links, gives everything to the next process, and is quiet until it is asked
    /// to end: whoever ended by itself would be started again. Asked a second time it ends at once.
    pub(super) async fn be_succeeded(
        mut self,
        first: Claimant,
        claimants: &mut mpsc::Receiver<Claimant>,
        signals: &mut Signals,
    ) -> End {
        let stop = CancellationToken::new();
        let is_given = {
            let mut giving = std::pin::pin!(self.hand_over(first, claimants, &stop));
            tokio::select! {
                is_given = &mut giving => is_given,
                () = signals.asked() => {
                    stop.cancel();
                    tokio::select! {
                        is_given = giving => is_given,
                        () = signals.asked() => return End::Stopped,
                    }
                }
            }
        };
        if is_given && !stop.is_cancelled() {
            signals.asked().await;
        }
        if is_given || stop.is_cancelled() {
            self.tell_lost();
            self.cancel.cancel();
            tracing::info!("broker stopped");
            return End::Stopped;
        }
        End::Kept(Box::new(self.keep().await))
    }

    /// Whether somebody has everything now.
    async fn hand_over(
        &mut self,
        mut first: Claimant,
        claimants: &mut mpsc::Receiver<Claimant>,
        stop: &CancellationToken,
    ) -> bool {
        tracing::info!("the next process of this site takes over");
        first.hold(self.close_down()).await;
        let mut next = Some(first);
        while let Some(claimant) = next {
            let error = match claimant.give(self.broker.stock()).await {
                Ok(given) => {
                    tracing::info!(messages = given.messages, "everything was handed over");
                    self.broker.clear();
                    // Until now whoever looked for it found it by this: another one might have had to.
                    self.is_ready.store(false, Ordering::Release);
                    // Peers that dial find the next process at once.
                    if let Some(link) = self.link.take() {
                        link.cancel.cancel();
                    }
                    given.release().await;
                    // Who asked meanwhile waits for an answer.
                    claimants.close();
                    while let Some(late) = claimants.recv().await {
                        late.refuse().await;
                    }
                    return true;
                }
                Err(error) => error,
            };
            tracing::warn!(%error, "not everything was handed over; it is kept for who asks next");
            next = tokio::select! {
                biased;
                () = stop.cancelled() => None,
                again = tokio::time::timeout(RETURN, claimants.recv()) => again.ok().flatten(),
            };
        }
        false
    }

    async fn close_down(&mut self) {
        self.node.begin_succession();
        self.close_clients().await;
        let patience = self.broker.config().limits.drain.duration() / 4;
        self.node.end_links(patience).await;
    }

    /// All that this broker keeps, when its ports are free.
    async fn keep(self) -> Kept {
        tracing::warn!("no next process took over: this one serves again");
        self.is_ready.store(false, Ordering::Release);
        self.free_ports().await;
        let kept = Kept {
            config: self.broker.config(),
            taken: Taken {
                sections: self.broker.stock().collect(),
                epoch: self.broker.epoch,
            },
        };
        self.broker.clear();
        kept
    }
}
