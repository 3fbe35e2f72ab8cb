use std::time::Duration;

use super::pump::{Node, Pump};
use super::sites::{claim, config, link};
use crate::mesh::config::{LinkAuth, Secret, Secrets};
use crate::mesh::event::{Event, Transport};
use crate::mesh::session::{Credential, LinkState};

fn secrets(current: &[u8], previous: Option<&[u8]>) -> Secrets {
    Secrets {
        current: Some(Secret::new(current)),
        previous: previous.map(Secret::new),
    }
}

/// `a` dials `b`, each with its own passwords.
fn pair(dialler: Secrets, acceptor: Secrets) -> Pump {
    let mut pump = Pump::new();
    for (at, site, peer, secrets) in [(1, "a", "b", dialler), (2, "b", "a", acceptor)] {
        let mut one = link("a-b", peer, site == "a");
        one.secrets = secrets;
        pump.add(config(site, &["a", "b"], vec![one]), claim(at, 1), 1);
    }
    pump.run(Duration::from_millis(500));
    pump
}

fn credential(pump: &Pump, site: &str) -> Credential {
    pump.node(site).mesh.status(pump.now).links[0].credential
}

#[test]
fn a_wrong_password_opens_nothing() {
    let pump = pair(secrets(b"one", None), secrets(b"two", None));
    assert_eq!(pump.state("a", "a-b"), (LinkState::AuthFailed, "password"));
    assert!(pump.reached("a").is_empty());
}

#[test]
fn during_a_rotation_either_end_may_be_first() {
    let pump = pair(secrets(b"new", Some(b"old")), secrets(b"old", None));
    assert_eq!(
        pump.state("a", "a-b").0,
        LinkState::Up,
        "the dialler was first"
    );
    assert_eq!(credential(&pump, "a"), Credential::Previous);
    let pump = pair(secrets(b"old", None), secrets(b"new", Some(b"old")));
    assert_eq!(
        pump.state("a", "a-b").0,
        LinkState::Up,
        "the acceptor was first"
    );
    assert_eq!(credential(&pump, "b"), Credential::Previous);
}

#[test]
fn a_withdrawn_password_closes_the_link_it_opened() {
    let mut pump = pair(secrets(b"old", None), secrets(b"old", None));
    assert_eq!(credential(&pump, "b"), Credential::Current);
    let b = pump.index("b");
    let mut config = pump.nodes[b].config.clone();
    config.links[0].secrets = secrets(b"new", Some(b"old"));
    pump.tell(b, Event::Config(Box::new(config.clone())));
    pump.run(Duration::from_millis(100));
    assert_eq!(pump.state("b", "a-b").0, LinkState::Up, "still valid");
    config.links[0].secrets = secrets(b"new", None);
    pump.tell(b, Event::Config(Box::new(config)));
    pump.run(Duration::from_millis(3900));
    assert_eq!(pump.state("a", "a-b").0, LinkState::Up, "it may be renewed");
    pump.run(Duration::from_millis(1000));
    assert_eq!(pump.state("a", "a-b").0, LinkState::AuthFailed);
    assert!(pump.reached("a").is_empty());
}

#[test]
fn a_man_in_the_middle_with_his_own_tls_is_noticed() {
    let mut pump = Pump::new();
    pump.transport = |own: &Node, _: &Node, mut binding: [u8; 32]| {
        binding[31] = u8::from(own.config.site == "a");
        Transport {
            binding: Some(binding),
            ..Transport::default()
        }
    };
    for (at, site, peer) in [(1, "a", "b"), (2, "b", "a")] {
        let links = vec![link("a-b", peer, site == "a")];
        pump.add(config(site, &["a", "b"], links), claim(at, 1), 1);
    }
    pump.seconds(1);
    assert_eq!(pump.state("a", "a-b").0, LinkState::AuthFailed);
}

fn certificates(own: &Node, peer: &Node, binding: [u8; 32]) -> Transport {
    Transport {
        verified: Some(own.config.identity(&peer.config.site)),
        has_certificate: true,
        binding: Some(binding),
        ..Transport::default()
    }
}

fn with_auth(auth: LinkAuth, transport: fn(&Node, &Node, [u8; 32]) -> Transport) -> Pump {
    let mut pump = Pump::new();
    pump.transport = transport;
    for (at, site, peer) in [(1, "a", "b"), (2, "b", "a")] {
        let mut config = config(site, &["a", "b"], vec![link("a-b", peer, site == "a")]);
        config.auth = auth;
        config.links[0].secrets = Secrets::default();
        pump.add(config, claim(at, 1), 1);
    }
    pump.seconds(2);
    pump
}

#[test]
fn certificates_open_a_link_without_any_password() {
    for auth in [LinkAuth::Mtls, LinkAuth::Both] {
        let pump = with_auth(auth, certificates);
        assert_eq!(pump.state("a", "a-b").0, LinkState::Up);
        assert_eq!(credential(&pump, "b"), Credential::Certificate);
    }
}

#[test]
fn certificates_open_nothing_where_passwords_are_demanded() {
    let pump = with_auth(LinkAuth::Password, certificates);
    assert_eq!(pump.state("a", "a-b").0, LinkState::AuthFailed);
}

#[test]
fn a_certificate_of_another_site_is_refused() {
    let pump = with_auth(LinkAuth::Mtls, |own, _, binding| Transport {
        verified: Some(own.config.identity("mallory")),
        has_certificate: true,
        binding: Some(binding),
        ..Transport::default()
    });
    assert_eq!(pump.state("a", "a-b"), (LinkState::Refused, "unknown_peer"));
}
