//! The history of a run and what must be true of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use causeway_broker::mesh::ids::Now;

use super::queue_oracle::Step;

/// A broken invariant.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its name in the design.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
    /// The message concerned.
    pub message: Option<u64>,
}

/// What happened, in the fewest words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// Published at a broker.
    Published { message: u64, at: usize },
    /// Given to a wire.
    Sent {
        message: u64,
        from: usize,
        to: usize,
        is_marked: bool,
        hops: u16,
    },
    /// Came out of a wire.
    Received { message: u64, at: usize },
    /// Given to a subscriber.
    Delivered { message: u64, subscriber: usize },
    /// Not placed in a ring, or its time in limbo was over.
    Lost { message: u64, at: usize },
    /// Parked in limbo.
    Parked { message: u64, at: usize },
    /// Removed as a second copy.
    Duplicate { message: u64, at: usize },
    /// Split again after a link's death.
    Resplit { message: u64, at: usize },
    /// A link carries data.
    LinkUp { at: usize, link: u32 },
    /// A link's connection is gone.
    LinkDown { at: usize, link: u32 },
    /// A link goes on over a newer connection.
    Renewed { at: usize, link: u32, again: usize },
    /// New routes.
    Routes { at: usize, reached: usize },
    /// A fault began or ended; its number in the script.
    Fault { number: usize, begins: bool },
    /// A subscriber came or went.
    Subscriber { number: usize, comes: bool },
    /// A consumer of queues came or went.
    Consumer { number: usize, comes: bool },
    /// Something happened to a queue message.
    Queue { message: u64, at: usize, step: Step },
}

impl Note {
    fn message(&self) -> Option<u64> {
        match *self {
            Self::Published { message, .. }
            | Self::Sent { message, .. }
            | Self::Received { message, .. }
            | Self::Delivered { message, .. }
            | Self::Lost { message, .. }
            | Self::Parked { message, .. }
            | Self::Duplicate { message, .. }
            | Self::Queue { message, .. }
            | Self::Resplit { message, .. } => Some(message),
            _ => None,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self:?}")
    }
}

/// A subscriber: one client of one process of a broker.
#[derive(Debug)]
pub struct Subscriber {
    /// The broker.
    pub at: usize,
    /// What it asked for.
    pub filter: &'static str,
    /// Connected.
    pub is_there: bool,
    /// All brokers have heard of it: it is owed messages.
    pub is_known: bool,
    /// Messages it was given.
    pub got: BTreeSet<u64>,
}

/// A message.
#[derive(Debug)]
pub struct Published {
    /// The broker it entered at.
    pub at: usize,
    /// Its destination.
    pub topic: &'static str,
    /// Subscribers that must have it in the end.
    pub owed: BTreeSet<usize>,
    /// Wires it was given to: from, to.
    pub sent: Vec<(usize, usize)>,
    /// It was sent a second time somewhere, or a broker that held it died.
    pub is_marked: bool,
    /// When its time is over, if ever.
    pub expires: Option<Now>,
    /// A copy was dropped because its time was over.
    pub has_expired: bool,
    /// A full ring has dropped a copy that it may drop; whom it was for is owed nothing.
    pub is_cut: bool,
    /// Unmarked arrivals at the brokers it was for.
    pub arrivals: BTreeMap<usize, u32>,
}

/// Everything seen so far.
#[derive(Debug, Default)]
pub struct Oracle {
    /// By number.
    pub messages: Vec<Published>,
    /// By number.
    pub subscribers: Vec<Subscriber>,
    /// What happened.
    pub trace: Vec<(Now, Note)>,
    /// When links or routes changed last.
    pub changed: Now,
    /// The first broken invariant.
    pub failure: Option<Failure>,
}

/// A filter against a name, written for nothing but to be obviously right.
pub fn matches(filter: &str, name: &str) -> bool {
    let (mut filter, mut name) = (filter.split('.'), name.split('.'));
    loop {
        match (filter.next(), name.next()) {
            (Some(">"), _) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(one), Some(other)) if one == other => {}
            _ => return false,
        }
    }
}

impl Oracle {
    /// Writes down what happened.
    pub fn note(&mut self, now: Now, note: Note) {
        if matches!(
            note,
            Note::LinkUp { .. } | Note::LinkDown { .. } | Note::Routes { .. } | Note::Fault { .. }
        ) {
            self.changed = now;
        }
        self.trace.push((now, note));
    }

    /// Writes down what happened to a queue message.
    pub fn note_step(&mut self, now: Now, message: u64, at: usize, step: Step) {
        self.note(now, Note::Queue { message, at, step });
    }

    /// Writes down that a consumer came or went.
    pub fn note_consumer(&mut self, now: Now, number: usize, comes: bool) {
        self.note(now, Note::Consumer { number, comes });
    }

    /// Writes down the first broken invariant.
    pub fn fail(&mut self, invariant: &'static str, message: Option<u64>, what: String) {
        self.failure.get_or_insert(Failure {
            invariant,
            what,
            message,
        });
    }

    /// The message behind a number.
    pub fn message(&mut self, number: u64) -> &mut Published {
        &mut self.messages[usize::try_from(number).unwrap()]
    }

