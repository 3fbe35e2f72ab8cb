//! What the rings of the links tell about their states (3.5).

use std::time::Duration;

use super::Mesh;
use super::ending::After;
use crate::mesh::event::{Actions, Counter, RingLevel};
use crate::mesh::ids::{LinkId, Now};
use crate::mesh::messages::Reason;
use crate::mesh::session::LinkState;

/// A ring that is high for this long throttles its link.
pub(super) const THROTTLED_AFTER: Duration = Duration::from_secs(1);

impl Mesh {
    pub(super) fn ring(&mut self, id: LinkId, level: RingLevel, now: Now, out: &mut Actions) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        let Some(conn) = link.up else { return };
        match level {
            RingLevel::High | RingLevel::Full => {
                link.high_since.get_or_insert(now);
            }
            RingLevel::Free => {
                link.high_since = None;
                self.show_if(id, LinkState::Throttled, LinkState::Up, "", now, out);
            }
            RingLevel::Blocked => {
                self.show_if(
                    id,
                    LinkState::Throttled,
                    LinkState::Blocked,
                    "no_ack",
                    now,
                    out,
                );
                self.show_if(id, LinkState::Up, LinkState::Blocked, "no_ack", now, out);
            }
            RingLevel::Moving => {
                self.show_if(id, LinkState::Blocked, LinkState::Up, "", now, out);
            }
            RingLevel::Stalled => {
                Self::count(Counter::Disconnects("stalled"), out);
                let after = After::down("stalled");
                self.say_bye(
                    conn,
                    Reason::Stalled,
                    "nothing was acknowledged",
                    after,
                    now,
                    out,
                );
            }
        }
    }

    pub(super) fn set_pending(&mut self, pending: &[(LinkId, u64)]) {
        for (id, messages) in pending {
            if let Some(link) = self.link_mut(*id) {
                link.pending = *messages;
            }
        }
    }

    pub(super) fn throttle_due(&mut self, now: Now, out: &mut Actions) {
        let high: Vec<LinkId> = self
            .numbered()
            .filter(|(_, link)| link.state == LinkState::Up)
            .filter(|(_, link)| {
                link.high_since
                    .is_some_and(|since| now.since(since) >= THROTTLED_AFTER)
            })
            .map(|(id, _)| id)
            .collect();
        for id in high {
            self.show(id, LinkState::Throttled, "window", now, out);
        }
    }

    fn show_if(
        &mut self,
        id: LinkId,
        is: LinkState,
        becomes: LinkState,
        reason: &'static str,
        now: Now,
        out: &mut Actions,
    ) {
        if self.link_of(id).is_some_and(|link| link.state == is) {
            self.show(id, becomes, reason, now, out);
        }
    }
}
