//! The account of what clients make the broker keep.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{Peer, broker_with};
use crate::broker::Broker;
use crate::net::waiting::{Turn, wait_for_memory};

/// 20Mi: ten of them are for what clients make the broker keep.
const SMALL: &str = "memory: {limit: 20Mi}\nqueue: {max_bytes: 64Mi}\nmesh: {rings: 1Mi}\n";
const MIB: usize = 1 << 20;

fn big() -> String {
    "x".repeat(MIB)
}

#[test]
fn many_queues_together_are_held_within_the_account_and_their_producers_wait() {
    let broker = broker_with(SMALL);
    let mut peer = Peer::connect(&broker, "alice", "p");
    for number in 0..9 {
        peer.send(&format!("/queue/{}.{}", number % 3, number), "small");
        peer.send(&format!("/queue/{}", number % 3), &big());
    }
    assert!(peer.client.sink.held.is_empty());
    assert!(broker.memory.clients.is_tight());
    peer.send("/queue/0", &big());
    assert_eq!(peer.client.sink.held.len(), 1, "the queue itself has room");
    let mut consumer = Peer::connect(&broker, "bob", "c");
    consumer.subscribe("destination:/queue/1");
    assert_eq!(consumer.bodies().len(), 3);
    assert!(peer.client.sink.retry_held());
}

#[test]
fn what_a_queue_held_is_out_of_the_account_when_it_is_gone() {
    let broker = broker_with(SMALL);
    let mut peer = Peer::connect(&broker, "alice", "p");
    peer.send("/temp-queue/t", &big());
    peer.subscribe("destination:/temp-queue/u\nack:client");
    peer.send("/temp-queue/u", &big());
    assert!(broker.memory.clients.used() >= 2 * MIB);
    peer.leave();
    assert_eq!(broker.memory.clients.used(), 0);
}

#[test]
fn while_the_account_is_full_transactions_grow_no_more_and_are_rolled_back() {
    let broker = broker_with(SMALL);
    let mut peer = Peer::connect(&broker, "alice", "p");
    for _ in 0..9 {
        peer.send("/queue/q", &big());
    }
    let mut other = Peer::connect(&broker, "bob", "t");
    other.say("BEGIN\ntransaction:1\n\n\0");
    other.send_with("/queue/r", "transaction:1\n", &"y".repeat(MIB / 2));
    assert!(other.heard().is_empty());
    peer.send("/queue/other", &big());
    peer.send("/queue/another", &big());
    let before = broker.memory.clients.used();
    other.send_with("/queue/r", "transaction:1\n", "one more");
    let heard = other.heard();
    assert!(heard.starts_with("ERROR\n"), "{heard}");
    assert!(
        broker.memory.clients.used() < before - MIB / 4,
        "rolled back"
    );
}

#[test]
fn empty_queues_take_a_message_beyond_the_account_but_not_for_ever() {
    let broker = broker_with(SMALL);
    let mut peer = Peer::connect(&broker, "alice", "p");
    for number in 0..20 {
        peer.send(&format!("/queue/{number}"), &big());
    }
    let (used, limit) = (broker.memory.clients.used(), broker.memory.clients.limit());
    assert!(used > limit, "{used} of {limit}");
    assert!(used <= limit + limit / 8 + 2 * MIB, "{used} of {limit}");
    assert!(!peer.client.sink.held.is_empty(), "the others wait");
}

/// SEND of a mebibyte, as far as `sent` bytes of its body.
fn begin(peer: &mut Peer, sent: usize) {
    let head = format!("SEND\ndestination:/queue/q\ncontent-length:{MIB}\n\n");
    peer.say(&head);
    go_on(peer, sent);
}

fn go_on(peer: &mut Peer, sent: usize) {
    for chunk in "x".repeat(sent).as_bytes().chunks(64 << 10) {
        peer.client.handle(chunk);
    }
}

