//! A link that changes over to a newer connection. Rule: R25.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::mesh::forward::DSet;
use crate::mesh::frame::{FLAG_MARKED, HEADER_LEN, Header, PayloadKind, TailHead};
use crate::mesh::ids::{Epoch, Sid};

const NOW: Now = Now(1);
const MOST: usize = 64 << 10;

fn link() -> Arc<LinkData> {
    Arc::new(LinkData::new(
        LinkId(0),
        "a-b",
        "b",
        1 << 20,
        &Metrics::new(),
        NOW,
    ))
}

fn conn(number: u64) -> Arc<Conn> {
    Arc::new(Conn::new(ConnId(number), CancellationToken::new()))
}

fn append(link: &LinkData, seq: u64) {
    let head = TailHead {
        origin: Sid(1),
        class: 0,
        kind: PayloadKind::Topic,
        label: 0,
        flags: 0,
        epoch: Epoch(1),
        seq,
        ttl_ms: 0,
        payload_len: 0,
    };
    let frame = Queued::own(DSet::of(Sid(2)), head, head.with_payload(&[b"x"]), NOW);
    assert_eq!(link.append(frame, Source::Client, NOW).0, Append::Placed);
}

/// Number on the connection, number of the message, and whether it is marked, of all that leaves.
fn sent(link: &LinkData, over: &Conn) -> Vec<(u64, u64, bool)> {
    let mut batch = Vec::new();
    link.fill(over.id, &mut batch, MOST, NOW);
    let (mut rest, mut frames) = (&batch[..], Vec::new());
    while let Some(header) = Header::decode(rest) {
        let body = &rest[HEADER_LEN..];
        let number = |at: usize| u64::from_be_bytes(*body[at..].first_chunk().unwrap());
        // One destination makes a set of two bytes; the seq is 16 bytes into the tail.
        let is_marked = header.flags & FLAG_MARKED != 0;
        frames.push((number(0), number(20 + 2 + 16), is_marked));
        rest = &body[usize::try_from(header.len).unwrap()..];
    }
    frames
}

#[test]
fn a_newer_connection_waits_until_all_is_acknowledged_and_begins_at_one() {
    let (link, older, newer) = (link(), conn(1), conn(2));
    link.set_conn(older.clone());
    (1..=2).for_each(|seq| append(&link, seq));
    assert_eq!(sent(&link, &older), [(1, 1, false), (2, 2, false)]);
    append(&link, 3);

    assert!(!link.drain(newer.clone()), "two are under way");
    assert!(newer.link().is_some(), "its data may arrive");
    assert!(sent(&link, &older).is_empty());
    assert!(sent(&link, &newer).is_empty());
    let acked = |lseq| link.lack(older.id, lseq, NOW).unwrap().drained;
    assert_eq!(acked(1), None);
    assert_eq!(acked(2), Some(newer.id));

    assert_eq!(link.take_over(NOW), 0, "none is sent twice");
    assert!(sent(&link, &older).is_empty());
    assert_eq!(sent(&link, &newer), [(1, 3, false)]);
    assert_eq!(link.conn().map(|conn| conn.id), Some(newer.id));
}

#[test]
fn what_was_not_acknowledged_goes_first_and_marked() {
    let (link, older, newer) = (link(), conn(1), conn(2));
    link.set_conn(older.clone());
    (1..=3).for_each(|seq| append(&link, seq));
    sent(&link, &older);
    append(&link, 4);
    link.drain(newer.clone());
    link.lack(older.id, 1, NOW).unwrap();
    assert_eq!(link.take_over(NOW), 2);
    let expected = [(1, 2, true), (2, 3, true), (3, 4, false)];
    assert_eq!(sent(&link, &newer), expected);
    // The older one's numbers mean other frames.
    assert_eq!(link.lack(older.id, 3, NOW).unwrap(), Acked::default());
    assert_eq!(link.ring().len(), 3);
    link.lack(newer.id, 3, NOW).unwrap();
    assert!(link.ring().is_empty());
}

#[test]
fn a_link_with_nothing_under_way_changes_over_at_once() {
    let (link, newer) = (link(), conn(2));
    link.set_conn(conn(1));
    append(&link, 1);
    assert!(link.drain(newer.clone()));
    link.take_over(NOW);
    assert_eq!(sent(&link, &newer), [(1, 1, false)]);
}

#[test]
fn a_link_that_dies_while_it_changes_over_gives_everything_back() {
    let (link, older, newer) = (link(), conn(1), conn(2));
    link.set_conn(older.clone());
    append(&link, 1);
    sent(&link, &older);
    append(&link, 2);
    link.drain(newer.clone());
    let frames = link.die(NOW);
    let marks: Vec<bool> = frames.iter().map(|frame| frame.is_marked).collect();
    assert_eq!(marks, [true, false]);
    assert_eq!(
        link.take_over(NOW),
        0,
        "there is no newer connection any more"
    );
    assert!(link.conn().is_none() && link.rescue(NOW).is_empty());
    link.set_conn(newer.clone());
    append(&link, 3);
    assert!(link.rescue(NOW).is_empty(), "it has a connection");
    assert_eq!(sent(&link, &newer), [(1, 3, false)]);
}
