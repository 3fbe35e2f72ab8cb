//! The owner's part of the machine: outcomes, doubt, changes of the map (R17).

use std::collections::BTreeMap;

use super::event::{Effect, Effects, Refusal, ReturnReason};
use super::outgoing::{Charge, Item, ItemState, Stream};
use super::{Custody, Outlet, Peer};
use crate::mesh::ids::{Bid, Epoch, Now};
use crate::mesh::messages::TransferAck;

impl Custody {
    pub(super) fn on_ack(&mut self, from: Bid, ack: &TransferAck, now: Now, out: &mut Effects) {
        let key = [(from, false), (from, true)].into_iter().find(|key| {
            self.streams
                .get(key)
                .is_some_and(|s| (s.epoch, s.number) == (ack.stream_epoch, ack.stream))
        });
        let Some(key) = key else { return };
        let peer = self.peers.get(&from);
        // Another process of the receiver: what it refused the present one may have accepted.
        if peer.is_none_or(|peer| ack.epoch != peer.epoch.0) {
            return;
        }
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        let was_spent = stream.is_full() || self.peers.get(&from).is_some_and(Peer::is_spent);
        let refused: BTreeMap<u64, u32> = ack.refused.iter().map(|r| (r.seq, r.why)).collect();
        let mut settled = Vec::new();
        while let Some((seq, item)) = stream.pop(ack.upto, now) {
            settled.push((item, refused.get(&seq).map(|why| Refusal::from_code(*why))));
        }
        let mut lost = Vec::new();
        if ack.unknown {
            lost.extend(stream.drain());
            self.streams.remove(&key);
        } else {
            stream.pump(now, out);
        }
        for (item, refused) in settled {
            self.settle(from, item, refused, now, out);
        }
        for item in lost {
            self.take_back(from, item, out);
        }
        if was_spent {
            self.look_at_all(out);
        }
    }

    /// The receiver accepted or refused one.
    fn settle(
        &mut self,
        to: Bid,
        mut item: Item,
        refused: Option<Refusal>,
        now: Now,
        out: &mut Effects,
    ) {
        self.refund(to, &item);
        let (queue, token) = (item.queue.clone(), item.token);
        match (item.state, refused) {
            (ItemState::Doubted, None) => {
                self.counters.recalled += 1;
                out.push(Effect::Recall { queue, token });
            }
            (ItemState::Doubted, Some(_)) => {}
            (_, None) => {
                self.counters.accepted += 1;
                out.push(Effect::Gone { queue, token });
            }
            (ItemState::Expired, Some(_)) => out.push(item.returned(ReturnReason::Expired, false)),
            (ItemState::Live, Some(why)) => {
                self.counters.refused += 1;
                self.remember(&mut item, why, now);
                out.push(item.returned(ReturnReason::Refused(why), false));
            }
        }
    }

    /// Notes a refusal with the message, or with the broker, so that it is not repeated in vain.
    fn remember(&mut self, item: &mut Item, why: Refusal, now: Now) {
        let Charge::Entry {
            ask,
            epoch,
            entry,
            rev,
            is_standing,
        } = &item.charge
        else {
            return;
        };
        match why {
            Refusal::NoCredit | Refusal::Full => {
                self.asked.refused(ask, why, *is_standing, now);
            }
            Refusal::NoConsumer | Refusal::NotAllowed | Refusal::StaleTerm => {
                item.refusals.note(ask.bid, *epoch, *entry, *rev, now);
            }
        }
    }

    /// The receiver lost the stream.
    fn take_back(&mut self, to: Bid, item: Item, out: &mut Effects) {
        self.refund(to, &item);
        let was_sent = item.was_sent();
        match item.state {
            ItemState::Live => out.push(item.returned(ReturnReason::Unknown, was_sent)),
            ItemState::Expired => out.push(item.returned(ReturnReason::Expired, was_sent)),
            ItemState::Doubted => {}
        }
    }

    fn refund(&mut self, to: Bid, item: &Item) {
        if item.state != ItemState::Doubted {
            refund(&mut self.outlets, &mut self.peers, to, item);
        }
    }

