use super::{Content, Routes, SiteRoute, Way};
use crate::mesh::forward::Routes as _;
use crate::mesh::ids::{Bid, ClaimId, Epoch, LinkId, Sid};

fn site(name: &str, sid: u16, link: Option<u32>) -> SiteRoute {
    SiteRoute {
        sid: Sid(sid),
        id: ClaimId {
            bid: Bid::derive("net", name),
            instance8: 1,
        },
        epoch: Epoch(1),
        site: name.into(),
        way: link.map(|link| Way {
            link: LinkId(link),
            distance: 10,
            hops: 1,
        }),
    }
}

fn routes(labels: usize) -> Routes {
    let mut sites = vec![
        site("a", 1, Some(0)),
        site("b", 65_535, Some(1)),
        site("c", 256, None),
    ];
    sites.push(site("d", 1, None));
    sites.sort_by_key(|site| site.id.bid);
    let next = (0..labels)
        .map(|label| {
            let shifted = |link: usize| LinkId(u32::try_from((link + label) % 2).unwrap());
            vec![(Sid(1), shifted(0)), (Sid(65_535), shifted(1))]
        })
        .collect();
    let content = Content {
        own: Sid(9),
        sites,
        next,
        denied: [Sid(13)].into(),
        eccentricity: 3,
        ..Content::default()
    };
    Routes::new(7, content)
}

#[test]
fn every_reached_site_has_a_next_hop_and_no_other() {
    let routes = routes(1);
    let hop = |sid| routes.next_hop(Sid(2), 0, 0, Sid(sid));
    assert_eq!(hop(1), Some(LinkId(0)));
    assert_eq!(hop(65_535), Some(LinkId(1)));
    for sid in [0, 2, 255, 256, 257, 9, 65_534] {
        assert_eq!(hop(sid), None, "{sid}");
    }
    assert_eq!(
        hop(1),
        routes.next_hop(Sid(3), 5, 0, Sid(1)),
        "one label, one table"
    );
}

#[test]
fn labels_have_tables_of_their_own() {
    let routes = routes(4);
    assert_eq!(routes.next_hop(Sid(2), 1, 0, Sid(1)), Some(LinkId(1)));
    assert_eq!(routes.next_hop(Sid(2), 4, 0, Sid(1)), Some(LinkId(0)));
}

#[test]
fn sites_are_found_by_either_id_the_reached_one_first() {
    let routes = routes(1);
    assert_eq!(&*routes.site(Bid::derive("net", "c")).unwrap().site, "c");
    assert_eq!(&*routes.site_of(Sid(1)).unwrap().site, "a");
    assert_eq!(&*routes.site_of(Sid(256)).unwrap().site, "c");
    assert!(routes.site_of(Sid(3)).is_none());
    assert!(routes.is_reachable(Bid::derive("net", "b")));
    assert!(!routes.is_reachable(Bid::derive("net", "c")));
    assert!(!routes.is_reachable(Bid::derive("net", "x")));
}

#[test]
fn what_else_data_asks_for_is_there() {
    let routes = routes(1);
    assert_eq!(
        (routes.own(), routes.generation(), routes.hop_bound()),
        (Sid(9), 7, 22)
    );
    assert!(routes.is_denied(Sid(13)) && !routes.is_denied(Sid(1)));
    assert_eq!(Routes::default().next_hop(Sid(1), 0, 0, Sid(1)), None);
}
