//! The way of a frame through this broker (R8, R9): what arrives is judged, taken out for here, and
//! split by next hop. The parts of a split are disjoint, so a (message, site) pair is never in two
//! places; nothing is decided by looking at a message.

mod dset;

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::frame::{FwdFrame, TailHead};
use super::ids::{LinkId, Now, Sid};
use super::window::{Verdict, Windows};

pub use dset::{DSet, MAX_MEMBERS, MAX_WORDS, SetForm};

/// The oldest a frame may become.
pub const MAX_TRANSIT: Duration = Duration::from_secs(30);

/// What forwarding asks of the published map.
pub trait Routes {
    /// This broker.
    fn own(&self) -> Sid;
    /// Rises with every change of the map.
    fn generation(&self) -> u64;
    /// Links a frame may cross before it is parked: 2·ecc + 16.
    fn hop_bound(&self) -> u16;
    /// The link toward a site, or `None` when it is not reached. By the parent rule the answer is
    /// the same whatever the origin is; it is there for maps that keep a table per origin.
    fn next_hop(&self, origin: Sid, label: u8, class: u16, dest: Sid) -> Option<LinkId>;
    /// True for a site whose traffic is refused (R21).
    fn is_denied(&self, origin: Sid) -> bool {
        let _ = origin;
        false
    }
}

/// Result of a split. Owned by the caller and used again, so that splitting allocates nothing.
#[derive(Debug, Default)]
pub struct Split {
    parts: Vec<(LinkId, DSet)>,
    used: usize,
    rest: DSet,
}

impl Split {
    /// One set per link.
    #[must_use]
    pub fn parts(&self) -> &[(LinkId, DSet)] {
        &self.parts[..self.used]
    }

    /// Those that have no route: they go to limbo.
    #[must_use]
    pub const fn rest(&self) -> &DSet {
        &self.rest
    }

    fn clear(&mut self) {
        self.parts[..self.used]
            .iter_mut()
            .for_each(|(_, set)| set.clear());
        self.used = 0;
        self.rest.clear();
    }

    fn part(&mut self, link: LinkId) -> &mut DSet {
        let at = match self.parts[..self.used]
            .iter()
            .position(|(other, _)| *other == link)
        {
            Some(at) => at,
            None => {
                if self.used == self.parts.len() {
                    self.parts.push((link, DSet::new()));
                }
                self.parts[self.used].0 = link;
                self.used += 1;
                self.used - 1
            }
        };
        &mut self.parts[at].1
    }
}

/// Splits a set by next hop. Rule: R8.
pub fn split(routes: &impl Routes, tail: &TailHead, dset: &DSet, out: &mut Split) {
    out.clear();
    for sid in dset.iter() {
        match routes.next_hop(tail.origin, tail.label, tail.class, sid) {
            Some(link) => out.part(link).push_last(sid.0),
            None => out.rest.push_last(sid.0),
        }
    }
}

/// Why a frame ends here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// The message's lifetime is over.
    Expired,
    /// It wandered for too long.
    Age,
    /// Its origin is on the deny list.
    Denied,
}

/// Whether a frame is for this broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Local {
    /// Not a destination.
    No,
    /// Teach (R12), then deliver.
    Deliver,
    /// Delivered before: the second copy of a marked frame.
    Duplicate,
}

/// Where a frame goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Onward {
    /// Nobody else is to get it.
    Done,
    /// Call [`split`].
    Split,
    /// Parked until the map changes: it crossed too many links.
    Park,
}

/// What to do with a frame that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It ends here.
    Drop(DropReason),
    /// Deliver it, then send it on.
    Handle {
        /// For this broker?
        local: Local,
        /// For others?
        onward: Onward,
    },
}

/// Judges a frame that arrived over a link whose smoothed round trip is `rtt`. Age, hops and set
/// are brought up to date in place. Rule: R9.
pub fn receive(
    routes: &impl Routes,
    windows: &mut Windows,
    frame: &mut FwdFrame,
    rtt: Duration,
    now: Now,
) -> Received {
    let tail = &frame.tail_head;
    let on_link = u32::try_from(rtt.as_millis() / 2).unwrap_or(u32::MAX);
    frame.head.age_ms = frame.head.age_ms.saturating_add(on_link);
    frame.head.hops = frame.head.hops.saturating_add(1);
    if routes.is_denied(tail.origin) {
        return Received::Drop(DropReason::Denied);
    }
    if let Some(reason) = is_over(tail.ttl_ms, frame.head.age_ms) {
        return Received::Drop(reason);
    }
    let local = if !frame.dset.remove(routes.own()) {
        Local::No
    } else if windows.first(
        (tail.origin, tail.epoch),
        tail.seq,
        frame.head.is_marked,
        now,
    ) == Verdict::First
    {
        Local::Deliver
    } else {
        Local::Duplicate
    };
    let onward = if frame.dset.is_empty() {
        Onward::Done
    } else if frame.head.hops > routes.hop_bound() {
        Onward::Park
    } else {
        Onward::Split
    };
    Received::Handle { local, onward }
}

/// Whether a frame of that age and lifetime is dropped; also asked when it is sent on.
#[must_use]
pub fn is_over(ttl_ms: u32, age_ms: u32) -> Option<DropReason> {
    if ttl_ms != 0 && age_ms >= ttl_ms {
        Some(DropReason::Expired)
    } else if u128::from(age_ms) > MAX_TRANSIT.as_millis() {
        Some(DropReason::Age)
    } else {
        None
    }
}
