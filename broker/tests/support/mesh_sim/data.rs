//! Messages in a broker, as `link::data` moves them: published, split, appended, parked, received,
//! delivered, split again.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use causeway_broker::broker::matching::TopicRoute;
use causeway_broker::mesh::custody;
use causeway_broker::mesh::event::Event;
use causeway_broker::mesh::forward::{
    self, DSet, DropReason, Local, Onward, Received, Routes as _, Split,
};
use causeway_broker::mesh::frame::{FwdFrame, PayloadKind, TF_PERSISTENT, TF_RELIABLE, TailHead};
use causeway_broker::mesh::ids::{Bid, LinkId, Now, Sid};
use causeway_broker::mesh::limbo::Parked;
use causeway_broker::mesh::messages::{Body, Unicast};
use causeway_broker::mesh::ring::{Append, Level, Queued, Source};
use causeway_broker::mesh::routes::Routes;
use prost::Message as _;

use super::broker::{Broker, FrameKey};
use super::oracle::Note;
use super::world::{Sabotage, World};

/// The number in a message's payload.
pub fn number_of(frame: &FwdFrame) -> Option<u64> {
    let payload = frame.payload();
    if frame.tail_head.kind != PayloadKind::Topic {
        return None;
    }
    Some(u64::from_be_bytes(payload.get(..8)?.try_into().ok()?))
}

/// The number of the message that a frame carries.
pub fn number_in(queued: &Queued) -> Option<u64> {
    if queued.tail_head.kind != PayloadKind::Topic {
        return None;
    }
    let bytes = queued.tail.get(32..40)?.try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}

fn key_of(queued: &Queued) -> FrameKey {
    let head = &queued.tail_head;
    (head.origin.0, head.epoch.0, head.seq)
}

impl World {
    /// Frames of other brokers, or of a ring that died.
    pub fn transit(&self, at: usize) -> Source {
        let overflow_room = self.brokers[at].as_ref().map_or(0, Broker::overflow_room);
        Source::Transit { overflow_room }
    }

    /// The head of a frame that begins here.
    pub fn tail_head(&mut self, at: usize, kind: PayloadKind, flags: u16) -> Option<TailHead> {
        let broker = self.brokers[at].as_mut()?;
        broker.next_seq += 1;
        Some(TailHead {
            origin: broker.routes.own(),
            class: 0,
            kind,
            label: 0,
            flags,
            epoch: broker.routes.epoch(),
            seq: broker.next_seq,
            ttl_ms: 0,
            payload_len: 0,
        })
    }

