//! Earlier and later processes of the receiver.

use super::*;

/// The receiver runs again.
fn restarted() -> Event<'static> {
    Event::Peer {
        bid: B,
        epoch: Epoch(2),
        is_reachable: true,
    }
}

#[test]
fn a_receiver_that_lost_its_memory_says_so_and_everything_open_comes_back_flagged() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    hand_over(&mut a, &mut b, 1, None);
    transfers(offer(&mut a, &message(2), 0).1);
    let mut b = machine(B, 2);
    let again = transfers(say(&mut a, restarted(), 500));
    assert_eq!(again[0].0.seq, 2);
    assert!(receive(&mut b, &again[0], 500).is_empty());
    let body = bodies(say(&mut b, Event::Tick, 5500)).remove(0);
    let effects = say(&mut a, Event::Routed { from: B, body }, 5500);
    let back = returned(&effects)[0];
    assert_eq!(
        (back.token, back.why, back.is_redelivered),
        (2, ReturnReason::Unknown, true)
    );
    let fresh = transfers(offer(&mut a, &message(3), 5500).1);
    assert_eq!((fresh[0].0.stream, fresh[0].0.seq), (2, 1));
    assert_eq!(receive(&mut b, &fresh[0], 5500).len(), 1);
}

#[test]
fn a_new_process_of_the_receiver_gets_a_new_stream_when_nothing_is_open() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    hand_over(&mut a, &mut b, 1, None);
    let mut b = machine(B, 2);
    assert!(say(&mut a, restarted(), 500).is_empty());
    let fresh = transfers(offer(&mut a, &message(2), 500).1);
    assert_eq!((fresh[0].0.stream, fresh[0].0.seq), (2, 1));
    assert_eq!(receive(&mut b, &fresh[0], 500).len(), 1);
}

#[test]
fn a_stream_that_its_receiver_does_not_know_comes_back_flagged_also_without_a_new_epoch() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    hand_over(&mut a, &mut b, 1, None);
    let sent = transfers(offer(&mut a, &message(2), 0).1);
    let mut other = machine(B, 1);
    receive(&mut other, &sent[0], 0);
    let body = bodies(say(&mut other, Event::Tick, 5000)).remove(0);
    let effects = say(&mut a, Event::Routed { from: B, body }, 5000);
    let back = returned(&effects)[0];
    assert_eq!(
        (back.why, back.is_redelivered),
        (ReturnReason::Unknown, true)
    );
}

#[test]
fn what_is_sent_again_is_flagged_for_a_process_that_knows_nothing_of_the_first_time() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    let first = transfers(offer(&mut a, &message(1), 0).1).remove(0);
    assert!(!first.0.has(crate::mesh::frame::XF_REDELIVERED));
    let again = transfers(say(&mut a, Event::Tick, 1000)).remove(0);
    assert!(again.0.has(crate::mesh::frame::XF_REDELIVERED));
    assert_eq!(receive(&mut b, &again, 1000).len(), 1);
}

#[test]
fn what_was_meant_for_an_earlier_process_is_not_taken() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    let late = transfers(offer(&mut a, &message(7), 0).1).remove(0);
    let id = receive(&mut b, &late, 0)[0];
    let body = answer(&mut b, id, Some(Refusal::NoCredit), 0).remove(0);
    let back = say(&mut a, Event::Routed { from: B, body }, 0);
    assert_eq!(returned(&back)[0].token, 7, "it goes to somebody else");
    // A second copy of the frame took another way, and B restarts before it comes.
    let mut b = machine(B, 2);
    assert!(receive(&mut b, &late, 500).is_empty());
    say(&mut a, restarted(), 500);
    let next = transfers(offer(&mut a, &message(8), 500).1).remove(0);
    assert_eq!(next.0.to_epoch, 2);
    assert_eq!(receive(&mut b, &next, 500).len(), 1);
}

#[test]
fn what_is_open_when_the_receiver_restarts_is_sent_to_its_new_process() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 2));
    let sent = transfers(offer(&mut a, &message(7), 0).1).remove(0);
    assert!(
        receive(&mut b, &sent, 0).is_empty(),
        "A has not heard of it"
    );
    let again = transfers(say(&mut a, restarted(), 100)).remove(0);
    assert_eq!(receive(&mut b, &again, 100).len(), 1);
}

#[test]
fn an_answer_of_an_earlier_process_does_not_count() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    let sent = transfers(offer(&mut a, &message(7), 0).1).remove(0);
    let id = receive(&mut b, &sent, 0)[0];
    let body = answer(&mut b, id, Some(Refusal::NoConsumer), 0).remove(0);
    let again = transfers(say(&mut a, restarted(), 100)).remove(0);
    // Otherwise somebody else would have it, too.
    assert!(say(&mut a, Event::Routed { from: B, body }, 101).is_empty());
    let mut b = machine(B, 2);
    let id = receive(&mut b, &again, 102)[0];
    let body = answer(&mut b, id, None, 102).remove(0);
    assert_eq!(say(&mut a, Event::Routed { from: B, body }, 103), [gone(7)]);
}

#[test]
fn a_process_whose_epoch_is_raised_takes_only_what_is_meant_for_it_since() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    let sent = transfers(offer(&mut a, &message(7), 0).1).remove(0);
    say(&mut b, Event::Epoch(Epoch(2)), 0);
    assert!(receive(&mut b, &sent, 1).is_empty());
    let again = transfers(say(&mut a, restarted(), 2)).remove(0);
    assert_eq!(receive(&mut b, &again, 2).len(), 1);
}

#[test]
fn a_process_that_takes_the_place_of_one_with_a_later_clock_is_served_as_well() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    say(&mut a, restarted(), 0);
    let sent = transfers(offer(&mut a, &message(7), 1).1).remove(0);
    assert!(
        receive(&mut b, &sent, 1).is_empty(),
        "it is for the other claim"
    );
    let first = Event::Peer {
        bid: B,
        epoch: Epoch(1),
        is_reachable: true,
    };
    let again = transfers(say(&mut a, first, 2)).remove(0);
    let id = receive(&mut b, &again, 2)[0];
    let body = answer(&mut b, id, None, 2).remove(0);
    assert_eq!(say(&mut a, Event::Routed { from: B, body }, 3), [gone(7)]);
}
