//! All that a broker keeps, to be given to the next process of its site, and what the one before it
//! gave. Rule: R26.

use std::sync::Arc;

use super::Broker;
use super::durables::{DurableKey, DurableWish};
use crate::clock;
use crate::handover::{DurableHead, Head, Parcel, QueueHead, Section};
use crate::model::{Destination, Kind};
use crate::queue::handover::{Arrival, History};
use crate::queue::{QueueCell, Work};
use crate::selector::{Conversion, Selector};

/// What came of a restoration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    /// Messages that are here now.
    pub messages: u64,
    /// Messages that are not: their subscription is not wanted any more, or they cannot be read.
    pub dropped: u64,
}

impl Broker {
    /// Everything in queues and durable subscriptions, queue by queue. What is with a consumer, or on
    /// its way to another broker, is in it too, flagged redelivered.
    pub fn stock(&self) -> impl Iterator<Item = Section> + Send + use<> {
        let is_kept = |cell: &Arc<QueueCell>| {
            // Temporary queues of this broker end with their connections; the others wait for their homes.
            cell.destination.kind == Kind::Queue || cell.destination.name.contains('@')
        };
        let queues = self.queues.all().into_iter().filter(is_kept);
        let queues = queues.map(|cell| Section {
            head: Head::Queue(QueueHead {
                kind: cell.destination.kind.code().into(),
                name: cell.destination.name.to_string(),
            }),
            parcels: parcels(&cell),
        });
        let durables = self.durables.all().into_iter().map(|durable| Section {
            head: Head::Durable(head(&durable.key, &durable.wish)),
            parcels: parcels(&durable.cell),
        });
        queues.chain(durables)
    }

    /// Forgets what the next process answers for.
    pub fn clear(&self) {
        for cell in self.queues.all() {
            cell.discard();
        }
        for durable in self.durables.all() {
            durable.cell.discard();
        }
    }

    /// Keeps what the process before this one gave. It was admitted once: no limit refuses it now.
    pub fn restore(&self, sections: Vec<Section>) -> Restored {
        let mut work = Work::default();
        let mut restored = Restored::default();
        for section in sections {
            let count = u64::try_from(section.parcels.len()).unwrap_or(u64::MAX);
            let cell = match section.head {
                Head::Queue(head) => self.restored_queue(&head, &mut work),
                Head::Durable(head) => self.restored_durable(&head),
            };
            let kept = cell.map_or(0, |cell| fill(&cell, section.parcels, &mut work));
            restored.messages += kept;
            restored.dropped += count - kept;
        }
        self.judge_durables(&self.config(), &mut work);
        self.settle(&mut work);
        restored
    }

    fn restored_queue(&self, head: &QueueHead, work: &mut Work) -> Option<Arc<QueueCell>> {
        let kind = Kind::from_code(u8::try_from(head.kind).ok()?)?;
        let destination = Destination::new(kind, &head.name);
        Some(self.find_or_make_queue(&destination, work))
    }

    fn restored_durable(&self, head: &DurableHead) -> Option<Arc<QueueCell>> {
        let conversion = match head.converts_strings {
            true => Conversion::ConvertStrings,
            false => Conversion::Strict,
        };
        let selector = head.selector.as_ref();
        let selector = selector
            .map(|text| Selector::parse(text, conversion))
            .transpose()
            .ok()?;
        let key = DurableKey {
            user: Arc::from(&*head.user),
            client_id: Box::from(&*head.client_id),
            name: Box::from(&*head.name),
        };
        let filters = head.filters.iter();
        let wish = DurableWish {
            filters: filters
                .map(|name| Destination::new(Kind::Topic, name))
                .collect(),
            selector,
            no_local: head.no_local,
        };
        let durable = self.restore_durable(key, wish).ok()?;
        Some(durable.cell.clone())
    }
}

fn head(key: &DurableKey, wish: &DurableWish) -> DurableHead {
    let selector = wish.selector.as_ref();
    DurableHead {
        user: key.user.to_string(),
        client_id: key.client_id.to_string(),
        name: key.name.to_string(),
        filters: wish
            .filters
            .iter()
            .map(|one| one.name.to_string())
            .collect(),
        selector: selector.map(|one| one.text().to_owned()),
        converts_strings: selector.is_some_and(|one| one.conversion() != Conversion::Strict),
        no_local: wish.no_local,
    }
}

fn parcels(cell: &Arc<QueueCell>) -> Vec<Parcel> {
    let wall_ms = clock::wall_ms();
    let mut none = Work::default();
    cell.apply(&mut none, |queue, _| {
        queue.stock(|message, history, is_held| Parcel {
            envelope: message.envelope().clone(),
            lives_ms: match message.expires_ms {
                0 => 0,
                at => u64::try_from(at.saturating_sub(wall_ms)).map_or(1, |left| left.max(1)),
            },
            redelivered: message.redelivered || is_held,
            redeliveries: message.redeliveries.into(),
            moves: history.map_or(0, |history| history.moves.into()),
            was_learned: history.is_some_and(|history| history.was_learned),
        })
    })
}

/// How many of them are kept.
fn fill(cell: &Arc<QueueCell>, parcels: Vec<Parcel>, work: &mut Work) -> u64 {
    let wall_ms = clock::wall_ms();
    let mut kept = 0;
    for parcel in parcels {
        let lives_ms = i64::try_from(parcel.lives_ms).unwrap_or(i64::MAX);
        let expires_ms = match lives_ms {
            0 => 0,
            lives_ms => wall_ms.saturating_add(lives_ms),
        };
        let Ok(mut message) = crate::model::Message::from_envelope(parcel.envelope, expires_ms)
        else {
            continue;
        };
        message.redelivered = parcel.redelivered;
        message.redeliveries = u16::try_from(parcel.redeliveries).unwrap_or(u16::MAX);
        let history = History {
            moves: u16::try_from(parcel.moves).unwrap_or(u16::MAX),
            was_learned: parcel.was_learned,
            ..History::default()
        };
        kept += u64::from(cell.restore(Arrival { message, history }, work));
    }
    kept
}
