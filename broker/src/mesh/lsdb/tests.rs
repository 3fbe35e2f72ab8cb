use std::collections::BTreeSet;
use std::time::Duration;

use prost::Message as _;

use super::map::{LiveLink, Map, View, compute};
use super::{Lsdb, Offer, Record, RecordError, parse};
use crate::mesh::ids::{Bid, ClaimId, Epoch, LinkId, Now, link_hash};
use crate::mesh::messages::{HalfLink, Lsa};

const NETWORK: &str = "net";

fn claim(site: &str, byte: u8) -> ClaimId {
    ClaimId {
        bid: Bid::derive(NETWORK, site),
        instance8: u64::from_be_bytes([byte; 8]),
    }
}

/// A claim with its ends of links: (link, claim at the other end, cost).
fn lsa(site: &str, byte: u8, sid: u32, links: &[(&str, ClaimId, u32)]) -> Lsa {
    let half = |(name, peer, cost): &(&str, ClaimId, u32)| HalfLink {
        peer: peer.bid.0.to_vec(),
        peer_instance8: peer.instance8,
        link: link_hash(name),
        cost: *cost,
        deny: Vec::new(),
    };
    Lsa {
        bid: Bid::derive(NETWORK, site).0.to_vec(),
        instance: vec![byte; 16],
        epoch: 1,
        seq: 1,
        sid,
        site: site.to_owned(),
        since: byte.into(),
        links: links.iter().map(half).collect(),
        ..Lsa::default()
    }
}

fn record(lsa: &Lsa) -> Record {
    parse(NETWORK, lsa.encode_to_vec().into()).unwrap()
}

fn lsdb(lsas: &[Lsa]) -> Lsdb {
    let mut lsdb = Lsdb::default();
    for lsa in lsas {
        lsdb.offer(record(lsa), 0, None, 100, Now(0));
    }
    lsdb
}

fn live(name: &str, link: u32, peer: ClaimId, cost: u32) -> LiveLink {
    LiveLink {
        link: LinkId(link),
        peer,
        hash: link_hash(name),
        cost,
    }
}

fn map(lsdb: &Lsdb, live: &[LiveLink], denied: &[&str]) -> Map {
    let denied: BTreeSet<Bid> = denied
        .iter()
        .map(|site| Bid::derive(NETWORK, site))
        .collect();
    compute(
        lsdb,
        View {
            own: claim("a", 1),
            live,
            denied: &denied,
            labels: 1,
        },
    )
}

fn ways(map: &Map) -> BTreeSet<(ClaimId, u64)> {
    map.destinations
        .iter()
        .map(|one| (one.id, one.distance))
        .collect()
}

#[test]
fn versions_are_ordered_by_epoch_then_number() {
    let mut lsdb = Lsdb::default();
    let version = |epoch, seq| {
        record(&Lsa {
            epoch,
            seq,
            ..lsa("b", 2, 2, &[])
        })
    };
    let mut offer = |record| lsdb.offer(record, 0, None, 100, Now(0));
    let newer = |is_new_process, is_map_changed| Offer::Newer {
        is_new_process,
        is_map_changed,
    };
    assert_eq!(offer(version(5, 5)), newer(true, true));
    assert_eq!(offer(version(5, 5)), Offer::Same);
    assert_eq!(offer(version(5, 6)), newer(false, false));
    assert!(matches!(offer(version(5, 5)), Offer::Older(_)));
    assert!(matches!(offer(version(4, 9)), Offer::Older(_)));
    assert_eq!(offer(version(6, 1)), newer(true, true));
}

