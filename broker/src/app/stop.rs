//! The end of a broker.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::App;
use crate::lost::Lost;

impl App {
    /// Stops accepting, closes clients at the drain rate, and ends.
    pub(super) async fn stop(&mut self) {
        self.is_ready.store(false, Ordering::Release);
        self.close_clients().await;
        let patience = self.broker.config().limits.drain.duration() / 4;
        self.node.leave(patience).await;
        self.tell_lost();
        self.cancel.cancel();
        tracing::info!("broker stopped");
    }

    pub(super) async fn close_clients(&mut self) {
        self.listeners.close();
        let limits = self.broker.config().limits.clone();
        let connections = self.broker.connections.all();
        let rate = f64::from(limits.drain_rate);
        let allowed = (limits.drain.duration() / 2).as_secs_f64();
        let pause = (1.0 / rate).min(allowed / (connections.len().max(1) as f64));
        for connection in connections {
            connection.cancel.cancel();
            tokio::time::sleep(Duration::from_secs_f64(pause)).await;
        }
    }

    /// Closes every port, and returns when they are free.
    pub(super) async fn free_ports(&self) {
        self.cancel.cancel();
        self.holders.close();
        self.holders.wait().await;
    }

    /// Logs what this stop takes with it, and leaves it in the state folder.
    pub(super) fn tell_lost(&self) {
        let queues = self.broker.queues.all();
        let depths = queues.iter().map(|cell| {
            let depth = u64::try_from(cell.numbers().depth).unwrap_or(u64::MAX);
            (cell.destination.name.to_string(), depth)
        });
        let lost = Lost::count(depths);
        if lost.messages > 0 {
            tracing::warn!(
                messages = lost.messages,
                queues = lost.queues.len(),
                "queue messages are lost: no other site has a consumer for them, or they could not be handed over in time"
            );
        }
        let kept = lost.keep(self.folder.path());
        if let Err(error) = kept {
            tracing::warn!(%error, "what is lost cannot be written to the state folder");
        }
    }
}