    /// A client publishes a message: its local subscribers first, then other brokers. Says
    /// whether it went to other brokers, and if so, whether it is a reliable one.
    pub fn publish(
        &mut self,
        at: usize,
        topic: &'static str,
        len: usize,
        is_owed: bool,
        ttl: Duration,
    ) -> Option<bool> {
        let now = self.clock.now();
        self.brokers[at].as_ref().filter(|one| !one.is_leaving)?;
        let number = self.oracle.publish(at, topic, is_owed, now);
        self.oracle.message(number).expires = (!ttl.is_zero()).then(|| now.plus(ttl));
        self.oracle.deliver(number, at, now);
        let broker = self.brokers[at].as_ref()?;
        let mut route = TopicRoute::default();
        broker
            .interest
            .topic_into(topic, &broker.routes, &mut route);
        self.add_reply_sids(at, topic, &mut route.remote);
        let broker = self.brokers[at].as_ref()?;
        let routes = broker.routes.clone();
        let mut dset = DSet::new();
        for sid in route.remote.iter().filter(|sid| **sid != routes.own().0) {
            dset.insert(Sid(*sid));
        }
        if dset.is_empty() {
            return None;
        }
        let is_reliable = number.is_multiple_of(2);
        let flags = [0, TF_PERSISTENT | TF_RELIABLE][usize::from(is_reliable)];
        let mut head = self.tail_head(at, PayloadKind::Topic, flags)?;
        head.ttl_ms = u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX);
        let mut payload = BytesMut::with_capacity(8 + len);
        payload.put_u64(number);
        payload.put_bytes(0x5a, len);
        let tail = head.with_payload(&[&payload]);
        self.place(
            at,
            &routes,
            Queued::own(dset, head, tail, now),
            Source::Client,
        );
        Some(is_reliable)
    }

    /// Says something to another broker.
    pub fn send_control(&mut self, at: usize, to: Bid, body: Body) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_ref() else {
            return;
        };
        let routes = broker.routes.clone();
        let Some(site) = routes.site(to).filter(|site| site.way.is_some()) else {
            return;
        };
        let unicast = Unicast {
            to: to.0.to_vec(),
            from: routes.bid().0.to_vec(),
            body: Some(body),
        };
        let Some(head) = self.tail_head(at, PayloadKind::Control, 0) else {
            return;
        };
        let tail = head.with_payload(&[&unicast.encode_to_vec()]);
        let frame = Queued::own(DSet::of(site.sid), head, tail, now);
        self.place(at, &routes, frame, Source::Control);
    }

    /// Splits a frame over its links; what has no way waits in limbo.
    pub fn place(&mut self, at: usize, routes: &Routes, frame: Queued, source: Source) {
        self.issue_interest(at);
        let now = self.clock.now();
        let mut split = Split::default();
        forward::split(routes, &frame.tail_head, &frame.dset, &mut split);
        self.check_split(at, &frame, &split);
        for (link, dset) in split.parts() {
            self.append(at, *link, frame.with_dset(dset.clone()), source);
        }
        if !split.rest().is_empty() {
            self.park(at, frame.with_dset(split.rest().clone()), now);
        }
    }

    /// I4: the parts are disjoint and together what was split.
    fn check_split(&mut self, at: usize, frame: &Queued, split: &Split) {
        let mut seen = BTreeSet::new();
        let parts = split.parts().iter().map(|(_, dset)| dset);
        for sid in parts.chain([split.rest()]).flat_map(DSet::iter) {
            if !seen.insert(sid) || !frame.dset.contains(sid) {
                let what = format!("site {sid:?} twice or too much in a split at {at}");
                self.oracle.fail("I4", number_in(frame), what);
            }
        }
        if seen.len() != frame.dset.len() {
            let what = format!("a split at {at} forgets sites");
            self.oracle.fail("I4", number_in(frame), what);
        }
    }

    fn append(&mut self, at: usize, link: LinkId, frame: Queued, source: Source) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let is_pending = broker.mesh.has_pending_interest();
        let producers = self.flow.producers.iter().filter(|one| one.at == at);
        let producers = producers.count();
        let side = broker.links.get_mut(link.index());
        let Some(side) = side.filter(|side| !side.is_gone) else {
            return self.park(at, frame, now);
        };
        let conn = side.data.next_conn().or_else(|| side.data.conn());
        let conn = conn.map(|conn| conn.id);
        let queued = conn.and_then(|conn| Some((conn, broker.serving.get(&conn)?.queued)));
        match queued {
            Some(barrier) => drop(side.barriers.insert(key_of(&frame), barrier)),
            None => drop(side.barriers.remove(&key_of(&frame))),
        }
        let was_full = side.data.ring().level() == Level::Full;
        let (outcome, level) = side.data.append(frame.clone(), source, now);
        broker.slows |= source == Source::Client && level != Level::Free;
        let is_placed = outcome == Append::Placed;
        let is_beyond = is_placed && side.is_beyond(was_full, source, producers);
        if !is_placed {
            self.refused(at, &frame, outcome);
        } else if let Some(conn) = conn {
            self.wake(at, conn);
        }
        if is_pending {
            let what = format!("{at} queued it before interest that it knew");
            self.oracle.fail("I9", number_in(&frame), what);
        }
        if is_beyond {
            let what = format!("a full ring of {at} takes more than one of each producer");
            self.oracle.fail("I17", number_in(&frame), what);
        }
        self.check_caps(at, link, &frame);
    }

    /// Writes down that a copy is gone.
    pub fn lost(&mut self, at: usize, frame: &Queued) {
        if let Some(message) = number_in(frame) {
            self.oracle
                .note(self.clock.now(), Note::Lost { message, at });
        }
    }

    fn park(&mut self, at: usize, frame: Queued, now: Now) {
        if let Some(message) = number_in(&frame) {
            self.oracle.note(now, Note::Parked { message, at });
        }
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let is_left_out = self.sabotage == Some(Sabotage::Limbo);
        if is_left_out || !broker.limbo.park(frame.clone(), now) {
            self.lost(at, &frame);
        }
        self.set_timer(at);
    }

    /// Tries what waits in limbo with the routes that are new.
    pub fn retry_limbo(&mut self, at: usize, routes: &Routes) {
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let waiting = broker.limbo.take(routes.generation());
        if !waiting.is_empty() {
            self.issue_interest(at);
        }
        for waiting in waiting {
            let Parked { frame, since } = waiting;
            let mut split = Split::default();
            forward::split(routes, &frame.tail_head, &frame.dset, &mut split);
            self.check_split(at, &frame, &split);
            for (link, dset) in split.parts() {
                self.append(at, *link, frame.with_dset(dset.clone()), self.transit(at));
            }
            if !split.rest().is_empty() {
                let frame = frame.with_dset(split.rest().clone());
                let again = Parked {
                    frame: frame.clone(),
                    since,
                };
                let is_kept = self.brokers[at]
                    .as_mut()
                    .is_some_and(|broker| broker.limbo.park_again(again));
                if !is_kept {
                    self.lost(at, &frame);
                }
            }
        }
    }

    /// A link's connection is gone: its frames take other ways.
    pub fn resplit(&mut self, at: usize, link: LinkId) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let routes = broker.routes.clone();
        let Some(side) = broker.links.get_mut(link.index()) else {
            return;
        };
        side.barriers.clear();
        let frames = side.data.die(now);
        self.oracle.note(now, Note::LinkDown { at, link: link.0 });
        for mut frame in frames {
            frame.is_marked &= self.sabotage != Some(Sabotage::Mark);
            if let Some(message) = number_in(&frame) {
                self.oracle.message(message).is_marked |= frame.is_marked;
                self.oracle.note(now, Note::Resplit { message, at });
            }
            if frame.is_over(now).is_some() {
                self.expired(at, &frame);
            } else if self.sabotage == Some(Sabotage::Resplit) {
                self.lost(at, &frame);
            } else {
                self.place(at, &routes, frame, self.transit(at));
            }
        }
    }

    /// A frame arrived over a link.
    pub fn on_fwd(&mut self, at: usize, link: LinkId, mut frame: FwdFrame) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let routes = broker.routes.clone();
        let Some(side) = broker.links.get(link.index()) else {
            return;
        };
        let (before, rtt) = (frame.dset.clone(), side.data.rtt());
        let received = forward::receive(&*routes, &mut broker.windows, &mut frame, rtt, now);
        if let Some(message) = number_of(&frame) {
            self.oracle.note(now, Note::Received { message, at });
            if before.contains(routes.own()) {
                self.oracle.arrived(message, at, frame.head.is_marked);
            }
        }
        let (local, onward) = match received {
            Received::Handle { local, onward } => (local, onward),
            Received::Drop(why) => {
                let part = Queued::part(&frame, before, now);
                if why == DropReason::Expired {
                    return self.expired(at, &part);
                }
                return self.lost(at, &part);
            }
        };
        self.check_denied(at, &frame);
        match local {
            Local::Deliver => {
                self.check_order(at, &frame);
                self.deliver(at, &frame);
            }
            Local::Duplicate if self.sabotage == Some(Sabotage::Window) => self.deliver(at, &frame),
            Local::Duplicate => {
                if let Some(message) = number_of(&frame) {
                    self.oracle.note(now, Note::Duplicate { message, at });
                }
            }
            Local::No => {}
        }
        match onward {
            Onward::Done => {}
            Onward::Park if self.sabotage != Some(Sabotage::Hops) => {
                self.watch.saw("parked for hops");
                self.park(at, Queued::part(&frame, frame.dset.clone(), now), now);
            }
            Onward::Split | Onward::Park => {
                let part = Queued::part(&frame, frame.dset.clone(), now);
                if part.hops > routes.hop_bound() {
                    let what = format!("{} hops at {at}", part.hops);
                    self.oracle.fail("I6", number_of(&frame), what);
                }
                self.place(at, &routes, part, self.transit(at));
            }
        }
    }

    fn deliver(&mut self, at: usize, frame: &FwdFrame) {
        if let Some(number) = number_of(frame) {
            return self.oracle.deliver(number, at, self.clock.now());
        }
        if frame.tail_head.kind == PayloadKind::Transfer {
            return self.deliver_transfer(at, frame);
        }
        let Ok(unicast) = Unicast::decode(&frame.payload()[..]) else {
            let what = "routed control does not decode".to_owned();
            return self.oracle.fail("control", None, what);
        };
        let (Some(from), Some(body)) = (Bid::from_slice(&unicast.from), unicast.body) else {
            return;
        };
        match body {
            Body::Creq(_) | Body::Cgrant(_) | Body::Xack(_) | Body::Xrel(_) => {
                self.custody(at, custody::Event::Routed { from, body });
            }
            body => self.control(at, Event::Routed { from, body }),
        }
    }
}
