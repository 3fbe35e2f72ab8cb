//! Who is offered a message, by which credit, and what is remembered of refusals.

use super::*;
use crate::mesh::messages::{CreditGrant, CreditRequest, TransferRelease};

#[test]
fn who_has_no_consumer_is_not_asked_again_until_its_entry_covers_more() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    let effects = hand_over(&mut a, &mut b, 1, Some(Refusal::NoConsumer));
    let back = returned(&effects)[0];
    assert!(!back.is_redelivered);
    let again = Offer {
        refusals: back.refusals.clone(),
        ..message(1)
    };
    assert_eq!(
        offer(&mut a, &again, 10_000).0,
        Placement::Stays(Stay::NoCandidate)
    );
    let wider = Candidate {
        rev: 1,
        ..entry_of(B)
    };
    let mut out = Effects::new();
    assert_eq!(
        a.offer(&again, &[wider], at(10_000), &mut out),
        Placement::Sent(B)
    );
    // Other messages go there as before.
    assert_eq!(offer(&mut a, &message(2), 0).0, Placement::Sent(B));
}

#[test]
fn a_message_remembers_64_refusals_and_then_rests() {
    let mut refusals = Refusals::new();
    for entry in 0..65 {
        assert!(!refusals.is_resting(at(0)));
        refusals.note(B, Epoch(1), entry, 0, at(0));
    }
    assert_eq!(refusals.len(), MAX_NOTES);
    assert!(refusals.is_resting(at(4999)) && !refusals.is_resting(at(5000)));
    assert!(!refusals.contains(&Candidate {
        entry: 0,
        ..entry_of(B)
    }));
    assert!(refusals.contains(&Candidate {
        entry: 64,
        ..entry_of(B)
    }));
}

#[test]
fn standing_credit_is_used_then_more_is_asked_for() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    assert_eq!(offer(&mut a, &message(1), 0).0, Placement::Sent(B));
    assert_eq!(offer(&mut a, &message(2), 0).0, Placement::Sent(B));
    let (placement, effects) = offer(&mut a, &message(3), 0);
    assert_eq!(placement, Placement::Stays(Stay::NoCredit));
    let request = bodies(effects).remove(0);
    let wanted = CreditRequest {
        queue: "work".into(),
        want: 5,
        ..Default::default()
    };
    assert_eq!(request, Body::Creq(wanted));
    // No second request while the answer is awaited.
    assert!(offer(&mut a, &message(3), 1).1.is_empty());

    let asked = say(
        &mut b,
        Event::Routed {
            from: A,
            body: request,
        },
        1,
    )
    .remove(0);
    let Effect::CreditWanted(request) = asked else {
        panic!("{asked:?}")
    };
    let body = bodies(say(
        &mut b,
        Event::Grant {
            request,
            room: room(3, 3),
        },
        1,
    ))
    .remove(0);
    let effects = say(&mut a, Event::Routed { from: B, body }, 2);
    assert_eq!(effects, [Effect::Look("work".into())]);
    for token in 3..6 {
        assert_eq!(offer(&mut a, &message(token), 2).0, Placement::Sent(B));
    }
    assert_eq!(
        offer(&mut a, &message(6), 2).0,
        Placement::Stays(Stay::NoCredit)
    );
}

#[test]
fn silence_counts_as_nothing_granted_and_is_followed_by_a_growing_pause() {
    let mut a = machine(A, 1);
    let none = Candidate {
        open: 0,
        ..entry_of(B)
    };
    let ask = |a: &mut Custody, millis, hint| {
        let mut out = Effects::new();
        a.offer(
            &message(1),
            &[Candidate {
                hint,
                ..none.clone()
            }],
            at(millis),
            &mut out,
        );
        bodies(out).len()
    };
    assert_eq!(ask(&mut a, 0, 1), 1);
    let effects = say(&mut a, Event::Tick, 1000);
    assert!(effects.contains(&Effect::Look("work".into())));
    assert_eq!((ask(&mut a, 1099, 1), ask(&mut a, 1100, 1)), (0, 1));
    say(&mut a, Event::Tick, 2100);
    assert_eq!((ask(&mut a, 2299, 1), ask(&mut a, 2300, 1)), (0, 1));
    say(&mut a, Event::Tick, 3300);
    // A rising hint ends the pause.
    assert_eq!(ask(&mut a, 3301, 2), 1);
}

#[test]
fn no_more_is_granted_than_is_free_and_not_promised() {
    let mut b = machine(B, 1);
    let request = CreditWanted {
        from: A,
        queue: "work".into(),
        key: None,
        want: 4,
        cause: Cause::Asked,
    };
    let grant = |b: &mut Custody, free, millis| {
        let request = request.clone();
        let room = room(free, 6);
        match bodies(say(b, Event::Grant { request, room }, millis)).remove(0) {
            Body::Cgrant(CreditGrant { granted, grant, .. }) => (granted, grant),
            other => panic!("{other:?}"),
        }
    };
    let (granted, first) = grant(&mut b, 6, 0);
    assert_eq!(granted, 4);
    assert_eq!(grant(&mut b, 6, 0).0, 2);
    assert_eq!(grant(&mut b, 6, 0), (0, 0));
    let release = TransferRelease {
        grant: first,
        unused: 3,
    };
    say(
        &mut b,
        Event::Routed {
            from: A,
            body: Body::Xrel(release),
        },
        1,
    );
    assert_eq!(grant(&mut b, 6, 1).0, 3);
    // All of it ends with its time.
    assert_eq!(grant(&mut b, 6, 6000).0, 4);
}

