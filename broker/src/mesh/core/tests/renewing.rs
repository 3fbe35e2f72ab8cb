//! Links that go on over newer connections. Rule: R25. Invariant: I27.

use std::time::Duration;

use super::pump::{Node, Pump};
use super::sites::{claim, config, link};
use crate::mesh::config::{LinkAuth, MeshConfig, Secret, Secrets};
use crate::mesh::event::{CloseCause, Event, Transport};
use crate::mesh::frame::FrameType;
use crate::mesh::ids::{ConnId, LinkId};
use crate::mesh::session::{Credential, LinkState};

fn certificates(own: &Node, peer: &Node, binding: [u8; 32]) -> Transport {
    Transport {
        verified: Some(own.config.identity(&peer.config.site)),
        has_certificate: true,
        tls: own.config.tls,
        binding: Some(binding),
        ..Transport::default()
    }
}

/// Two sites whose link has been up for a minute; a dials.
fn pair(auth: LinkAuth) -> Pump {
    let mut pump = Pump::new();
    if auth == LinkAuth::Mtls {
        pump.transport = certificates;
    }
    for (at, site, peer) in [(1, "a", "b"), (2, "b", "a")] {
        let mut config = config(site, &["a", "b"], vec![link("a-b", peer, site == "a")]);
        config.auth = auth;
        config.tls = 1;
        pump.add(config, claim(at, 1), 1);
    }
    pump.seconds(60);
    pump.frames.clear();
    pump
}

fn conn(pump: &Pump, site: &str) -> Option<ConnId> {
    pump.node(site).mesh.conn(LinkId(0))
}

fn credential(pump: &Pump, site: &str) -> Credential {
    pump.node(site).mesh.status(pump.now).links[0].credential
}

/// I27: nobody saw it go down.
fn assert_was_up(pump: &Pump) {
    for site in ["a", "b"] {
        let status = pump.node(site).mesh.status(pump.now);
        assert_eq!(pump.state(site, "a-b"), (LinkState::Up, ""));
        assert!(status.links[0].since > Duration::from_secs(59), "{site}");
        assert!(pump.node(site).resplit.is_empty(), "{site}");
        assert_eq!(status.sites[0].advertised.len(), 1);
    }
}

fn hellos(pump: &Pump) -> usize {
    let is_hello = |frame: &&(usize, FrameType, Vec<u8>)| frame.1 == FrameType::Hello;
    pump.frames.iter().filter(is_hello).count()
}

fn other_certificate(config: &mut MeshConfig) {
    config.tls += 1;
}

fn other_password(config: &mut MeshConfig) {
    let secrets = &mut config.links[0].secrets;
    *secrets = Secrets {
        previous: secrets.current.take(),
        current: Some(Secret::new(b"another long secret")),
    };
}

#[test]
fn a_new_certificate_of_either_end_or_both_renews_the_link_once() {
    for sites in [&["a"][..], &["b"], &["a", "b"]] {
        let mut pump = pair(LinkAuth::Mtls);
        let before = ["a", "b"].map(|site| conn(&pump, site));
        for site in sites {
            pump.configure(site, other_certificate);
        }
        pump.seconds(30);
        for (site, before) in ["a", "b"].into_iter().zip(before) {
            assert_ne!(conn(&pump, site), before, "{sites:?}: {site}");
        }
        assert_was_up(&pump);
        assert!(hellos(&pump) <= 2 * sites.len(), "{sites:?}");
        pump.frames.clear();
        pump.seconds(600);
        assert_eq!(hellos(&pump), 0, "{sites:?}: it is enough");
        assert_eq!(pump.node("a").mesh.sessions.len(), 1);
    }
}

#[test]
fn a_password_that_changes_here_first_or_there_first_renews_the_link() {
    for (first, second) in [("a", "b"), ("b", "a")] {
        let mut pump = pair(LinkAuth::Password);
        let before = conn(&pump, "a");
        pump.configure(first, other_password);
        pump.seconds(300);
        assert_was_up(&pump);
        pump.configure(second, other_password);
        pump.seconds(15);
        assert_was_up(&pump);
        assert_ne!(conn(&pump, "a"), before, "{first} first");
        for site in ["a", "b"] {
            assert_eq!(
                credential(&pump, site),
                Credential::Current,
                "{first} first"
            );
            // The former one is of no use any more.
            pump.configure(site, |config| config.links[0].secrets.previous = None);
        }
        pump.seconds(60);
        assert_was_up(&pump);
    }
}