#[test]
fn only_a_change_of_the_map_asks_for_new_routes() {
    let mut lsdb = lsdb(&[lsa("b", 2, 2, &[])]);
    let base = Lsa {
        seq: 2,
        iseq: 7,
        ihash: vec![1; 16],
        ..lsa("b", 2, 2, &[])
    };
    let rows = [
        (base.clone(), false),
        (
            Lsa {
                seq: 3,
                leaving: true,
                ..base.clone()
            },
            true,
        ),
        (
            Lsa {
                seq: 4,
                no_transit: vec![0],
                leaving: true,
                ..base.clone()
            },
            true,
        ),
        (lsa_with(&base, 5, &[("x", claim("a", 1), 3)]), true),
        (lsa_with(&base, 6, &[("x", claim("a", 1), 3)]), false),
        (lsa_with(&base, 7, &[("x", claim("a", 1), 4)]), true),
    ];
    for (lsa, expected) in rows {
        match lsdb.offer(record(&lsa), 0, None, 100, Now(0)) {
            Offer::Newer { is_map_changed, .. } => assert_eq!(is_map_changed, expected, "{lsa:?}"),
            other => panic!("{other:?}"),
        }
    }
}

fn lsa_with(base: &Lsa, seq: u64, links: &[(&str, ClaimId, u32)]) -> Lsa {
    Lsa {
        seq,
        links: lsa("b", 2, 2, links).links,
        ..base.clone()
    }
}

#[test]
fn the_count_of_an_unreached_claim_goes_on_from_broker_to_broker() {
    let mut lsdb = Lsdb::default();
    lsdb.offer(record(&lsa("b", 2, 2, &[])), 500, None, 100, Now(0));
    let known = lsdb.record(&claim("b", 2)).unwrap();
    assert_eq!(known.unreachable_ms(Now(0)), 500);
    assert_eq!(
        known.unreachable_ms(Now(0).plus(Duration::from_millis(250))),
        750
    );
    assert_eq!(
        known.purge_at(),
        Some(Now(0).plus(Duration::from_millis(3_599_500)))
    );
    let newer = Lsa {
        seq: 2,
        ..lsa("b", 2, 2, &[])
    };
    lsdb.offer(record(&newer), 0, None, 100, Now(9));
    let known = lsdb.record(&claim("b", 2)).unwrap();
    assert_eq!(
        known.unreachable_ms(Now(9)),
        1,
        "0 is said only of what is reached"
    );
}

#[test]
fn more_claims_than_allowed_are_refused() {
    let mut lsdb = lsdb(&[lsa("b", 2, 2, &[])]);
    assert_eq!(
        lsdb.offer(record(&lsa("c", 3, 3, &[])), 0, None, 1, Now(0)),
        Offer::OverLimit
    );
    assert_eq!(lsdb.len(), 1);
}

#[test]
fn bytes_are_counted_through_replacement_and_removal() {
    let mut lsdb = lsdb(&[lsa("b", 2, 2, &[])]);
    let longer = lsa_with(&lsa("b", 2, 2, &[]), 2, &[("x", claim("a", 1), 1)]);
    lsdb.offer(record(&longer), 0, None, 100, Now(0));
    assert_eq!(lsdb.bytes(), longer.encode_to_vec().len());
    lsdb.remove(&claim("b", 2));
    assert_eq!(lsdb.bytes(), 0);
}

#[test]
fn bytes_that_are_no_record_say_why() {
    assert_eq!(
        parse(NETWORK, vec![0xff; 4].into()),
        Err(RecordError::Undecodable)
    );
    assert_eq!(
        parse(NETWORK, vec![0; 70_000].into()),
        Err(RecordError::TooLong(70_000))
    );
    let foreign = lsa("b", 2, 2, &[]).encode_to_vec();
    assert_eq!(parse("other", foreign.into()), Err(RecordError::ForeignId));
}

/// R2.
#[test]
fn an_edge_counts_only_if_both_claims_list_it_and_costs_the_larger_of_both() {
    let (a, b, c) = (claim("a", 1), claim("b", 2), claim("c", 3));
    let own = lsa("a", 1, 1, &[]);
    let links = [live("ab", 0, b, 4)];
    let both = lsdb(&[
        own.clone(),
        lsa("b", 2, 2, &[("ab", a, 7), ("bc", c, 1)]),
        lsa("c", 3, 3, &[("bc", b, 2)]),
    ]);
    assert_eq!(ways(&map(&both, &links, &[])), [(b, 7), (c, 9)].into());
    let one = lsdb(&[
        own.clone(),
        lsa("b", 2, 2, &[("ab", a, 7), ("bc", c, 1)]),
        lsa("c", 3, 3, &[]),
    ]);
    assert_eq!(ways(&map(&one, &links, &[])), [(b, 7)].into());
    let other_link = lsdb(&[own.clone(), lsa("b", 2, 2, &[("ba", a, 7)])]);
    assert!(ways(&map(&other_link, &links, &[])).is_empty());
    let other_claim = lsdb(&[own, lsa("b", 2, 2, &[("ab", claim("a", 9), 7)])]);
    assert!(ways(&map(&other_claim, &links, &[])).is_empty());
}