fn served() -> Event<'static> {
    Event::QueueServed {
        queue: "work".into(),
        is_empty: true,
    }
}

#[test]
fn unused_credit_is_given_back_and_withdrawn_credit_is_not_used() {
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
    // An even number: granted by the broker with the higher bid.
    let answer = CreditGrant {
        queue: "work".into(),
        granted: 3,
        grant: 8,
        ttl_ms: 5000,
        ..Default::default()
    };
    say(
        &mut a,
        Event::Routed {
            from: B,
            body: Body::Cgrant(answer.clone()),
        },
        0,
    );
    assert_eq!(place(&mut a), Placement::Sent(B));
    let given = bodies(say(&mut a, served(), 0));
    assert_eq!(
        given,
        [Body::Xrel(TransferRelease {
            grant: 8,
            unused: 2
        })]
    );
    assert_eq!(place(&mut a), Placement::Stays(Stay::NoCredit));
    say(
        &mut a,
        Event::Routed {
            from: B,
            body: Body::Cgrant(answer),
        },
        0,
    );
    let withdrawn = Body::Xrel(TransferRelease {
        grant: 8,
        unused: 3,
    });
    say(
        &mut a,
        Event::Routed {
            from: B,
            body: withdrawn,
        },
        0,
    );
    assert_eq!(place(&mut a), Placement::Stays(Stay::NoCredit));
}

#[test]
fn the_nearest_is_served_first_and_equals_in_turn_by_weight() {
    let mut a = machine(A, 1);
    let (c, d) = (Bid([3; 16]), Bid([4; 16]));
    for bid in [c, d] {
        say(
            &mut a,
            Event::Peer {
                bid,
                epoch: Epoch(1),
                is_reachable: true,
            },
            0,
        );
    }
    let far = Candidate {
        distance: 5,
        open: 100,
        ..entry_of(B)
    };
    let light = Candidate {
        open: 100,
        ..entry_of(c)
    };
    let heavy = Candidate {
        open: 100,
        consumers_log2: 2,
        ..entry_of(d)
    };
    let mut to = Vec::new();
    for token in 0..10 {
        let candidates = [far.clone(), light.clone(), heavy.clone()];
        let mut out = Effects::new();
        match a.offer(&message(token), &candidates, at(0), &mut out) {
            Placement::Sent(bid) => to.push(bid),
            other => panic!("{other:?}"),
        }
    }
    let count = |bid| to.iter().filter(|other| **other == bid).count();
    assert_eq!((count(B), count(c), count(d)), (0, 2, 8));
    let mut full = [far, light, heavy];
    full[1].is_ring_open = false;
    full[2].is_ring_open = false;
    assert_eq!(
        a.offer(&message(9), &full, at(0), &mut Effects::new()),
        Placement::Sent(B)
    );
}

#[test]
fn a_learned_route_needs_no_credit_and_is_tried_once() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    let reply = Offer {
        learned: Some(Learned {
            bid: B,
            is_ring_open: true,
        }),
        ..message(7)
    };
    let mut out = Effects::new();
    assert_eq!(a.offer(&reply, &[], at(0), &mut out), Placement::Sent(B));
    let (head, envelope) = transfers(out).remove(0);
    let arrived = say(
        &mut b,
        Event::Transfer {
            head,
            envelope,
            expires: None,
        },
        0,
    )
    .remove(0);
    let Effect::Arrived {
        id, credit, moves, ..
    } = arrived
    else {
        panic!("{arrived:?}")
    };
    assert_eq!((credit, moves), (Credit::Learned, 1));
    let body = answer(&mut b, id, Some(Refusal::NotAllowed), 0).remove(0);
    let effects = say(&mut a, Event::Routed { from: B, body }, 0);
    assert!(returned(&effects)[0].was_learned);
}

#[test]
fn learned_routes_carry_at_most_1024_open_messages() {
    let mut a = machine(A, 1);
    let reply = Offer {
        learned: Some(Learned {
            bid: B,
            is_ring_open: true,
        }),
        ..message(7)
    };
    let mut out = Effects::new();
    for _ in 0..1024 {
        assert_eq!(a.offer(&reply, &[], at(0), &mut out), Placement::Sent(B));
    }
    assert_eq!(
        a.offer(&reply, &[], at(0), &mut out),
        Placement::Stays(Stay::NoCredit)
    );
}

#[test]
fn what_stays_is_looked_at_every_second() {
    let mut a = Custody::new(config(A, 1), at(0));
    assert_eq!(
        offer(&mut a, &message(1), 0).0,
        Placement::Stays(Stay::NoCandidate)
    );
    assert!(say(&mut a, Event::Tick, 999).is_empty());
    assert_eq!(
        say(&mut a, Event::Tick, 1000),
        [Effect::Look("work".into())]
    );
    assert!(say(&mut a, Event::Tick, 2000).is_empty());
    offer(&mut a, &message(1), 2000);
    assert_eq!(
        say(&mut a, Event::RingFree, 2001),
        [Effect::Look("work".into())]
    );
}
