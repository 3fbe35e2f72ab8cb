//! Full rings: producers that wait for room, wires that are slow, and the bounds of what a broker
//! keeps (I17). The order is that of `net::connection` and `link::timers`.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use causeway_broker::mesh::event::Event;
use causeway_broker::mesh::frame::TF_RELIABLE;
use causeway_broker::mesh::ids::{ConnId, LinkId, Now, Sid};
use causeway_broker::mesh::ring::{Append, Level, Queued, Source};

use super::broker::{Broker, LinkSide};
use super::changes::Step;
use super::data::number_in;
use super::network::{Segment, WINDOW};
use super::world::{Sabotage, Task, World};

/// How often a waiting producer looks again.
const RETRY: Duration = Duration::from_millis(5);
/// What a producer waits after a message that went into a ring three quarters full.
const STALL: Duration = Duration::from_millis(5);
/// A full ring holds a producer of droppable messages this long.
const FULL_HOLD: Duration = Duration::from_secs(1);
/// What a ring may take of routed control above its cap.
const CONTROL_EXTRA: usize = 256 << 10;
/// What a frame costs beside its bytes, at most.
const FRAME_EXTRA: usize = 512;

/// Bytes that a broker may keep.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// In each ring.
    pub ring: usize,
    /// In the overflow area of all rings.
    pub overflow: usize,
    /// In limbo.
    pub limbo: usize,
    /// In duplicate windows.
    pub windows: usize,
}

impl Sizes {
    /// Rings that a few messages fill.
    pub const SMALL: Self = Self {
        ring: 64 << 10,
        ..Self::USUAL
    };
    const USUAL: Self = Self {
        ring: 4 << 20,
        overflow: 16 << 20,
        limbo: 8 << 20,
        windows: 16 << 20,
    };
}

impl Default for Sizes {
    fn default() -> Self {
        Self::USUAL
    }
}

/// A client that publishes one message after the other, as fast as its broker lets it.
#[derive(Debug)]
pub struct Producer {
    /// Its broker.
    pub at: usize,
    /// What it is going to publish: topic and length.
    pub plan: VecDeque<(&'static str, usize)>,
    /// Since when it waits, and whether for as long as it takes.
    pub waits: Option<(Now, bool)>,
}

/// Producers, and wires that are slow.
#[derive(Debug, Default)]
pub struct Flow {
    /// What each broker may keep.
    pub sizes: Sizes,
    /// By number.
    pub producers: Vec<Producer>,
    /// Bytes a second, by direction.
    slow: BTreeMap<(usize, usize), usize>,
    biggest: usize,
}

impl Flow {
    /// Makes a direction slow, or fast again.
    pub fn slow(&mut self, from: usize, to: usize, rate: Option<usize>) {
        match rate {
            Some(rate) => drop(self.slow.insert((from, to), rate)),
            None => drop(self.slow.remove(&(from, to))),
        }
    }
}

impl LinkSide {
    /// A frame of a client, or another one, was placed: true when the full ring has taken more of
    /// clients than the message that each was held after, and one that may not be dropped.
    pub fn is_beyond(&mut self, was_full: bool, source: Source, producers: usize) -> bool {
        match (was_full, source == Source::Client) {
            (false, _) => self.beyond = 0,
            (true, true) => self.beyond += 1,
            (true, false) => {}
        }
        producers > 0 && self.beyond > 2 * producers
    }
}

impl Broker {
    /// What one ring may take of the overflow area.
    pub fn overflow_room(&self) -> usize {
        self.sizes.overflow / self.links.len().max(1)
    }

    fn is_link_full(&self) -> bool {
        let mut rings = self.links.iter().filter(|side| !side.is_gone);
        rings.any(|side| side.data.ring().level() == Level::Full)
    }
}

impl World {
    /// Gives rings another size, live and for processes that start later.
    pub fn resize(&mut self, sizes: Sizes) {
        let now = self.clock.now();
        self.flow.sizes = sizes;
        for broker in self.brokers.iter_mut().flatten() {
            broker.sizes = sizes;
            let rings = broker.links.iter();
            rings.for_each(|side| side.data.ring().set_cap(sizes.ring, now));
        }
    }

    /// A link that is configured.
    pub fn has_link(&self, at: usize, link: LinkId) -> bool {
        let broker = self.brokers[at].as_ref();
        let side = broker.and_then(|broker| broker.links.get(link.index()));
        side.is_some_and(|side| !side.is_gone)
    }

    /// Bytes a stream takes before its writer has to wait; a slow one takes a fifth of a second.
    pub fn window(&self, pipe: usize, side: usize) -> usize {
        let [near, far] = [self.pipes[pipe].ends[side], self.pipes[pipe].ends[1 - side]];
        let rate = self.flow.slow.get(&(near.at, far.at));
        rate.map_or(WINDOW, |rate| (rate / 5).max(1024))
    }

    /// How long a segment takes to leave.
    pub fn transmission(&self, pipe: usize, side: usize, segment: &Segment) -> Duration {
        let [near, far] = [self.pipes[pipe].ends[side], self.pipes[pipe].ends[1 - side]];
        match (self.flow.slow.get(&(near.at, far.at)), segment) {
            (Some(rate), Segment::Bytes(bytes)) => {
                Duration::from_micros((bytes.len() * 1_000_000 / rate) as u64)
            }
            _ => Duration::ZERO,
        }
    }

