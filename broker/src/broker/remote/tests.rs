//! Tests of the door to other brokers, with nothing behind it.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::broker::publish::Publisher;
use crate::config::test_support;
use crate::model::temporary;

/// Another broker wants everything and answers nothing.
#[derive(Debug, Default)]
struct Other {
    is_tight: AtomicBool,
}

impl Remote for Other {
    fn bid(&self) -> [u8; 16] {
        [1; 16]
    }

    fn interest(&self, _: Wanted) {}

    fn topic_interest(&self, _: &str, route: &mut TopicRoute) {
        route.remote.push(7);
    }

    fn knows_queue(&self, _: &str) -> bool {
        false
    }

    fn reply_facts(&self, _: &str) -> ReplyFacts {
        ReplyFacts::default()
    }

    fn has_reply_routes(&self) -> bool {
        false
    }

    fn reply_sids(&self, _: &str, _: &mut Vec<u16>) {}

    fn teach_own(&self, _: Kind, _: &str) {}

    fn forward_topic(&self, _: &MessageView<'_>, _: &[u16]) -> Pace {
        if self.is_tight.load(Ordering::Relaxed) {
            Pace::Slow
        } else {
            Pace::Free
        }
    }

    fn send_to_home(&self, home: [u8; 16], view: &MessageView<'_>) -> Option<Pace> {
        (home == [2; 16]).then(|| self.forward_topic(view, &[]))
    }

    fn held_bytes(&self) -> usize {
        0
    }

    fn is_full(&self) -> bool {
        false
    }

    fn queue_waits(&self, _: &Arc<QueueCell>) {}
    fn queue_has_room(&self, _: &Arc<QueueCell>) {}
}

fn broker(other: &Arc<Other>) -> Broker {
    let mut files = test_support::files();
    let mut text = String::from_utf8_lossy(&files.broker).into_owned();
    let topics = r#"    - {topic: ">", read: [everyone], write: [everyone], admin: [everyone]}"#;
    text.push_str(topics);
    files.broker = text.into_bytes();
    let config = test_support::config(&files);
    let broker = Broker::new(Arc::new(config), 1, [0; 16]);
    broker.attach_remote(other.clone());
    broker
}

fn publish(broker: &Broker, view: &MessageView<'_>) -> Work {
    let rules = broker.rules.load();
    let mut publisher = Publisher {
        connection: 1,
        identity: rules.identity("alice").expect("she is active").clone(),
        cache: crate::broker::matching::MatchCache::default(),
    };
    let mut work = Work::default();
    broker
        .publish(&mut publisher, view, &mut work)
        .expect("it is taken");
    work
}

#[test]
fn who_publishes_into_a_ring_that_is_three_quarters_full_is_slowed_down() {
    let other = Arc::new(Other::default());
    let broker = broker(&other);
    let topic = MessageView::new(Kind::Topic, "news", "1", b"x");
    let work = publish(&broker, &topic);
    assert_eq!(
        (work.is_tight, work.forwarded),
        (false, Forwarded::Droppable)
    );
    other.is_tight.store(true, Ordering::Relaxed);
    let work = publish(&broker, &topic);
    assert_eq!(
        (work.is_tight, work.forwarded),
        (true, Forwarded::Droppable)
    );
    // What stays here fills no ring.
    let queue = MessageView::new(Kind::Queue, "jobs", "2", b"x");
    let work = publish(&broker, &queue);
    assert_eq!((work.is_tight, work.forwarded), (false, Forwarded::Nothing));
}

#[test]
fn who_answers_to_a_temporary_topic_elsewhere_waits_for_the_rings_too() {
    let other = Arc::new(Other::default());
    other.is_tight.store(true, Ordering::Relaxed);
    let broker = broker(&other);
    let mut name = "answers".to_owned();
    temporary::push_home(&mut name, [2; 16]);
    let topic = MessageView {
        persistent: true,
        ..MessageView::new(Kind::TempTopic, &name, "1", b"x")
    };
    let work = publish(&broker, &topic);
    assert_eq!((work.is_tight, work.forwarded), (true, Forwarded::Reliable));
    // A message for a temporary queue waits in a queue of that name here, which has limits of its own.
    let queue = MessageView {
        kind: Kind::TempQueue,
        ..topic
    };
    assert_eq!(publish(&broker, &queue).forwarded, Forwarded::Nothing);
}
