use super::*;
use crate::client::view::{ConfigView, LinkView, ListenerView};
use crate::local::slots::Slots;

fn plan(sites: &[(&str, u16, &str)], links: &[(&str, &str, &str)]) -> Plan {
    let site = |(name, port, hash): &(&str, u16, &str)| SitePlan {
        name: (*name).to_owned(),
        labels: BTreeMap::new(),
        is_running: true,
        ports: BTreeMap::from([(ListenerKind::Stomp, *port)]),
        files: BTreeMap::new(),
        hash: (*hash).to_owned(),
    };
    let link = |(name, one, other): &(&str, &str, &str)| {
        ((*name).to_owned(), [(*one).to_owned(), (*other).to_owned()])
    };
    Plan {
        network: "n".to_owned(),
        spec_hash: "1:spec".to_owned(),
        sites: sites.iter().map(site).collect(),
        links: links.iter().map(link).collect(),
        users: BTreeMap::new(),
        slots: Slots::default(),
    }
}

fn view(port: u16, hash: &str, link: &str, peer: &str, state: &str) -> StatusView {
    StatusView {
        config: ConfigView {
            applied: Some(hash.to_owned()),
            seen: Some(hash.to_owned()),
            ..ConfigView::default()
        },
        listeners: vec![ListenerView {
            name: "stomp".to_owned(),
            address: format!("127.0.0.1:{port}"),
            state: "open".to_owned(),
        }],
        links: vec![LinkView {
            link: link.to_owned(),
            peer: peer.to_owned(),
            state: state.to_owned(),
            ..LinkView::default()
        }],
        ..StatusView::default()
    }
}

/// Two sites that are up; the events so far.
fn two_up() -> (Progress, Vec<Event>) {
    let mut progress = Progress::default();
    let two = [("a", 13, "1"), ("b", 23, "1")];
    progress.follow(&plan(&two, &[("a-b", "a", "b")]), false);
    let mut events = progress.observe("a", 1, &view(13, "1", "a-b", "b", "up"));
    events.extend(progress.conclude());
    events.extend(progress.observe("b", 2, &view(23, "1", "a-b", "a", "up")));
    events.extend(progress.conclude());
    (progress, events)
}

#[test]
fn the_network_is_ready_when_both_ends_of_every_link_are_up() {
    let (_, events) = two_up();
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| match event {
            Event::Site { site, .. } => site.as_str(),
            Event::Link { .. } => "link",
            Event::Ready => "ready",
            _ => "other",
        })
        .collect();
    assert_eq!(kinds, ["a", "link", "b", "link", "ready"]);
}

#[test]
fn a_site_that_comes_back_makes_the_network_ready_anew() {
    let (mut progress, _) = two_up();
    progress.ended("b", false);
    assert!(progress.conclude().is_empty());
    let events = progress.observe("b", 3, &view(23, "1", "a-b", "a", "up"));
    assert!(matches!(
        events[..],
        [Event::Site { pid: 3, .. }, Event::Link { .. }]
    ));
    assert_eq!(progress.conclude(), [Event::Ready]);
    assert!(progress.conclude().is_empty());
}

#[test]
fn a_link_is_reported_only_when_it_changes() {
    let (mut progress, _) = two_up();
    assert!(
        progress
            .observe("a", 1, &view(13, "1", "a-b", "b", "up"))
            .is_empty()
    );
    let events = progress.observe("a", 1, &view(13, "1", "a-b", "b", "down"));
    assert!(matches!(&events[..], [Event::Link { from, .. }] if from == "a"));
}

#[test]
fn a_change_is_in_force_when_the_last_broker_shows_its_hash() {
    let (mut progress, _) = two_up();
    let two = [("a", 13, "2"), ("b", 23, "2")];
    progress.follow(&plan(&two, &[("a-b", "a", "b")]), true);
    progress.observe("a", 1, &view(13, "2", "a-b", "b", "up"));
    assert!(progress.conclude().is_empty());
    progress.observe("b", 2, &view(23, "2", "a-b", "a", "up"));
    let hash = "1:spec".to_owned();
    assert_eq!(progress.conclude(), [Event::Applied { hash }]);
}

#[test]
fn a_broker_that_refuses_the_change_ends_the_waiting() {
    let (mut progress, _) = two_up();
    let two = [("a", 13, "2"), ("b", 23, "2")];
    progress.follow(&plan(&two, &[("a-b", "a", "b")]), true);
    let mut refusing = view(13, "1", "a-b", "b", "up");
    refusing.config.seen = Some("2".to_owned());
    refusing.config.error = Some("no".to_owned());
    let events = progress.observe("a", 1, &refusing);
    assert!(
        matches!(&events[..], [Event::Error { message, .. }] if message.contains("site a") && message.ends_with("stays in force"))
    );
    progress.observe("a", 1, &view(13, "2", "a-b", "b", "up"));
    progress.observe("b", 2, &view(23, "2", "a-b", "a", "up"));
    assert!(progress.conclude().is_empty());
}

#[test]
fn a_new_site_takes_readiness_away_until_it_is_there() {
    let (mut progress, _) = two_up();
    let three = [("a", 13, "1"), ("b", 23, "1"), ("c", 33, "1")];
    progress.follow(&plan(&three, &[("a-b", "a", "b")]), false);
    assert!(progress.conclude().is_empty());
    progress.observe("c", 4, &view(33, "1", "", "", "up"));
    assert_eq!(progress.conclude(), [Event::Ready]);
}
