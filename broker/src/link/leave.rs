//! This broker leaves the mesh. Rule: R24.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::node::{Node, now};
use crate::mesh::event::Event;

impl Node {
    /// Leaves the mesh: others route around and take what waits in queues (R24), then every link says
    /// good-bye.
    pub async fn leave(&self, patience: Duration) {
        self.is_leaving.store(true, Ordering::Release);
        self.control(Event::Leave);
        let deadline = now().plus(patience);
        while now() < deadline && !(self.hand_over() && self.are_rings_empty()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.control(Event::Stop);
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.cancel.cancel();
    }

    pub(super) fn are_rings_empty(&self) -> bool {
        let links = self.links.load();
        links.iter().flatten().all(|link| link.ring().is_empty())
    }
}