#[test]
fn a_frame_counts_while_it_arrives_and_is_out_of_the_account_when_it_is_whole() {
    let broker = broker_with(SMALL);
    let mut peer = Peer::connect(&broker, "alice", "p");
    begin(&mut peer, MIB / 2);
    let arriving = &broker.memory.arriving;
    assert!(
        (MIB / 2..MIB / 4 * 3).contains(&arriving.used()),
        "{}",
        arriving.used()
    );
    assert!(peer.client.is_amid_large_frame());
    go_on(&mut peer, MIB / 2);
    peer.say("\0SEND\ndestination:/queue/q\n\nthe beginning of ano");
    assert!(arriving.used() < 4096, "{}", arriving.used());
    assert!(!peer.client.is_amid_large_frame());
    peer.say("ther\0");
    peer.subscribe("destination:/queue/q");
    assert_eq!(
        peer.bodies(),
        [big(), "the beginning of another".to_owned()]
    );
    begin(&mut peer, MIB / 2);
    peer.leave();
    assert_eq!(arriving.used(), 0);
}

async fn may_read(peer: &Peer, turn: &mut Option<Turn>) -> bool {
    let far = Instant::now() + Duration::from_secs(60);
    let cancel = CancellationToken::new();
    let waiting = wait_for_memory(&peer.client, turn, far, &cancel);
    timeout(Duration::from_millis(50), waiting).await.is_ok()
}

#[tokio::test]
async fn while_memory_for_frames_is_short_one_large_frame_at_a_time_goes_on() {
    let broker = broker_with("limits: {arriving_memory: 1Mi}\n");
    let mut peers = ["a", "b", "c"].map(|id| Peer::connect(&broker, "alice", id));
    let [one, other, small] = &mut peers;
    let (mut first, mut second, mut none) = (None, None, None);
    begin(one, MIB / 2);
    assert!(may_read(one, &mut first).await && first.is_none());
    begin(other, MIB / 2);
    assert!(may_read(one, &mut first).await && first.is_some());
    assert!(!may_read(other, &mut second).await, "it waits for its turn");
    begin(small, 10_000);
    assert!(may_read(small, &mut none).await, "small frames never wait");
    go_on(one, MIB / 2);
    one.say("\0");
    assert!(may_read(one, &mut first).await && first.is_none());
    assert!(may_read(other, &mut second).await, "there is room again");
}

#[tokio::test]
async fn before_the_login_a_long_frame_waits_until_its_time_is_over() {
    let broker = broker_with("limits: {pre_auth_memory: 64Ki}\n");
    let mut strangers: Vec<Peer> = (0..8).map(|_| Peer::stranger(&broker)).collect();
    for stranger in &mut strangers {
        stranger.say(&format!("CONNECT\nx:{0}\nz:{0}", "y".repeat(7000)));
    }
    let login = Peer::connect(&broker, "alice", "p");
    assert!(may_read(&login, &mut None).await);
    assert!(broker.memory.before_login.used() > 64 << 10);
    assert!(!may_read(&strangers[0], &mut None).await);
    let over = Instant::now();
    let cancel = CancellationToken::new();
    assert!(!wait_for_memory(&strangers[0].client, &mut None, over, &cancel).await);
    strangers.clear();
    assert_eq!(broker.memory.before_login.used(), 0);
}

#[test]
fn subscriptions_are_refused_where_their_memory_ends_and_free_it_when_they_go() {
    let broker = broker_with("limits: {subscription_memory: 64Ki}\n");
    let mut peer = Peer::connect(&broker, "alice", "p");
    let list = "'some value',".repeat(80);
    let selector = format!("a IN ({}'last')", list);
    let mut made = 0;
    let refused = loop {
        peer.say(&format!(
            "SUBSCRIBE\nid:{made}\ndestination:/topic/{made}\nselector:{selector}\n\n\0"
        ));
        let heard = peer.heard();
        if !heard.is_empty() {
            break heard;
        }
        made += 1;
    };
    assert!(refused.contains("limits.subscription_memory"), "{refused}");
    assert!((5..=15).contains(&made), "{made}: some 5 KiB each");
    peer.say("UNSUBSCRIBE\nid:0\n\n\0");
    peer.say(&format!(
        "SUBSCRIBE\nid:again\ndestination:/topic/again\nselector:{selector}\n\n\0"
    ));
    assert_eq!(peer.heard(), "");
    peer.leave();
    assert_eq!(broker.memory.subscriptions.used(), 0);
}

