//! Which entries of other brokers a queue message is offered to.

use super::*;
use crate::mesh::ids::{ClaimId, Epoch, LinkId, Sid};
use crate::mesh::routes::{Content, SiteRoute, Way};

fn bid(number: u8) -> Bid {
    Bid([number; 16])
}

/// Brokers 1 to 3 are one link away.
fn routes() -> Routes {
    let site = |number: u8| SiteRoute {
        sid: Sid(number.into()),
        id: ClaimId {
            bid: bid(number),
            instance8: number.into(),
        },
        epoch: Epoch(1),
        site: Arc::from(format!("site{number}")),
        way: Some(Way {
            link: LinkId(0),
            distance: 1,
            hops: 1,
        }),
    };
    let content = Content {
        sites: (1..=3).map(site).collect(),
        ..Content::default()
    };
    Routes::new(1, content)
}

fn entry(number: u8, filter: &str, flags: u32) -> EntryChange {
    EntryChange::Put(Arc::new(RemoteEntry {
        bid: bid(number),
        epoch: Epoch(1),
        id: 1,
        kind: EntryKind::Queue,
        filter: Arc::from(filter),
        summary: Summary::None,
        consumers_log2: 0,
        credit: 1,
        open: 1,
        rev: 1,
        flags,
    }))
}

#[test]
fn where_monitors_are_spared_only_names_and_merged_entries_are_candidates() {
    let mut interest = RemoteInterest::default();
    assert!(!interest.has_queue_patterns());
    interest.apply(vec![
        entry(1, "a.reply.b", 0),
        entry(2, ">", 0),
        entry(3, "a.>", ENTRY_MERGED),
    ]);
    assert!(interest.has_queue_patterns());
    assert!(interest.has_literal_queue("a.reply.b"));
    assert!(!interest.has_literal_queue("a.reply.c"));
    let routes = routes();
    let offered = |spares_monitors| {
        let view = MessageView::new(Kind::Queue, "a.reply.b", "1", b"answer");
        let mut candidates = Vec::new();
        interest.queue_candidates(&view, &routes, spares_monitors, &mut candidates);
        let mut bids: Vec<Bid> = candidates.iter().map(|one| one.bid).collect();
        bids.sort_unstable();
        bids
    };
    assert_eq!(offered(false), [1, 2, 3].map(bid));
    assert_eq!(offered(true), [1, 3].map(bid));
}
