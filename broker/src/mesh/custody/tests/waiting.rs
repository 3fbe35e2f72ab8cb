//! Who asks for more than there is room for is told of room when there is some (R16).

use super::*;
use crate::mesh::messages::{CreditGrant, TransferRelease};

const C: Bid = Bid([3; 16]);

/// A broker asks for that many; the answer, in numbers: granted, and whether more is promised.
fn ask(custody: &mut Custody, from: Bid, want: u32, room: Room, millis: u64) -> (u32, bool) {
    let request = CreditWanted {
        from,
        queue: "work".into(),
        key: None,
        want,
        cause: Cause::Asked,
    };
    let body = bodies(say(custody, Event::Grant { request, room }, millis)).remove(0);
    let Body::Cgrant(answer) = body else {
        panic!("{body:?}")
    };
    (answer.granted, answer.more)
}

/// Lets the queue answer those that wait; who is granted what, and whether more is promised.
fn serve(
    custody: &mut Custody,
    event: Event<'_>,
    room: impl Fn(u32) -> Room,
    millis: u64,
) -> Vec<(Bid, u32, bool)> {
    let mut told = Vec::new();
    for effect in say(custody, event, millis) {
        let Effect::CreditWanted(request) = effect else {
            continue;
        };
        let room = room(request.want);
        for effect in say(custody, Event::Grant { request, room }, millis) {
            if let Effect::Route {
                to,
                body: Body::Cgrant(answer),
            } = effect
            {
                told.push((to, answer.granted, answer.more));
            }
        }
    }
    told
}

fn has_room() -> Event<'static> {
    Event::Room("work".into())
}

/// The number of a broker's grant for another one.
fn grant_of(from: Bid, number: u64) -> u64 {
    number << 1 | u64::from(B < from)
}

/// A transfer that uses the grant of its own number.
fn transfer(b: &mut Custody, from: Bid, seq: u64, millis: u64) {
    let head = TransferHead {
        owner: from,
        to: B,
        to_epoch: 1,
        stream_epoch: 1,
        stream: 1,
        seq,
        flags: 0,
        moves: 0,
        grant: grant_of(from, seq),
        term: 0,
    };
    let event = Event::Transfer {
        head,
        envelope: Bytes::from_static(b"message"),
        expires: None,
    };
    say(b, event, millis);
}

#[test]
fn who_asked_in_vain_is_told_of_room_at_once_and_once() {
    let mut b = machine(B, 1);
    assert_eq!(ask(&mut b, A, 3, room(0, 1), 0), (0, true));
    assert!(b.is_awaited("work"));
    let one = |_| room(1, 1);
    assert_eq!(serve(&mut b, has_room(), one, 7), [(A, 1, true)]);
    assert!(serve(&mut b, has_room(), one, 8).is_empty());
    transfer(&mut b, A, 1, 9);
    assert_eq!(serve(&mut b, has_room(), one, 10), [(A, 1, true)]);
    transfer(&mut b, A, 2, 11);
    // That was all it asked for.
    assert_eq!(serve(&mut b, has_room(), one, 12), [(A, 1, false)]);
    assert!(!b.is_awaited("work"));
}

#[test]
fn little_room_is_told_of_5_ms_later_with_what_came_meanwhile() {
    let mut b = machine(B, 1);
    assert_eq!(ask(&mut b, A, 500, room(0, 100), 0), (0, true));
    assert!(serve(&mut b, has_room(), |_| room(1, 100), 10).is_empty());
    assert!(serve(&mut b, has_room(), |_| room(2, 100), 12).is_empty());
    assert_eq!(b.deadline(), at(15));
    let told = serve(&mut b, Event::Tick, |_| room(3, 100), 15);
    assert_eq!(told, [(A, 3, true)]);
    // A quarter of all places is not little.
    let told = serve(&mut b, has_room(), |_| room(28, 100), 16);
    assert_eq!(told, [(A, 25, true)]);
}