/// What the account says that one of so many grew by.
fn each(broker: &Arc<Broker>, before: usize, count: usize) -> usize {
    (broker.memory.clients.used() - before) / count
}

/// Measured, with 30,000 to 100,000 of each in a process: what a message without a body takes, its
/// 62 bytes included.
#[test]
fn small_messages_count_as_what_they_take_wherever_they_are() {
    let rows = [
        ("/queue/q", "", 298, 420),
        ("/queue/q", "ack:client\nactivemq.prefetchSize:1", 349, 420),
        (
            "/queue/q",
            "ack:client\nactivemq.prefetchSize:32767",
            618,
            800,
        ),
        ("/topic/q", "ack:client\nactivemq.prefetchSize:1", 383, 440),
        ("/topic/q", "", 92, 250),
    ];
    const COUNT: usize = 2000;
    for (destination, headers, real, most) in rows {
        let broker = broker_with("memory: {limit: 512Mi}\n");
        let mut consumer = Peer::connect(&broker, "bob", "c");
        if !headers.is_empty() || destination.starts_with("/topic") {
            consumer.subscribe(&format!("destination:{destination}\n{headers}"));
        }
        let mut peer = Peer::connect(&broker, "alice", "p");
        let before = broker.memory.clients.used();
        for _ in 0..COUNT {
            peer.send(destination, "");
        }
        if headers.ends_with("32767") {
            assert_eq!(consumer.bodies().len(), COUNT, "in its hands");
        }
        // What waits for a socket is told in blocks.
        let slack = (64 << 10) / COUNT;
        let counted = each(&broker, before, COUNT);
        let row = format!("{destination} {headers}: {counted}");
        assert!(counted + slack >= real && counted <= most, "{row}");
        consumer.leave();
        peer.leave();
    }
}

#[test]
fn small_messages_of_open_transactions_fill_the_account_and_no_more() {
    let broker = broker_with(SMALL);
    let limit = broker.memory.clients.limit();
    let send = "SEND\ndestination:/queue/q\ntransaction:t\n\n\0".repeat(1000);
    let mut peers: Vec<Peer> = (0..40)
        .map(|id| Peer::connect(&broker, "alice", &format!("c{id}")))
        .collect();
    for peer in &mut peers {
        peer.say("BEGIN\ntransaction:t\n\n\0");
    }
    let mut refused = 0;
    for _ in 0..9 {
        for peer in &mut peers {
            peer.say(&send);
            refused += peer.heard().matches("is larger than allowed").count();
            let used = broker.memory.clients.used();
            assert!(used <= limit + (128 << 10), "{used} of {limit}");
        }
    }
    assert!(refused > 0, "the account was never full");
}

#[test]
fn what_waits_for_a_full_queue_counts_until_it_is_taken_or_refused() {
    let broker = broker_with("queue: {max_messages: 1}\n");
    let mut peer = Peer::connect(&broker, "alice", "p");
    peer.send("/queue/q", "first");
    peer.say("BEGIN\ntransaction:t\n\n\0");
    for _ in 0..4 {
        peer.send_with("/queue/q", "transaction:t\n", &big());
    }
    peer.say("COMMIT\ntransaction:t\n\n\0");
    assert_eq!(peer.client.sink.held.len(), 4);
    let used = || broker.memory.clients.used();
    assert!(used() > 4 * MIB, "{}", used());
    assert!(!peer.client.sink.retry_held());
    assert!(used() > 4 * MIB, "{}", used());
    assert_eq!(peer.client.sink.refuse_held(), 4);
    assert!(used() < MIB, "{}", used());
}