    /// What a change of the map or of a process means for what is open.
    pub(super) fn on_peer(
        &mut self,
        bid: Bid,
        epoch: Epoch,
        is_reachable: bool,
        now: Now,
        out: &mut Effects,
    ) {
        let peer = self.peers.entry(bid).or_default();
        let is_new_process = peer.epoch != Epoch::default() && epoch != peer.epoch;
        let was_reachable = std::mem::replace(&mut peer.is_reachable, is_reachable);
        peer.epoch = epoch;
        if is_new_process {
            self.asked.forget(bid);
        }
        if is_new_process || !is_reachable {
            self.asked.distrust(bid);
            self.grants.forget_waiting(bid);
        }
        for is_persistent in [false, true] {
            let Some(stream) = self.streams.get_mut(&(bid, is_persistent)) else {
                continue;
            };
            let is_void = !is_persistent && !stream.is_holding();
            if is_new_process && (stream.is_idle() || is_void) {
                // The new process has nothing of it, and would wait for what came before.
                self.streams.remove(&(bid, is_persistent));
                continue;
            }
            stream.to_epoch = epoch;
            if is_new_process {
                stream.flag_redelivered();
            }
            if !is_reachable {
                if !stream.is_idle() {
                    stream.doubt_since.get_or_insert(now);
                }
            } else if !was_reachable || is_new_process {
                stream.doubt_since = None;
                stream.resend(now, out);
            }
        }
        if is_reachable && !was_reachable {
            self.look_at_all(out);
        }
    }

    pub(super) fn end_doubts(&mut self, now: Now, out: &mut Effects) {
        let due: Vec<(Bid, bool)> = self
            .streams
            .iter()
            .filter(|((_, is_persistent), stream)| {
                self.doubt_end(stream, *is_persistent)
                    .is_some_and(|end| end <= now)
            })
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            let Some(stream) = self.streams.get_mut(&key) else {
                continue;
            };
            let (outlets, peers) = (&mut self.outlets, &mut self.peers);
            let count = stream.give_up(|item| refund(outlets, peers, key.0, item), out);
            self.counters.in_doubt += count;
        }
    }

    /// When the messages of a stream to an unreachable broker are owned again.
    pub(super) fn doubt_end(&self, stream: &Stream, is_persistent: bool) -> Option<Now> {
        let since = stream.doubt_since.filter(|_| stream.is_holding())?;
        if is_persistent {
            self.config.doubt_persistent.map(|time| since.plus(time))
        } else {
            Some(since.plus(self.config.doubt_brief))
        }
    }

    /// Nothing is kept of a broker but messages that are in no queue.
    pub(super) fn on_purged(&mut self, bid: Bid) {
        self.streams
            .retain(|(to, _), stream| *to != bid || stream.is_holding());
        let is_used = |outlet: &Outlet| outlet.standing > 0;
        self.outlets
            .retain(|(to, _), outlet| *to != bid || is_used(outlet));
        self.asked.forget(bid);
        self.grants.forget_waiting(bid);
        self.forget_incoming(bid);
        if !self.streams.keys().any(|(to, _)| *to == bid) {
            self.peers.remove(&bid);
        }
    }
}

fn refund(
    outlets: &mut BTreeMap<(Bid, u64), Outlet>,
    peers: &mut BTreeMap<Bid, Peer>,
    to: Bid,
    item: &Item,
) {
    match &item.charge {
        Charge::Entry {
            entry,
            is_standing: true,
            ..
        } => {
            if let Some(outlet) = outlets.get_mut(&(to, *entry)) {
                outlet.standing = outlet.standing.saturating_sub(1);
            }
        }
        Charge::Entry { .. } => {}
        Charge::Learned => {
            if let Some(peer) = peers.get_mut(&to) {
                peer.learned_frames = peer.learned_frames.saturating_sub(1);
                peer.learned_bytes = peer.learned_bytes.saturating_sub(item.envelope.len());
            }
        }
    }
}