#[test]
fn a_refused_renewal_leaves_the_link_as_it_was_and_is_tried_again_more_and_more_rarely() {
    let mut pump = pair(LinkAuth::Password);
    let before = conn(&pump, "a");
    pump.configure("a", other_password);
    pump.seconds(3600);
    assert_eq!(conn(&pump, "a"), before);
    assert_was_up(&pump);
    let tries = pump
        .frames
        .iter()
        .filter(|(_, kind, _)| *kind == FrameType::Refuse);
    let tries = tries.count();
    assert!((5..20).contains(&tries), "{tries}");
}

#[test]
fn a_connection_that_is_old_or_whose_certificate_is_over_soon_is_renewed() {
    let mut pump = pair(LinkAuth::Mtls);
    let before = conn(&pump, "a");
    (0..20).for_each(|_| pump.seconds(3600));
    assert_eq!(conn(&pump, "a"), before);
    (0..8).for_each(|_| pump.seconds(3600));
    assert_ne!(conn(&pump, "a"), before);
    assert_was_up(&pump);

    let mut pump = Pump::of(&["a", "b"], &[("a", "b")]);
    pump.transport = |own, peer, binding| Transport {
        wall_ms: 1,
        ends_ms: 1 + 2 * 3_600_000,
        ..certificates(own, peer, binding)
    };
    pump.seconds(60);
    let before = conn(&pump, "a");
    pump.seconds(3500);
    assert_eq!(conn(&pump, "a"), before);
    pump.seconds(100);
    assert_ne!(conn(&pump, "a"), before);
}

/// Whichever connection dies, and at whatever moment of a renewal, the link is up again a moment
/// later, and the one that is left is closed.
#[test]
fn a_connection_that_dies_in_the_middle_of_a_renewal_ends_nothing_else() {
    let mut died = 0;
    for step in 0..40 {
        for is_older in [true, false] {
            let mut pump = pair(LinkAuth::Mtls);
            pump.configure("a", other_certificate);
            // Until the HELLO of the newer one, and then so many steps of half a wire.
            while hellos(&pump) == 0 {
                pump.run(Duration::from_millis(1));
            }
            pump.run(Duration::from_micros(500) * step);
            let conns: Vec<ConnId> = pump.node("a").mesh.sessions.keys().copied().collect();
            let [older, newer] = conns[..] else { continue };
            died += 1;
            let conn = if is_older { older } else { newer };
            let why = CloseCause::Reset;
            pump.tell(0, Event::Closed { conn, why });
            pump.lose(conn);
            pump.seconds(20);
            for site in ["a", "b"] {
                assert_eq!(pump.state(site, "a-b"), (LinkState::Up, ""), "{step}");
                assert_eq!(pump.node(site).mesh.sessions.len(), 1, "{step}");
            }
            assert_eq!(pump.reached("a"), ["b"]);
            pump.assert_agreed();
        }
    }
    assert!(died > 10, "{died}");
}

#[test]
fn a_certificate_that_is_over_ends_what_it_opened_and_nothing_else() {
    for (auth, expected) in [
        (LinkAuth::Password, (LinkState::Up, "")),
        (LinkAuth::Mtls, (LinkState::AuthFailed, "certificate")),
    ] {
        let mut pump = pair(auth);
        let conn = conn(&pump, "b").unwrap();
        let b = pump.index("b");
        pump.tell(b, Event::Expired { conn });
        assert_eq!(pump.state("b", "a-b"), expected);
    }
}