    /// Adds a client that begins to publish soon.
    pub fn add_producer(&mut self, at: usize, plan: VecDeque<(&'static str, usize)>) {
        let number = self.flow.producers.len();
        let waits = None;
        self.flow.producers.push(Producer { at, plan, waits });
        let soon = self.work_random.up_to(Duration::from_millis(200));
        self.clock.after(soon, Task::Step(Step::Produce { number }));
    }

    /// A client publishes its next message, unless a ring is full. Rule: R10.
    pub fn produce(&mut self, number: usize) {
        let (now, at) = (self.clock.now(), self.flow.producers[number].at);
        let Some(broker) = self.brokers[at].as_ref() else {
            return;
        };
        let is_left_out = self.sabotage == Some(Sabotage::Producers);
        let is_full = broker.is_link_full() && !is_left_out;
        let again = Task::Step(Step::Produce { number });
        let producer = &mut self.flow.producers[number];
        if let Some((since, is_reliable)) = producer.waits
            && is_full
            && (is_reliable || now.since(since) < FULL_HOLD)
        {
            if since == now {
                self.watch.saw("producer waits");
            }
            return self.clock.after(RETRY, again);
        }
        producer.waits = None;
        let Some((topic, len)) = producer.plan.pop_front() else {
            return;
        };
        let forwarded = self.publish(at, topic, len, true, Duration::ZERO);
        self.flow.producers[number].waits = forwarded.map(|is_reliable| (now, is_reliable));
        // The reader looks at once after its batch; the next batch comes a moment later.
        let mut pause = match forwarded {
            Some(_) => Duration::ZERO,
            None => self.work_random.up_to(Duration::from_millis(2)),
        };
        if let Some(broker) = self.brokers[at].as_mut()
            && std::mem::take(&mut broker.slows)
        {
            self.watch.saw("producer is slowed");
            pause = STALL;
        }
        self.clock.after(pause, again);
    }

    /// Tells control how full the rings are.
    pub fn tell_levels(&mut self, at: usize) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_ref() else {
            return;
        };
        let sides = || broker.links.iter().filter(|side| !side.is_gone);
        let pending = sides().map(|side| (side.data.id, side.data.ring().len() as u64));
        let pending = pending.collect();
        let news: Vec<_> = sides()
            .filter_map(|side| Some((side.data.id, side.data.news(now)?)))
            .collect();
        self.control(at, Event::Pending(pending));
        for (link, level) in news {
            self.control(at, Event::Ring { link, level });
        }
    }

    /// A ring refused a frame: it may drop those that are not reliable, and reliable ones only when
    /// the overflow area is full too.
    pub fn refused(&mut self, at: usize, frame: &Queued, outcome: Append) {
        self.watch.saw("full ring drops");
        let is_reliable = frame.tail_head.has(TF_RELIABLE);
        if let Some(number) = number_in(frame)
            && (!is_reliable || outcome == Append::Overflow)
        {
            self.excuse(number, frame);
        }
        self.lost(at, frame);
    }

    fn excuse(&mut self, number: u64, frame: &Queued) {
        let mut owed = std::mem::take(&mut self.oracle.message(number).owed);
        owed.retain(|one| {
            let site = &self.names[self.oracle.subscribers[*one].at];
            !frame.dset.contains(Sid::from_name(site))
        });
        let message = self.oracle.message(number);
        (message.owed, message.is_cut) = (owed, true);
    }

    /// I17: what a broker keeps is bounded, with what rule R10 allows above.
    pub fn check_caps(&mut self, at: usize, link: LinkId, frame: &Queued) {
        self.flow.biggest = self.flow.biggest.max(frame.tail.len() + FRAME_EXTRA);
        let Some(broker) = self.brokers[at].as_ref() else {
            return;
        };
        let producers = self.flow.producers.iter().filter(|one| one.at == at);
        let above = (1 + producers.count()) * self.flow.biggest;
        let extra = broker.overflow_room().max(CONTROL_EXTRA);
        let ring = broker.links[link.index()].data.ring().bytes();
        let limbo = broker.limbo.bytes();
        let windows = broker.windows.bytes();
        let sizes = broker.sizes;
        let is_kept = ring <= sizes.ring + extra + above
            && (limbo <= sizes.limbo || broker.limbo.len() == 1)
            && windows <= sizes.windows;
        if !is_kept {
            let what =
                format!("{at} keeps {ring} in a ring, {limbo} in limbo, {windows} of windows");
            self.oracle.fail("I17", number_in(frame), what);
        }
    }

    /// The saboteur of R10: a reader that waits for room is not read on.
    pub fn is_reader_held(&mut self, at: usize, conn: ConnId) -> bool {
        let is_left_out = self.sabotage == Some(Sabotage::ReaderWaits);
        let broker = self.brokers[at].as_ref().filter(|_| is_left_out);
        let is_held = broker.is_some_and(|one| one.is_link_full() && one.link_over(conn).is_some());
        if is_held {
            let again = Task::Step(Step::Reread { at, conn });
            self.clock.after(RETRY, again);
        }
        is_held
    }

    /// A writer took frames from the ring of its link.
    pub fn written(&mut self, at: usize, conn: ConnId) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_ref() else {
            return;
        };
        let Some(side) = broker
            .link_over(conn)
            .map(|link| &broker.links[link.index()])
        else {
            return;
        };
        let dropped = side.expired.get();
        if self.sabotage == Some(Sabotage::Forget) {
            let mut ring = side.data.ring();
            let last = ring.last_sent();
            let _ = ring.lack(last, now, |_| {});
        }
        let life = broker.life;
        let news = self
            .watch
            .expired_in_rings(at, life, &side.data.name, dropped);
        if news > 0 {
            self.expired_unseen(news);
        }
    }
}