#[test]
fn room_goes_to_who_waits_longest() {
    let mut b = machine(B, 1);
    for from in [A, C] {
        assert_eq!(ask(&mut b, from, 9, room(0, 1), 0), (0, true));
    }
    let one = |_| room(1, 1);
    for (number, expected) in (1..).zip([A, C, A, C]) {
        let told = serve(&mut b, has_room(), one, 1);
        assert_eq!(told, [(expected, 1, true)], "{number}");
        let release = TransferRelease {
            grant: grant_of(expected, number),
            unused: 1,
        };
        let body = Body::Xrel(release);
        let from = expected;
        say(&mut b, Event::Routed { from, body }, 1);
        // Who gives credit back waits no more until it asks again.
        assert_eq!(ask(&mut b, expected, 9, room(0, 1), 1), (0, true));
    }
}

#[test]
fn nobody_waits_where_the_consumers_are_gone_or_out_of_reach() {
    let mut b = machine(B, 1);
    assert_eq!(ask(&mut b, A, 3, room(0, 0), 0), (0, false));
    assert_eq!(ask(&mut b, A, 3, room(0, 1), 0), (0, true));
    let gone = bodies(say(&mut b, Event::ConsumersGone("work".into()), 0));
    assert!(matches!(
        &gone[..],
        [Body::Cgrant(CreditGrant {
            granted: 0,
            more: false,
            ..
        })]
    ));
    assert!(!b.is_awaited("work"));
    assert_eq!(ask(&mut b, A, 3, room(0, 1), 0), (0, true));
    let away = Event::Peer {
        bid: A,
        epoch: Epoch(1),
        is_reachable: false,
    };
    say(&mut b, away, 0);
    assert!(!b.is_awaited("work"));
}

fn granted(granted: u32, more: bool) -> Event<'static> {
    let answer = CreditGrant {
        queue: "work".into(),
        granted,
        grant: if granted > 0 { 8 } else { 0 },
        ttl_ms: 5000,
        more,
        ..Default::default()
    };
    let body = Body::Cgrant(answer);
    Event::Routed { from: B, body }
}

#[test]
fn who_was_refused_for_want_of_room_asks_at_once_and_waits_to_be_told() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    hand_over(&mut a, &mut b, 1, Some(Refusal::NoCredit));
    let asked = |a: &mut Custody, millis| bodies(offer(a, &message(1), millis).1).len();
    assert_eq!((asked(&mut a, 0), asked(&mut a, 1)), (1, 0));
    say(&mut a, granted(0, true), 2);
    assert_eq!((asked(&mut a, 3), asked(&mut a, 1001)), (0, 0));
    let effects = say(&mut a, granted(1, true), 1001);
    assert_eq!(effects, [Effect::Look("work".into())]);
    assert_eq!(offer(&mut a, &message(1), 1001).0, Placement::Sent(B));
    // A promise is believed for a second.
    assert_eq!((asked(&mut a, 2000), asked(&mut a, 2001)), (0, 1));
}

#[test]
fn an_answer_with_nothing_takes_nothing_of_the_credit_told_meanwhile() {
    let mut a = machine(A, 1);
    let none = Candidate {
        open: 0,
        ..entry_of(B)
    };
    let place = |a: &mut Custody| {
        let mut out = Effects::new();
        a.offer(&message(1), std::slice::from_ref(&none), at(0), &mut out)
    };
    place(&mut a);
    for (count, more) in [(1, true), (0, true), (1, true)] {
        say(&mut a, granted(count, more), 0);
    }
    assert_eq!(
        (place(&mut a), place(&mut a)),
        (Placement::Sent(B), Placement::Sent(B))
    );
    assert_eq!(place(&mut a), Placement::Stays(Stay::NoCredit));
}

#[test]
fn credit_that_nobody_remembers_to_have_asked_for_goes_back() {
    let mut a = machine(A, 1);
    let release = TransferRelease {
        grant: 8,
        unused: 2,
    };
    let given = bodies(say(&mut a, granted(2, false), 0));
    assert_eq!(given, [Body::Xrel(release)]);
}
