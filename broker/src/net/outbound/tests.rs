//! What waits for one client.

use std::sync::Arc;

use super::{Append, BLOCK, Outbound};
use crate::broker::ledger::Ledger;

fn drain(outbound: &Outbound) -> Vec<u8> {
    let mut all = Vec::new();
    while let Ok(Some((chunk, from))) = outbound.take_chunk(1) {
        all.extend_from_slice(&chunk[from..]);
        let written = chunk.len() - from;
        outbound.give_back(chunk, from, &Ok(written), &mut Vec::new(), 1);
    }
    all
}

#[test]
fn at_the_limit_the_oldest_droppable_frames_go_and_replies_stay() {
    let outbound = Outbound::new(1, 100, Arc::default());
    assert_eq!(outbound.push(&[b"RECEIPT.."]), Append::Queued);
    for number in 0..9_u8 {
        assert_eq!(
            outbound.push_droppable(&[&[b'0' + number; 10]]),
            Append::Queued
        );
    }
    assert_eq!(outbound.push_droppable(&[b"last......"]), Append::Dropped);
    let text = String::from_utf8(drain(&outbound)).unwrap_or_default();
    assert!(text.starts_with("RECEIPT..3333333333"), "{text}");
    assert!(text.ends_with("8888888888last......"), "{text}");
    assert_eq!(outbound.dropped(), 3);
}

#[test]
fn a_closed_way_out_takes_nothing() {
    let outbound = Outbound::new(1, 100, Arc::default());
    assert!(outbound.close().is_empty());
    assert_eq!(outbound.push(&[b"x"]), Append::Closed);
    assert_eq!(outbound.push_droppable(&[b"x"]), Append::Closed);
    assert!(drain(&outbound).is_empty());
}

#[test]
fn no_message_comes_behind_the_last_words() {
    let outbound = Outbound::new(1, 100, Arc::default());
    outbound.push(&[b"MESSAGE "]);
    outbound.push_last(b"RECEIPT");
    assert_eq!(outbound.push(&[b"x"]), Append::Closed);
    assert_eq!(outbound.push_droppable(&[b"x"]), Append::Closed);
    assert_eq!(drain(&outbound), b"MESSAGE RECEIPT");
    let outbound = Outbound::new(1, 100, Arc::default());
    outbound.push_last(b"");
    assert_eq!(outbound.push_droppable(&[b"x"]), Append::Closed);
}

#[test]
fn a_partial_write_continues_where_it_stopped() {
    let outbound = Outbound::new(1, 100, Arc::default());
    outbound.push(&[b"hello"]);
    let Ok(Some((chunk, from))) = outbound.take_chunk(1) else {
        panic!("a chunk is there")
    };
    outbound.give_back(chunk, from, &Ok(2), &mut Vec::new(), 1);
    outbound.push(&[b" world"]);
    assert_eq!(drain(&outbound), b"llo world");
}

fn small_account(kib: usize) -> Arc<Ledger> {
    let ledger = Arc::new(Ledger::default());
    ledger.set_limit(kib * 1024);
    ledger
}

#[test]
fn what_waits_counts_in_the_account_of_the_broker_until_it_is_written_or_the_client_is_gone() {
    let ledger = small_account(10_000);
    let outbound = Outbound::new(1, 10 * BLOCK, ledger.clone());
    outbound.push(&[&[1; 3 * BLOCK]]);
    let used = ledger.used();
    assert!((3 * BLOCK..3 * BLOCK + 100).contains(&used), "{used}");
    assert_eq!(drain(&outbound).len(), 3 * BLOCK);
    assert_eq!(ledger.used(), 0);
    outbound.push(&[&[1; 2 * BLOCK]]);
    outbound.close();
    assert_eq!(ledger.used(), 0);
}

#[test]
fn while_the_broker_is_full_a_slow_client_keeps_no_more_than_a_block() {
    let ledger = small_account(160);
    let outbound = Outbound::new(1, 10 * BLOCK, ledger.clone());
    outbound.push_droppable(&[&[1; BLOCK]]);
    outbound.push_droppable(&[&[2; BLOCK]]);
    assert_eq!(outbound.dropped(), 0);
    assert_eq!(outbound.push_droppable(&[&[3; BLOCK]]), Append::Dropped);
    assert_eq!(drain(&outbound), [3; BLOCK]);
}
