//! The index finds exactly what trying each class would find, and at what cost.

use super::super::{ClassId, ClassIndex, MatchCost};
use super::model::{condition, message, property};
use super::{Conversion, Message, Property, Random, Selector, parsed};

const BOTH: [Conversion; 2] = [Conversion::Strict, Conversion::ConvertStrings];

fn converting(text: &str) -> Option<Selector> {
    Some(parsed(text, Conversion::ConvertStrings))
}

fn found<K>(index: &ClassIndex<K>, message: &Message) -> (Vec<ClassId>, MatchCost) {
    let mut found = Vec::new();
    let cost = index.matching(message, &mut found);
    (found, cost)
}

#[test]
fn five_thousand_identities_cost_one_lookup_and_no_evaluation() {
    let mut index = ClassIndex::<()>::new();
    let mut ids = Vec::new();
    for node in 0..5000 {
        ids.push(index.insert(converting(&format!(
            "mc_identity = 'node{node}.example.net'"
        ))));
    }
    assert_eq!(index.len(), 5000);
    let message = Message::default().with("mc_identity", "node4711.example.net");
    let cost = MatchCost {
        lookups: 1,
        ..MatchCost::default()
    };
    assert_eq!(found(&index, &message), (vec![ids[4711]], cost));
    let stranger = Message::default().with("mc_identity", "node5000.example.net");
    assert_eq!(found(&index, &stranger), (vec![], cost));
    assert_eq!(
        found(&index, &Message::default()),
        (vec![], MatchCost::default())
    );
}

#[test]
fn rest_of_an_equality_is_evaluated_for_its_hits_only() {
    let mut index = ClassIndex::<()>::new();
    for node in 0..100 {
        for priority in 0..3 {
            index.insert(converting(&format!("p > {priority} AND id = 'n{node}'")));
        }
    }
    let (hits, cost) = found(&index, &Message::default().with("id", "n5").with("p", "2"));
    assert_eq!((hits.len(), cost.evaluations, cost.lookups), (2, 3, 1));
}

#[test]
fn number_literals_are_found_by_value_in_the_mode_of_the_class() {
    let mut index = ClassIndex::<()>::new();
    let strict = index.insert(Some(parsed("n = 7", Conversion::Strict)));
    let loose = index.insert(converting("n = 7"));
    let text = index.insert(converting("n = '7'"));
    for other in 8..1000 {
        index.insert(converting(&format!("n = {other}")));
    }
    let with = |property: Property| found(&index, &Message::default().with("n", property));
    assert_eq!(with("07".into()).0, [loose]);
    assert_eq!(with("7".into()).0, [loose, text]);
    assert_eq!(with("7.0".into()).0, [loose]);
    for number in [Property::Int(7), Property::Long(7), Property::Double(7.0)] {
        let (hits, cost) = with(number);
        assert_eq!(hits, [strict, loose, text]);
        assert_eq!(cost.evaluations, 3);
    }
}

#[test]
fn longs_that_round_to_one_double_are_told_apart() {
    let mut index = ClassIndex::<()>::new();
    let even = index.insert(converting("n = 9007199254740992"));
    let odd = index.insert(converting("n = 9007199254740993"));
    let with = |property: Property| found(&index, &Message::default().with("n", property)).0;
    assert_eq!(with("9007199254740993".into()), [odd]);
    assert_eq!(with(Property::Long(9_007_199_254_740_992)), [even]);
    assert_eq!(with(Property::Double(9_007_199_254_740_992.0)), [even, odd]);
}

#[test]
fn both_zeros_are_one_number() {
    let mut index = ClassIndex::<()>::new();
    let zero = index.insert(converting("n = 0"));
    let negative = index.insert(converting("n = -0.0"));
    for property in [
        Property::Int(0),
        Property::Double(-0.0),
        "-0.0".into(),
        "0".into(),
    ] {
        let message = Message::default().with("n", property);
        assert_eq!(found(&index, &message).0, [zero, negative]);
    }
}

#[test]
fn no_selector_matches_every_message() {
    let mut index = ClassIndex::<()>::new();
    let all = index.insert(None);
    assert_eq!(
        found(&index, &Message::default()),
        (vec![all], MatchCost::default())
    );
    assert_eq!(index.selector(all), None);
}

