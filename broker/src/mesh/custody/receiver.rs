//! The receiver's part of the machine: transfers in, outcomes out (R17).

use std::time::Duration;

use bytes::Bytes;

use super::Custody;
use super::event::{Credit, Effect, Effects, Outcome, Refusal, TransferId};
use super::incoming::Waiting;
use crate::mesh::frame::{TransferHead, XF_LEARNED, XF_PERSISTENT, XF_REDELIVERED};
use crate::mesh::ids::{Bid, Now};
use crate::mesh::messages::Body;

/// Streams of an earlier process, and those that were given up, are remembered for so long after
/// their last use: twice the time a frame may wander.
const GRACE: Duration = Duration::from_secs(60);

impl Custody {
    pub(super) fn on_transfer(
        &mut self,
        head: TransferHead,
        envelope: Bytes,
        expires: Option<Now>,
        now: Now,
        out: &mut Effects,
    ) {
        // What was meant for another process of this broker may have had its outcome there, and be
        // with another broker since. What is still open its owner sends again, to this process.
        let is_meant = head.to == self.config.own && head.to_epoch == self.config.epoch.0;
        if !is_meant || head.seq == 0 {
            return;
        }
        let key = (head.owner, head.stream_epoch, head.stream);
        let room = self.config.reorder_bytes.saturating_sub(self.reorder_bytes);
        let incoming = self.incoming.entry(key).or_default();
        let before = incoming.reorder_bytes();
        let mut ready = Vec::new();
        let transfer = Waiting {
            head,
            envelope,
            expires,
        };
        incoming.take(transfer, room, now, |transfer| ready.push(transfer));
        self.reorder_bytes = self.reorder_bytes + incoming.reorder_bytes() - before;
        for transfer in ready {
            self.arrived(transfer, now, out);
        }
    }

    fn arrived(&mut self, transfer: Waiting, now: Now, out: &mut Effects) {
        let Waiting {
            head,
            envelope,
            expires,
        } = transfer;
        let TransferHead {
            owner,
            stream_epoch,
            stream,
            seq,
            ..
        } = head;
        let id = TransferId {
            owner,
            stream_epoch,
            stream,
            seq,
        };
        if envelope.is_empty() {
            // A void: its owner took the message back, and asks whether it had been accepted.
            self.on_outcomes(
                &[Outcome {
                    id,
                    refused: Some(Refusal::NotAllowed),
                }],
                now,
                out,
            );
            return;
        }
        let credit = if head.has(XF_LEARNED) {
            Credit::Learned
        } else if head.grant != 0 && self.grants.use_one(owner, head.grant, now) {
            Credit::Granted
        } else {
            Credit::Standing
        };
        out.push(Effect::Arrived {
            id,
            envelope,
            expires,
            moves: head.moves.saturating_add(1),
            is_redelivered: head.has(XF_REDELIVERED),
            is_persistent: head.has(XF_PERSISTENT),
            credit,
        });
    }

    pub(super) fn on_outcomes(&mut self, outcomes: &[Outcome], now: Now, out: &mut Effects) {
        let mut due = Vec::new();
        for Outcome { id, refused } in outcomes {
            let key = (id.owner, id.stream_epoch, id.stream);
            let Some(incoming) = self.incoming.get_mut(&key) else {
                continue;
            };
            if incoming.outcome(id.seq, *refused, now) && !due.contains(&key) {
                due.push(key);
            }
        }
        for key in due {
            self.send_ack(key, out);
        }
    }

    fn send_ack(&mut self, key: (Bid, u64, u32), out: &mut Effects) {
        if let Some(incoming) = self.incoming.get_mut(&key) {
            let body = Body::Xack(incoming.ack(key.1, key.2, self.config.epoch));
            out.push(Effect::Route { to: key.0, body });
        }
    }

    pub(super) fn tick_incoming(&mut self, now: Now, out: &mut Effects) {
        let mut due = Vec::new();
        for (key, incoming) in &mut self.incoming {
            let before = incoming.reorder_bytes();
            if incoming.tick(now) {
                due.push(*key);
            }
            self.reorder_bytes = self.reorder_bytes + incoming.reorder_bytes() - before;
        }
        for key in due {
            self.send_ack(key, out);
        }
        let peers = &self.peers;
        self.incoming.retain(|(owner, stream_epoch, _), incoming| {
            let is_current = peers
                .get(owner)
                .is_none_or(|peer| peer.epoch.0 == *stream_epoch);
            let is_live = is_current && !incoming.is_unknown();
            is_live || !incoming.is_settled() || now.since(incoming.used) < GRACE
        });
    }

    pub(super) fn forget_incoming(&mut self, owner: Bid) {
        self.incoming.retain(|key, incoming| {
            let is_kept = key.0 != owner || !incoming.is_settled();
            if !is_kept {
                self.reorder_bytes -= incoming.reorder_bytes();
            }
            is_kept
        });
    }
}
