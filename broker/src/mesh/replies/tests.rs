//! Tests of learned routes.

use super::*;

const QUEUE: KindCode = 0;
const TOPIC: KindCode = 1;

fn at(seconds: u64) -> Now {
    Now(0).plus(Duration::from_secs(seconds))
}

fn bid(number: u8) -> Bid {
    Bid([number; 16])
}

fn replies(cap: usize) -> Replies {
    Replies::new(cap, Duration::from_secs(600))
}

fn known(replies: &mut Replies, name: &str, now: Now) -> Vec<Bid> {
    let mut bids = Vec::new();
    replies.visit(QUEUE, name, now, |bid| {
        bids.push(bid);
        true
    });
    bids
}

#[test]
fn several_requesters_share_a_name_newest_first_and_at_most_four() {
    let mut replies = replies(10);
    for number in [1, 2, 3, 4, 5, 3] {
        replies.teach(QUEUE, "r", bid(number), None, at(0));
    }
    assert_eq!(known(&mut replies, "r", at(1)), [3, 5, 4, 2].map(bid));
}

#[test]
fn a_route_lives_as_long_as_its_message_and_ten_minutes_at_most() {
    let mut replies = replies(10);
    replies.teach(QUEUE, "short", bid(1), Some(Duration::from_secs(5)), at(0));
    replies.teach(
        QUEUE,
        "long",
        bid(1),
        Some(Duration::from_secs(5000)),
        at(0),
    );
    assert!(replies.is_known(QUEUE, "short", at(4)));
    assert!(!replies.is_known(QUEUE, "short", at(5)));
    assert!(replies.is_known(QUEUE, "long", at(599)));
    assert!(known(&mut replies, "long", at(600)).is_empty());
    assert_eq!(replies.len(), 1);
    replies.sweep(at(600), 10);
    assert!(replies.is_empty());
}

#[test]
fn a_shorter_message_does_not_shorten_a_route() {
    let mut replies = replies(10);
    replies.teach(QUEUE, "r", bid(1), None, at(0));
    replies.teach(QUEUE, "r", bid(1), Some(Duration::from_secs(1)), at(1));
    assert_eq!(known(&mut replies, "r", at(300)), [bid(1)]);
}

#[test]
fn the_newest_reachable_broker_is_chosen() {
    let mut replies = replies(10);
    replies.teach(QUEUE, "r", bid(1), None, at(0));
    replies.teach(QUEUE, "r", bid(2), None, at(0));
    assert_eq!(replies.newest(QUEUE, "r", at(1), |_| true), Some(bid(2)));
    assert_eq!(
        replies.newest(QUEUE, "r", at(1), |other| other == bid(1)),
        Some(bid(1))
    );
    assert_eq!(replies.newest(QUEUE, "r", at(1), |_| false), None);
}

#[test]
fn name_spaces_are_apart() {
    let mut replies = replies(10);
    replies.teach(TOPIC, "r", bid(1), None, at(0));
    assert!(!replies.is_known(QUEUE, "r", at(0)));
    replies.teach(QUEUE, "r", bid(2), None, at(0));
    replies.forget(TOPIC, "r");
    assert!(!replies.is_known(TOPIC, "r", at(0)));
    assert_eq!(known(&mut replies, "r", at(0)), [bid(2)]);
}

#[test]
fn the_least_recently_used_name_goes_first() {
    let mut replies = replies(3);
    for name in ["a", "b", "c"] {
        replies.teach(QUEUE, name, bid(1), None, at(0));
    }
    known(&mut replies, "a", at(1));
    replies.teach(QUEUE, "d", bid(1), None, at(1));
    let left = ["a", "b", "c", "d"].map(|name| replies.is_known(QUEUE, name, at(1)));
    assert_eq!(left, [true, false, true, true]);
    replies.set_limits(1, Duration::from_secs(600));
    assert_eq!(
        (replies.len(), replies.is_known(QUEUE, "d", at(1))),
        (1, true)
    );
}

#[test]
fn it_agrees_with_a_naive_model_under_any_schedule() {
    let mut replies = replies(8);
    let mut model: Vec<(String, Bid)> = Vec::new();
    let mut seed = 5_u64;
    for _ in 0..20_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let name = format!("n{}", (seed >> 33) % 20);
        let found = model.iter().position(|(other, _)| *other == name);
        if (seed >> 50).is_multiple_of(2) {
            found.map(|at| model.remove(at));
            if model.len() == 8 {
                model.remove(0);
            }
            model.push((name.clone(), bid(1)));
            replies.teach(QUEUE, &name, bid(1), None, at(0));
        } else {
            if let Some(at) = found {
                let used = model.remove(at);
                model.push(used);
            }
            assert_eq!(
                !known(&mut replies, &name, at(0)).is_empty(),
                found.is_some()
            );
        }
        assert_eq!(replies.len(), model.len());
    }
}

#[test]
fn reply_patterns_match_by_parts() {
    let patterns = ReplyPatterns::new(["*.reply.>", "answers"]);
    for name in ["mcollective.reply.host_42", "a.reply.b.c", "answers"] {
        assert!(patterns.matches(name), "{name}");
    }
    for name in ["reply.x", "a.reply", "a.b.reply.c", "answers.x", ""] {
        assert!(!patterns.matches(name), "{name}");
    }
}

#[test]
fn monitors_stand_back_for_two_seconds_after_the_literal_consumer_was_seen() {
    assert!(spares_monitors(true, Some(at(0)), at(1)));
    assert!(!spares_monitors(true, Some(at(0)), at(2)));
    assert!(!spares_monitors(true, None, at(0)));
    assert!(!spares_monitors(false, Some(at(0)), at(0)));
}

#[test]
fn whether_a_reply_may_leave_depends_on_the_newest_requester_within_reach() {
    let mut replies = replies(10);
    let own = bid(9);
    let ask = |replies: &Replies, near: &[Bid], now| {
        replies.may_leave(QUEUE, "r", own, now, |bid| near.contains(&bid))
    };
    assert_eq!(ask(&replies, &[bid(1)], at(0)), None);
    replies.teach(QUEUE, "r", own, None, at(0));
    assert_eq!(ask(&replies, &[bid(1)], at(1)), Some(false));
    replies.teach(QUEUE, "r", bid(1), None, at(1));
    assert_eq!(ask(&replies, &[bid(1)], at(1)), Some(true));
    assert_eq!(ask(&replies, &[], at(1)), Some(false));
    assert_eq!(ask(&replies, &[bid(1)], at(700)), None);
}

#[test]
fn a_site_is_lost_recently_from_the_first_word_of_it_until_the_time_is_over() {
    let mut lost = LostSites::default();
    let within = Duration::from_secs(2);
    lost.update([(bid(1), true), (bid(2), false)].into_iter(), at(10));
    lost.update([(bid(1), false), (bid(2), false)].into_iter(), at(11));
    let recent = |lost: &LostSites, now| [1, 2].map(|one| lost.is_recent(bid(one), within, now));
    assert_eq!(recent(&lost, at(11)), [true, true]);
    assert_eq!(recent(&lost, at(12)), [true, false]);
    assert_eq!(recent(&lost, at(13)), [false, false]);
    lost.update([(bid(1), true), (bid(2), true)].into_iter(), at(14));
    lost.update([(bid(1), false), (bid(2), true)].into_iter(), at(15));
    assert_eq!(recent(&lost, at(16)), [true, false]);
}