#[test]
fn what_is_denied_or_closed_is_no_way() {
    let (a, b, c) = (claim("a", 1), claim("b", 2), claim("c", 3));
    let lsas = [
        lsa("a", 1, 1, &[]),
        lsa("b", 2, 2, &[("ab", a, 1), ("bc", c, 1)]),
        lsa("c", 3, 3, &[("bc", b, 1)]),
    ];
    let links = [live("ab", 0, b, 1)];
    assert_eq!(ways(&map(&lsdb(&lsas), &links, &["b"])), BTreeSet::new());
    assert_eq!(ways(&map(&lsdb(&lsas), &links, &["c"])), [(b, 1)].into());
    let mut leaving = lsas.clone();
    leaving[1].leaving = true;
    assert_eq!(ways(&map(&lsdb(&leaving), &links, &[])), [(b, 1)].into());
    let mut closed = lsas;
    closed[2].links[0].deny = vec![0];
    assert_eq!(ways(&map(&lsdb(&closed), &links, &[])), [(b, 1)].into());
}

/// R26.
#[test]
fn of_two_claims_of_a_site_the_older_one_is_the_destination() {
    let (a, b, old, new) = (claim("a", 1), claim("b", 2), claim("c", 3), claim("c", 9));
    let lsdb = lsdb(&[
        lsa("a", 1, 1, &[]),
        lsa("b", 2, 2, &[("ab", a, 1), ("bc", old, 1)]),
        lsa("c", 3, 3, &[("bc", b, 1)]),
        lsa("c", 9, 3, &[("ac", a, 1)]),
    ]);
    let links = [live("ab", 0, b, 1), live("ac", 1, new, 1)];
    let both = map(&lsdb, &links, &[]);
    assert_eq!(ways(&both), [(b, 1), (old, 2)].into());
    assert_eq!(both.rivals, [new].into());
    let alone = map(&lsdb, &links[1..], &[]);
    assert_eq!(ways(&alone), [(new, 1)].into());
    assert!(alone.rivals.is_empty());
}

/// R4.
#[test]
fn of_two_sites_with_one_short_id_the_lower_broker_id_is_the_destination() {
    let a = claim("a", 1);
    let (b, c) = (claim("b", 2), claim("c", 3));
    let lsdb = lsdb(&[
        lsa("a", 1, 1, &[]),
        lsa("b", 2, 7, &[("ab", a, 1)]),
        lsa("c", 3, 7, &[("ac", a, 1)]),
    ]);
    let links = [live("ab", 0, b, 1), live("ac", 1, c, 1)];
    let map = map(&lsdb, &links, &[]);
    let (keeps, loses) = if b < c { (b, c) } else { (c, b) };
    assert_eq!(ways(&map), [(keeps, 1)].into());
    assert_eq!(map.sid_conflicts, [(keeps, loses)].into());
}

#[test]
fn ways_name_the_own_link_to_take() {
    let (a, b, c) = (claim("a", 1), claim("b", 2), claim("c", 3));
    let lsdb = lsdb(&[
        lsa("a", 1, 1, &[]),
        lsa("b", 2, 2, &[("slow", a, 9), ("fast", a, 2), ("bc", c, 1)]),
        lsa("c", 3, 3, &[("bc", b, 1)]),
    ]);
    let links = [live("slow", 0, b, 9), live("fast", 1, b, 2)];
    let map = map(&lsdb, &links, &[]);
    assert!(map.destinations.iter().all(|one| one.links == [LinkId(1)]));
    assert_eq!(map.eccentricity, 2);
    let record = lsdb.record(&c).unwrap();
    assert_eq!((record.epoch, record.since), (Epoch(1), Epoch(3)));
}
