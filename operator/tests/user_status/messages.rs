//! What the columns, the messages and the Events say.

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_operator::api::condition::{EventKind, Reason};
use causeway_operator::user::events::notes;
use causeway_operator::user::view::Ack;

use super::world::{World, wrong};

#[test]
fn the_first_status_holds_what_the_columns_show() {
    let status = World::settled().status();
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(status.username.as_deref(), Some("joe"));
    assert_eq!(status.summary.as_deref(), Some("2/2"));
    assert_eq!(status.credential_version.as_deref(), Some("17"));
    assert_eq!(status.local_sites, Some(vec!["ie".into(), "uk".into()]));
    let rows: BTreeMap<String, String> = status
        .sites
        .into_iter()
        .flatten()
        .map(|row| (row.name, row.applied))
        .collect();
    assert_eq!(
        rows,
        BTreeMap::from([("ie".into(), "True".into()), ("uk".into(), "True".into())])
    );
}

#[test]
fn the_credential_in_the_status_is_the_one_in_force() {
    let mut world = World::settled();
    world.change(|view| view.credential = Some("18".to_owned()));
    world.ack("uk", Ack::Other);
    world.step();
    assert_eq!(world.status().credential_version.as_deref(), Some("17"));
    assert_eq!(world.status().summary.as_deref(), Some("1/2"));
    world.ack("uk", Ack::Same);
    world.step();
    assert_eq!(world.status().credential_version.as_deref(), Some("18"));
}

#[test]
fn a_generated_password_names_its_secret_and_tells_of_a_rotation_once_it_is_in_force() {
    let mut world = World::new();
    world.generate("1");
    world.change(|view| view.credential = Some("1".to_owned()));
    world.step();
    let first = world.status();
    let name = first.secret_ref.as_ref().map(|secret| secret.name.as_str());
    assert_eq!(name, Some("joe-credentials"));
    world.generate("2");
    world.user.metadata.generation = Some(2);
    world.change(|view| view.generation = 2);
    world.step();
    assert_eq!(world.status().credential_version.as_deref(), Some("1"));
    assert_eq!(notes(&first, &world.status()), []);
    world.change(|view| view.credential = Some("2".to_owned()));
    world.step();
    let kinds: Vec<EventKind> = notes(&first, &world.status())
        .iter()
        .map(|note| note.kind)
        .collect();
    assert_eq!(kinds, [EventKind::CredentialRotated]);
}

#[test]
fn a_secret_that_the_api_server_refuses_is_told_at_once_in_its_words() {
    let mut world = World::settled();
    wrong(&mut world, Reason::SecretNotFound);
    world.trouble = Some("Secret joe-credentials cannot be written: secrets is forbidden");
    let computed = world.step();
    assert_eq!(computed.patience, Duration::ZERO);
    let conditions = world.status().conditions.unwrap_or_default();
    let waiting = conditions.iter().find(|one| one.type_ == "Reconciling");
    assert!(waiting.is_some_and(|one| one.message.contains("forbidden")));
}

#[test]
fn what_stalls_a_user_is_told_once_and_so_is_its_end() {
    let mut world = World::settled();
    let before = world.status();
    wrong(&mut world, Reason::SecretNotOwned);
    world.step();
    let stalled = world.status();
    let told =
        |old, new| -> Vec<EventKind> { notes(old, new).iter().map(|one| one.kind).collect() };
    assert_eq!(told(&before, &stalled), [EventKind::SecretNotOwned]);
    assert_eq!(told(&stalled, &stalled), []);
    world.change(|view| {
        view.problem = None;
        view.is_served = true;
    });
    world.step();
    assert_eq!(told(&stalled, &world.status()), [EventKind::Recovered]);
}

#[test]
fn doubts_about_a_user_stand_beside_what_is_in_force() {
    let mut world = World::new();
    world.change(|view| view.doubts = Some("spec.sites.names[1]: no site xx".to_owned()));
    world.step();
    let conditions = world.status().conditions.unwrap_or_default();
    let ready = conditions.iter().find(|one| one.type_ == "Ready");
    assert!(ready.is_some_and(|one| one.message.ends_with("no site xx")));
}

fn message(world: &World, kind: &str) -> String {
    let conditions = world.status().conditions.unwrap_or_default();
    let found = conditions.into_iter().find(|one| one.type_ == kind);
    found.map(|one| one.message).unwrap_or_default()
}

#[test]
fn who_is_wrong_and_kept_in_force_is_said_to_be_let_in() {
    let mut world = World::settled();
    wrong(&mut world, Reason::SecretMalformed);
    world.step();
    assert!(!message(&world, "Ready").contains("let in"));
    world.change(|view| view.is_served = true);
    world.step();
    let told = message(&world, "Ready");
    assert!(
        told.ends_with("; the user is still let in with what was in force"),
        "{told}"
    );
    world.user.spec.state = serde_json::from_value(serde_json::json!("Suspended")).ok();
    world.step();
    assert!(!message(&world, "Ready").contains("let in"));
}

#[test]
fn while_the_network_is_paused_nothing_is_awaited_of_it() {
    type Row = (&'static str, fn(&mut World));
    let rows: &[Row] = &[
        ("a change", |world| world.ack("uk", Ack::Other)),
        ("no Secret", |world| wrong(world, Reason::SecretNotFound)),
        ("a network that cannot be applied", |world| {
            world.user.metadata.generation = Some(2);
            world.change(|view| {
                view.generation = 2;
                view.blocked = Some("spec.links[0] is wrong".to_owned());
            });
        }),
    ];
    for (name, happens) in rows {
        let mut world = World::settled();
        world.change(|view| view.is_paused = true);
        happens(&mut world);
        world.step();
        let told = message(&world, "Ready");
        let end = "; BrokerNetwork mco is paused, so that nothing is written";
        assert!(told.ends_with(end), "{name}: {told}");
        for word in [" yet ", "waiting", "will be", "in a moment"] {
            assert!(!told.contains(word), "{name}: {told}");
        }
        assert_eq!(message(&world, "Reconciling"), "", "{name}");
    }
}

#[test]
fn an_annotation_that_is_ignored_is_told_of_once() {
    let mut world = World::settled();
    let before = world.status();
    let doubt = "metadata.annotations[\"causeway.dev/x\"]: is no annotation of a BrokerUser, so it is ignored";
    world.change(|view| view.doubts = Some(doubt.to_owned()));
    world.step();
    let now = world.status();
    let told: Vec<(EventKind, String)> = notes(&before, &now)
        .into_iter()
        .map(|note| (note.kind, note.message))
        .collect();
    assert_eq!(told, [(EventKind::AnnotationIgnored, doubt.to_owned())]);
    assert_eq!(notes(&now, &now), []);
    // A mistake does not hide it.
    wrong(&mut world, Reason::SecretMalformed);
    world.step();
    assert!(message(&world, "Ready").contains(doubt));
}