#[test]
fn found_classes_are_appended_in_ascending_order() {
    let mut index = ClassIndex::<()>::new();
    let ids = ["z > 0", "a = '1'", "z = 1 OR a = '2'", "b = '1'", "a = 1"]
        .map(|text| index.insert(converting(text)));
    let last = index.insert(None);
    let message = Message::default()
        .with("a", "1")
        .with("b", "1")
        .with("z", "1");
    let mut found = vec![last];
    index.matching(&message, &mut found);
    assert_eq!(found[0], last);
    assert_eq!(found[1..6], ids);
    assert_eq!(found[6..], [last]);
}

#[test]
fn equal_selectors_share_a_class_until_the_last_is_removed() {
    let mut index = ClassIndex::<u32>::new();
    let first = index.insert(converting("a = 'x'"));
    let second = index.insert(converting("a='x'"));
    let other = index.insert(Some(parsed("a = 'x'", Conversion::Strict)));
    assert_eq!(first, second);
    assert_ne!(first, other);
    *index.data_mut(first).unwrap() = 5;
    assert_eq!(index.remove(first), None);
    let message = Message::default().with("a", "x");
    assert_eq!(found(&index, &message).0, [first, other]);
    assert_eq!(index.data(first), Some(&5));
    assert_eq!(index.remove(first), Some(5));
    assert_eq!(found(&index, &message).0, [other]);
    assert_eq!(index.data(first), None);
    assert_eq!(index.remove(first), None);
    assert_eq!(index.insert(converting("b > 1")), first);
    assert_eq!(index.data(first), Some(&0));
}

#[test]
fn emptied_index_finds_nothing_and_looks_nothing_up() {
    let mut index = ClassIndex::<()>::new();
    let texts = [
        "a = 'x'",
        "a = '1'",
        "a = 1",
        "a = TRUE",
        "a > 1",
        "a = 1 AND b",
    ];
    let mut ids = vec![index.insert(None)];
    for text in texts {
        ids.extend(BOTH.map(|conversion| index.insert(Some(parsed(text, conversion)))));
    }
    assert_eq!(index.len(), ids.len());
    for id in ids {
        assert_eq!(index.remove(id), Some(()));
    }
    assert!(index.is_empty());
    for property in [
        Property::Bool(true),
        Property::Int(1),
        "x".into(),
        "1".into(),
    ] {
        let message = Message::default().with("a", property);
        assert_eq!(found(&index, &message), (vec![], MatchCost::default()));
    }
}

#[test]
fn evaluation_out_of_steps_is_counted_and_does_not_match() {
    let mut index = ClassIndex::<()>::new();
    let bomb = format!("NOT x LIKE '%_{}b%'", "a".repeat(4000));
    index.insert(converting(&bomb));
    let long = "a".repeat(60_000);
    let (hits, cost) = found(&index, &Message::default().with("x", long.as_str()));
    assert_eq!((hits, cost.evaluations, cost.out_of_steps), (vec![], 1, 1));
}

fn random_selector(random: &mut Random) -> Option<Selector> {
    if random.chance(40) {
        return None;
    }
    let conversion = random.pick(&BOTH);
    let text = condition(random, 2).to_string();
    Some(parsed(&text, conversion))
}

#[test]
fn index_agrees_with_trying_each_selector() {
    for seed in 1..40 {
        let mut random = Random(seed);
        let mut index = ClassIndex::<()>::new();
        let mut users: Vec<(ClassId, Option<Selector>)> = Vec::new();
        for round in 0..60 {
            for _ in 0..random.below(8) {
                let selector = random_selector(&mut random);
                users.push((index.insert(selector.clone()), selector));
            }
            for _ in 0..random.below(6).min(users.len()) {
                let place = random.below(users.len());
                let (id, _) = users.swap_remove(place);
                let is_last = users.iter().all(|(other, _)| *other != id);
                assert_eq!(index.remove(id).is_some(), is_last);
            }
            let message = message(&mut random).with("a", property(&mut random));
            let mut expected: Vec<ClassId> = users
                .iter()
                .filter(|(_, selector)| selector.as_ref().is_none_or(|s| s.matches(&message)))
                .map(|(id, _)| *id)
                .collect();
            expected.sort_unstable();
            expected.dedup();
            let actual = found(&index, &message).0;
            assert_eq!(actual, expected, "seed {seed} round {round} {message:?}");
        }
    }
}