    /// A message is published; with `is_owed` all matching subscribers must get it.
    pub fn publish(&mut self, at: usize, topic: &'static str, is_owed: bool, now: Now) -> u64 {
        let number = u64::try_from(self.messages.len()).unwrap();
        let owed = (0..self.subscribers.len())
            .filter(|one| is_owed && self.subscribers[*one].is_known && self.wants(*one, topic))
            .collect();
        self.messages.push(Published {
            at,
            topic,
            owed,
            sent: Vec::new(),
            is_marked: false,
            expires: None,
            has_expired: false,
            is_cut: false,
            arrivals: BTreeMap::new(),
        });
        let message = number;
        self.note(now, Note::Published { message, at });
        number
    }

    /// True for a connected subscriber whose filter matches.
    pub fn wants(&self, subscriber: usize, topic: &str) -> bool {
        let one = &self.subscribers[subscriber];
        one.is_there && matches(one.filter, topic)
    }

    /// I1: an unmarked copy reaches a broker it is for once.
    pub fn arrived(&mut self, message: u64, at: usize, is_marked: bool) {
        let known = self.message(message);
        if is_marked || known.is_marked {
            return;
        }
        let count = known.arrivals.entry(at).or_default();
        *count += 1;
        if *count > 1 {
            self.fail("I1", Some(message), format!("two unmarked copies at {at}"));
        }
    }

    /// Gives a message to the subscribers of a broker. I1: to each at most once.
    pub fn deliver(&mut self, message: u64, at: usize, now: Now) {
        let topic = self.message(message).topic;
        for subscriber in 0..self.subscribers.len() {
            if self.subscribers[subscriber].at != at || !self.wants(subscriber, topic) {
                continue;
            }
            self.note(
                now,
                Note::Delivered {
                    message,
                    subscriber,
                },
            );
            if !self.subscribers[subscriber].got.insert(message) {
                let what = format!("subscriber {subscriber} at {at} has it twice");
                self.fail("I1", Some(message), what);
            }
        }
    }

    /// I2, I16: whoever must have a message has it. Those that left are owed nothing.
    pub fn check_owed(&mut self, invariant: &'static str, from: usize) {
        for number in from..self.messages.len() {
            if self.messages[number].has_expired {
                continue;
            }
            let missing: Vec<usize> = self.messages[number]
                .owed
                .iter()
                .copied()
                .filter(|one| self.subscribers[*one].is_there)
                .filter(|one| {
                    !self.subscribers[*one]
                        .got
                        .contains(&u64::try_from(number).unwrap())
                })
                .collect();
            if let Some(first) = missing.first() {
                let what = format!(
                    "{} subscribers lack it, first {first} at broker {}",
                    missing.len(),
                    self.subscribers[*first].at
                );
                self.fail(invariant, Some(u64::try_from(number).unwrap()), what);
                return;
            }
        }
    }

    /// I3: the wires a message took are a tree of shortest paths from its ingress, and every leaf
    /// of it wants the message.
    pub fn check_trees(
        &mut self,
        from: usize,
        cost: &BTreeMap<(usize, usize), u64>,
        reference: &[Vec<u64>],
    ) {
        for number in from..self.messages.len() {
            let one = &self.messages[number];
            if one.has_expired || one.is_cut {
                continue;
            }
            let mut wanting: BTreeSet<usize> =
                one.owed.iter().map(|s| self.subscribers[*s].at).collect();
            wanting.remove(&one.at);
            let verdict = tree(one, &wanting, cost, reference);
            if let Err(what) = verdict {
                self.fail("I3", Some(u64::try_from(number).unwrap()), what);
                return;
            }
        }
    }

    /// The last events about a message, or of all when there is none.
    pub fn story(&self, message: Option<u64>) -> Vec<String> {
        let lines: Vec<String> = self
            .trace
            .iter()
            .filter(|(_, note)| {
                message.is_none() || note.message() == message || note.message().is_none()
            })
            .map(|(at, note)| format!("{:>14.6} ms  {note}", at.0 as f64 / 1e6))
            .collect();
        if message.is_none() {
            return lines[lines.len().saturating_sub(40)..].to_vec();
        }
        let own = |line: &String| line.contains(" message: ") || line.contains("{ message: ");
        let Some(first) = lines.iter().position(own) else {
            return lines;
        };
        let last = lines.iter().rposition(own).unwrap_or(first) + 10;
        let end = last.min(lines.len());
        lines[first.saturating_sub(5).max(end.saturating_sub(40))..end].to_vec()
    }
}

fn tree(
    one: &Published,
    wanting: &BTreeSet<usize>,
    cost: &BTreeMap<(usize, usize), u64>,
    reference: &[Vec<u64>],
) -> Result<(), String> {
    let mut parent = BTreeMap::new();
    for (from, to) in &one.sent {
        if *to == one.at || parent.insert(*to, *from).is_some() {
            return Err(format!("it entered {to} twice: {:?}", one.sent));
        }
    }
    let mut used = BTreeSet::new();
    for dest in wanting {
        let (mut at, mut sum) = (*dest, 0);
        while at != one.at {
            used.insert(at);
            let Some(from) = parent.get(&at) else {
                return Err(format!("no way to {dest}: {:?}", one.sent));
            };
            sum += cost.get(&(*from, at)).copied().unwrap_or(u64::MAX / 8);
            at = *from;
        }
        if sum != reference[one.at][*dest] {
            let best = reference[one.at][*dest];
            return Err(format!("{sum} instead of {best} to {dest}"));
        }
    }
    if used.len() == one.sent.len() {
        Ok(())
    } else {
        Err(format!(
            "wires nobody needs: {:?} for {wanting:?}",
            one.sent
        ))
    }
}
