//! Messages on their way between brokers: sent, received, passed on, parked, sent again.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use super::lasting::LinkData;
use super::node::Node;
use crate::broker::matching::{MatchCache, Route};
use crate::clock;
use crate::mesh::custody;
use crate::mesh::event::Event;
use crate::mesh::forward::{self, DSet, DropReason, Local, Onward, Received, Routes as _, Split};
use crate::mesh::frame::{
    FwdFrame, PayloadKind, TF_PERSISTENT, TF_RELIABLE, TRANSFER_HEAD_LEN, TailHead, TransferHead,
};
use crate::mesh::ids::{Bid, Now, Sid};
use crate::mesh::limbo::Parked;
use crate::mesh::messages::{Body, Unicast};
use crate::mesh::ring::{Level, Queued, Source};
use crate::mesh::routes::Routes;
use crate::model::{Kind, MessageView, ReplyTo, envelope, temporary};
use crate::queue::Work;

thread_local! {
    static SPLIT: RefCell<Split> = RefCell::default();
    static ENVELOPE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a link reader keeps between frames.
#[derive(Debug, Default)]
pub struct Arrivals {
    cache: MatchCache,
    work: Work,
}

fn now() -> Now {
    Now(clock::monotonic_ns())
}

/// Time that is left until an expiry; 0 = for ever, `None` = over.
fn ttl_ms(expires_ms: i64) -> Option<u32> {
    if expires_ms == 0 {
        return Some(0);
    }
    let left = expires_ms.saturating_sub(clock::wall_ms());
    (left > 0).then(|| u32::try_from(left).unwrap_or(u32::MAX))
}

impl Node {
    pub(super) fn tail_head(
        &self,
        routes: &Routes,
        kind: PayloadKind,
        flags: u16,
        ttl_ms: u32,
    ) -> TailHead {
        TailHead {
            origin: routes.own(),
            class: 0,
            kind,
            label: 0,
            flags,
            epoch: routes.epoch(),
            seq: self.next_seq.fetch_add(1, Ordering::Relaxed) + 1,
            ttl_ms,
            payload_len: 0,
        }
    }

    /// Sends a topic message to those brokers. True when it went into a ring that slows its producers
    /// down. Rules: R8, R10.
    pub(super) fn send_topic(&self, view: &MessageView<'_>, sids: &[u16]) -> bool {
        let Some(ttl_ms) = ttl_ms(view.expires_ms) else {
            return false;
        };
        let routes = self.routes.load();
        let mut dset = DSet::new();
        for sid in sids.iter().filter(|sid| **sid != routes.own().0) {
            dset.insert(Sid(*sid));
        }
        if dset.is_empty() {
            return false;
        }
        let flags = if view.persistent {
            TF_PERSISTENT | TF_RELIABLE
        } else {
            0
        };
        let head = self.tail_head(&routes, PayloadKind::Topic, flags, ttl_ms);
        let tail = ENVELOPE.with_borrow_mut(|bytes| {
            bytes.clear();
            view.encode(bytes);
            head.with_payload(&[bytes])
        });
        self.place(
            &routes,
            Queued::own(dset, head, tail, now()),
            Source::Client,
        )
    }

    /// Says something to another broker. False when there is no way to it.
    pub(super) fn send_control(&self, to: Bid, body: Body) -> bool {
        let routes = self.routes.load();
        let Some(site) = routes.site(to).filter(|site| site.way.is_some()) else {
            return false;
        };
        let unicast = Unicast {
            to: to.0.to_vec(),
            from: routes.bid().0.to_vec(),
            body: Some(body),
        };
        let head = self.tail_head(&routes, PayloadKind::Control, 0, 0);
        let tail = head.with_payload(&[&unicast.encode_to_vec()]);
        self.place(
            &routes,
            Queued::own(DSet::of(site.sid), head, tail, now()),
            Source::Control,
        );
        true
    }

    /// Hands a queue message over. Rule: R17.
    pub(super) fn send_transfer(&self, head: &TransferHead, message: &Bytes, ttl_ms: u32) {
        let routes = self.routes.load();
        let Some(site) = routes.site(head.to) else {
            return;
        };
        let tail_head = self.tail_head(&routes, PayloadKind::Transfer, TF_RELIABLE, ttl_ms);
        let tail = tail_head.with_payload(&[&head.encode(), message]);
        self.place(
            &routes,
            Queued::own(DSet::of(site.sid), tail_head, tail, now()),
            Source::Client,
        );
    }

    /// Frames of other brokers, or that were under way already.
    pub(super) const fn transit(&self) -> Source {
        Source::Transit {
            overflow_room: self.overflow_room,
        }
    }

    /// Splits a frame over its links; what has no way waits in limbo. Interest that is known here is
    /// said first, whoever the frame is from (R6). True when a part went into a ring that is three
    /// quarters full.
    pub(super) fn place(&self, routes: &Routes, frame: Queued, source: Source) -> bool {
        self.issue_interest();
        let now = now();
        let mut is_tight = false;
        SPLIT.with_borrow_mut(|split| {
            forward::split(routes, &frame.tail_head, &frame.dset, split);
            let links = self.links.load();
            for (link, dset) in split.parts() {
                match links.get(link.index()).and_then(Option::as_ref) {
                    Some(link) => {
                        let (_, level) = link.append(frame.with_dset(dset.clone()), source, now);
                        is_tight |= level != Level::Free;
                    }
                    None => self.park(frame.with_dset(dset.clone()), now),
                }
            }
            if !split.rest().is_empty() {
                self.park(frame.with_dset(split.rest().clone()), now);
            }
        });
        let current = self.routes.load();
        if current.generation() > routes.generation() {
            // The map moved on meanwhile: what was placed by the old one is tried again.
            self.rescue();
            self.retry_limbo_again(&current);
        }
        is_tight
    }

    /// Takes frames out of rings whose connection went away while they were on their way in.
    fn rescue(&self) {
        for link in self.links.load().iter().flatten() {
            self.split_anew(link.rescue(now()));
        }
    }

    fn retry_limbo_again(&self, routes: &Routes) {
        if self.limbo().is_empty() {
            return;
        }
        let parked = self.limbo().take_all();
        self.split_parked(routes, parked);
    }

    fn park(&self, frame: Queued, now: Now) {
        let mut limbo = self.limbo();
        if limbo.park(frame, now) {
            self.broker
                .metrics
                .mesh_limbo_messages
                .set(i64::try_from(limbo.len()).unwrap_or(0));
        } else {
            self.broker
                .metrics
                .mesh_dropped
                .with_label_values(&["no_route"])
                .inc();
        }
    }

    /// Tries what waits in limbo with the routes that are new.
    pub(super) fn retry_limbo(&self, routes: &Routes) {
        let parked = self.limbo().take(routes.generation());
        self.split_parked(routes, parked);
    }

    fn split_parked(&self, routes: &Routes, parked: VecDeque<Parked>) {
        if !parked.is_empty() {
            self.issue_interest();
        }
        for waiting in parked {
            let since = waiting.since;
            let mut split = Split::default();
            forward::split(
                routes,
                &waiting.frame.tail_head,
                &waiting.frame.dset,
                &mut split,
            );
            let links = self.links.load();
            for (link, dset) in split.parts() {
                let frame = waiting.frame.with_dset(dset.clone());
                match links.get(link.index()).and_then(Option::as_ref) {
                    Some(link) => {
                        link.append(frame, self.transit(), now());
                    }
                    None => self.park(frame, now()),
                }
            }
            if !split.rest().is_empty() {
                let frame = waiting.frame.with_dset(split.rest().clone());
                if !self.limbo().park_again(Parked { frame, since }) {
                    self.broker
                        .metrics
                        .mesh_dropped
                        .with_label_values(&["no_route"])
                        .inc();
                }
            }
        }
    }

    /// The link's connection is gone: its frames take other ways. Rule: R10.
    pub(super) fn resplit(&self, link: &LinkData) {
        let frames = self.take_frames(link);
        self.split_anew(frames);
    }

    /// Takes what a link without a connection has, before another connection can be given some.
    pub(super) fn take_frames(&self, link: &LinkData) -> Vec<Queued> {
        let frames = link.die(now());
        let marked = frames.iter().filter(|frame| frame.is_marked).count();
        link.counters.resent.inc_by(marked as u64);
        frames
    }

    pub(super) fn split_anew(&self, frames: Vec<Queued>) {
        let routes = self.routes.load();
        for frame in frames {
            if frame.is_over(now()).is_none() {
                self.place(&routes, frame, self.transit());
            }
        }
    }

    /// A frame arrived over a link. Rule: R9.
    pub(super) fn on_fwd(&self, link: &LinkData, mut frame: FwdFrame, state: &mut Arrivals) {
        let routes = self.routes.load();
        match frame.tail_head.kind {
            PayloadKind::Topic => link.counters.topic_in.inc(),
            PayloadKind::Transfer => link.counters.queue_in.inc(),
            _ => {}
        }
        let received = {
            let mut windows = self.windows();
            forward::receive(&**routes, &mut windows, &mut frame, link.rtt(), now())
        };
        match received {
            Received::Drop(reason) => self.count_drop(reason),
            Received::Handle { local, onward } => {
                match local {
                    Local::Deliver => self.deliver(&frame, state),
                    Local::Duplicate => link.counters.duplicates.inc(),
                    Local::No => {}
                }
                match onward {
                    Onward::Done => {}
                    Onward::Split => {
                        let part = Queued::part(&frame, frame.dset.clone(), now());
                        let transit = self.transit();
                        self.place(&routes, part, transit);
                    }
                    Onward::Park => {
                        self.park(Queued::part(&frame, frame.dset.clone(), now()), now())
                    }
                }
            }
        }
    }

    fn count_drop(&self, reason: DropReason) {
        let label = match reason {
            DropReason::Expired => "expired",
            DropReason::Age => "age",
            DropReason::Denied => "denied",
        };
        self.broker
            .metrics
            .mesh_dropped
            .with_label_values(&[label])
            .inc();
    }

    fn deliver(&self, frame: &FwdFrame, state: &mut Arrivals) {
        let age_ms = u64::from(frame.head.age_ms);
        let left_ms = match frame.tail_head.ttl_ms {
            0 => None,
            ttl => Some(u64::from(ttl).saturating_sub(age_ms)),
        };
        let payload = frame.payload();
        match frame.tail_head.kind {
            PayloadKind::Topic => self.deliver_topic(&payload, left_ms, state),
            PayloadKind::Transfer => match TransferHead::received(frame) {
                Ok(head) if head.to == self.bid => {
                    let envelope = payload.slice(TRANSFER_HEAD_LEN..);
                    if let Ok(view) = envelope::decode(&envelope) {
                        self.learn(&view, left_ms);
                    }
                    let expires = left_ms.map(|left| now().plus(Duration::from_millis(left)));
                    self.custody(custody::Event::Transfer {
                        head,
                        envelope,
                        expires,
                    });
                }
                _ => self
                    .broker
                    .metrics
                    .mesh_dropped
                    .with_label_values(&["bad_envelope"])
                    .inc(),
            },
            PayloadKind::Control => self.deliver_control(&payload),
            PayloadKind::Unknown(_) => {}
        }
    }

    fn deliver_topic(&self, payload: &Bytes, left_ms: Option<u64>, state: &mut Arrivals) {
        let Ok(mut view) = envelope::decode(payload) else {
            self.broker
                .metrics
                .mesh_dropped
                .with_label_values(&["bad_envelope"])
                .inc();
            return;
        };
        if let Some(left) = left_ms {
            view.expires_ms =
                clock::wall_ms().saturating_add(i64::try_from(left).unwrap_or(i64::MAX));
        }
        self.learn(&view, left_ms);
        let name = temporary::local_name(view.name);
        let view = MessageView { name, ..view };
        let generation = self.broker.generation();
        let route = state
            .cache
            .find(generation, view.kind, name)
            .unwrap_or_else(|| {
                let route = Arc::new(Route::Topic(self.broker.local_topic_route(view.kind, name)));
                state.cache.keep(generation, view.kind, name, route.clone());
                route
            });
        if let Route::Topic(topic) = &*route {
            self.broker.fan_out(None, topic, &view, &mut state.work);
        }
    }

    fn deliver_control(&self, payload: &Bytes) {
        let Ok(unicast) = Unicast::decode(&payload[..]) else {
            return;
        };
        let (Some(from), Some(body)) = (Bid::from_slice(&unicast.from), unicast.body) else {
            return;
        };
        match body {
            Body::Creq(_) | Body::Cgrant(_) | Body::Xack(_) | Body::Xrel(_) => {
                self.custody(custody::Event::Routed { from, body });
            }
            body => self.control(Event::Routed { from, body }),
        }
    }

    /// Finishes what a read batch of a link has left.
    pub(super) fn settle(&self, state: &mut Arrivals) {
        self.broker.settle(&mut state.work);
    }

    /// Learns where the answers to a message are awaited. Rule: R12 a.
    fn learn(&self, view: &MessageView<'_>, left_ms: Option<u64>) {
        let (Some(ReplyTo::Destination(kind, name)), Some(home)) = (view.reply_to, view.reply_home)
        else {
            return;
        };
        self.teach(kind, name, Bid(home), left_ms.map(Duration::from_millis));
    }

    pub(super) fn teach(&self, kind: Kind, name: &str, bid: Bid, lifetime: Option<Duration>) {
        if kind.is_temporary() {
            return;
        }
        let mut replies = self.replies();
        replies.teach(kind.code(), name, bid, lifetime, now());
        let count = replies.len();
        drop(replies);
        self.learned.store(count as u64, Ordering::Relaxed);
        self.broker
            .metrics
            .mesh_learned_routes
            .set(i64::try_from(count).unwrap_or(i64::MAX));
        if kind == Kind::Queue {
            self.judge_named(name);
        }
    }
}