/// Roots that went at either end while the renewal of the leaves was still to come, or had failed.
#[test]
fn a_chain_that_is_trusted_no_longer_is_replaced_before_it_is_closed() {
    for site in ["a", "b"] {
        let mut pump = pair(LinkAuth::Mtls);
        let before = conn(&pump, site).unwrap();
        pump.configure(site, other_certificate);
        let at = pump.index(site);
        pump.tell(at, Event::Distrusted { conn: before });
        pump.seconds(1);
        assert_ne!(conn(&pump, site), Some(before), "{site}: renewed at once");
        assert_was_up(&pump);
        pump.seconds(60);
        assert_was_up(&pump);
    }
}

#[test]
fn what_counts_no_longer_and_is_not_renewed_is_closed_within_five_seconds() {
    let mut pump = pair(LinkAuth::Mtls);
    // The peer is asked for something better and has nothing.
    pump.transport = |own, peer, binding| Transport {
        verified: (own.config.site == "a").then(|| own.config.identity(&peer.config.site)),
        ..certificates(own, peer, binding)
    };
    let before = conn(&pump, "b").unwrap();
    let b = pump.index("b");
    pump.tell(b, Event::Distrusted { conn: before });
    pump.run(Duration::from_millis(3900));
    assert_eq!(pump.state("b", "a-b"), (LinkState::Up, ""));
    pump.run(Duration::from_millis(1000));
    let expected = (LinkState::AuthFailed, "certificate");
    assert_eq!(pump.state("b", "a-b"), expected);
}

#[test]
fn a_password_that_is_put_back_in_time_takes_no_link_down() {
    let mut pump = pair(LinkAuth::Password);
    let mut secrets = Secrets {
        current: Some(Secret::new(b"of nobody else")),
        previous: None,
    };
    for _ in 0..2 {
        pump.configure("b", |config| {
            std::mem::swap(&mut config.links[0].secrets, &mut secrets);
        });
        pump.seconds(2);
    }
    pump.seconds(60);
    assert_was_up(&pump);
    for site in ["a", "b"] {
        let ends = &pump.node(site).mesh.sessions;
        assert_eq!(ends.len(), 1, "{site}");
        assert!(
            ends.values().all(|session| session.withdrawn.is_none()),
            "{site}"
        );
    }
}

/// From either to certificates alone, at one end while the other end's renewal is still to come.
#[test]
fn passwords_are_taken_no_longer_and_certificates_are_there() {
    for first in ["a", "b"] {
        let mut pump = pair(LinkAuth::Password);
        pump.transport = certificates;
        for auth in [LinkAuth::Both, LinkAuth::Mtls] {
            for site in [first, if first == "a" { "b" } else { "a" }] {
                pump.configure(site, |config| config.auth = auth);
            }
            pump.run(Duration::from_millis(100));
        }
        pump.seconds(60);
        assert_was_up(&pump);
        assert_eq!(credential(&pump, first), Credential::Certificate);
    }
}

/// One end takes certificates too and the other one does not know: the link stays, comes up anew, and is renewed when both
/// take them, whichever was first.
#[test]
fn certificates_are_taken_here_first_or_there_first() {
    for (first, second) in [("a", "b"), ("b", "a")] {
        for is_lost in [false, true] {
            let mut pump = pair(LinkAuth::Password);
            pump.transport = certificates;
            let both = |config: &mut MeshConfig| config.auth = LinkAuth::Both;
            pump.configure(first, both);
            pump.seconds(300);
            assert_was_up(&pump);
            if is_lost {
                pump.cut("a", "b", true);
                pump.heal("a", "b");
                pump.seconds(10);
                assert_eq!(pump.state("a", "a-b"), (LinkState::Up, ""), "{first} first");
                assert_eq!(credential(&pump, "a"), Credential::Current);
                pump.seconds(60);
                pump.nodes.iter_mut().for_each(|node| node.resplit.clear());
            }
            pump.configure(second, both);
            pump.seconds(15);
            assert_was_up(&pump);
            for site in ["a", "b"] {
                let expected = Credential::Certificate;
                assert_eq!(credential(&pump, site), expected, "{first} first");
                pump.configure(site, |config| config.auth = LinkAuth::Mtls);
                pump.seconds(10);
            }
            assert_was_up(&pump);
        }
    }
}
