//! Tests of writing to slow transports.

use std::cell::Cell;

use super::*;
use crate::mesh::event::RingLevel;
use crate::mesh::forward::DSet;
use crate::mesh::frame::{PayloadKind, TailHead};
use crate::mesh::ids::{ConnId, Epoch, Sid};
use crate::mesh::ring::{Append, Queued, Source};
use crate::metrics::Metrics;

/// A link with a message that fills its batch, and the connection that carries it.
fn link(len: usize) -> (Arc<LinkData>, Arc<Conn>) {
    let link = LinkData::new(LinkId(0), "a-b", "b", 1 << 20, &Metrics::new(), at(0));
    let link = Arc::new(link);
    let conn = Arc::new(Conn::new(ConnId(1), CancellationToken::new()));
    link.set_conn(conn.clone());
    let head = TailHead {
        origin: Sid(1),
        class: 0,
        kind: PayloadKind::Topic,
        label: 0,
        flags: 0,
        epoch: Epoch(1),
        seq: 1,
        ttl_ms: 0,
        payload_len: 0,
    };
    let tail = head.with_payload(&[&vec![7; len]]);
    let frame = Queued::own(DSet::of(Sid(2)), head, tail, at(0));
    assert_eq!(link.append(frame, Source::Client, at(0)).0, Append::Placed);
    (link, conn)
}

fn at(seconds: u64) -> Now {
    Now(0).plus(Duration::from_secs(seconds))
}

#[tokio::test]
async fn a_wire_that_takes_a_message_slowly_is_not_stalled() {
    let (link, conn) = link(100_000);
    let mut batch = Vec::new();
    assert!(conn.fill(&mut batch, at(0)).has_data);
    // A second goes by with each kilobyte that the wire takes.
    let (mut near, mut far) = tokio::io::duplex(1000);
    let seconds = Cell::new(0);
    let took = || {
        seconds.set(seconds.get() + 1);
        conn.took(at(seconds.get()));
        assert_ne!(link.news(at(seconds.get())), Some(RingLevel::Stalled));
    };
    let length = batch.len();
    let reading = async {
        let mut read = vec![0; length];
        far.read_exact(&mut read).await
    };
    let (written, read) = tokio::join!(write_batch(&mut near, &batch, took), reading);
    assert!(written.is_ok() && read.is_ok());
    assert!(seconds.get() >= 100, "{} s", seconds.get());
    // Nothing is left to take and the answer does not come.
    let silent = seconds.get() + 29;
    assert_ne!(link.news(at(silent)), Some(RingLevel::Stalled));
    assert_eq!(link.news(at(silent + 1)), Some(RingLevel::Stalled));
}

#[test]
fn signs_of_life_do_not_hide_that_messages_stand_still() {
    let (_, conn) = link(100);
    let mut batch = Vec::new();
    conn.fill(&mut batch, at(0));
    batch.clear();
    conn.send(
        Bytes::from_static(b"ping"),
        crate::mesh::event::Lane::Urgent,
        None,
    );
    let filled = conn.fill(&mut batch, at(1));
    assert_eq!((&batch[..], filled.has_data), (&b"ping"[..], false));
}
