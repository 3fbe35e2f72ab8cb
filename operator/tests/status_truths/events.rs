//! Events tell what changed, once.

use causeway_operator::api::condition::{EventKind, Reason};
use causeway_operator::model::observed::{Applied, ChildKey, ChildKind, Outcome, Refusal};
use causeway_operator::model::plan::SiteAction;
use causeway_operator::names::SiteName;
use causeway_operator::network::status::{Note, restored};
use k8s_openapi::api::core::v1::ObjectReference;
use serde_json::json;

use super::world::{OTHER, World, ie};

/// The kinds of the Events of one step; a second one tells nothing.
fn told(world: &mut World) -> Vec<EventKind> {
    let first = world.step().events;
    let second = world.step().events;
    assert_eq!(second, [], "told twice");
    first.iter().map(|note| note.kind).collect()
}

#[test]
fn the_first_status_tells_who_acts_and_what_is_made() {
    let kinds = told(&mut World::new());
    let expected = [
        EventKind::ActingAs,
        EventKind::SiteCreated,
        EventKind::ConfigApplied,
        EventKind::LinkUp,
        EventKind::LinkUp,
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn a_cluster_that_only_reads_tells_nothing() {
    let mut world = World::new();
    world.local.clear();
    assert_eq!(told(&mut world), []);
}

#[test]
fn claims_that_change_are_told() {
    let mut world = World::settled();
    world.local = [SiteName::new("uk")].into();
    let kinds = told(&mut world);
    let claims = [
        EventKind::ActingAs,
        EventKind::SiteCreated,
        EventKind::SiteRemoved,
    ];
    assert!(kinds.starts_with(&claims), "{kinds:?}");
}

#[test]
fn each_change_has_its_event() {
    type Row = (&'static str, fn(&mut World), &'static [EventKind]);
    let rows: &[Row] = &[
        ("nothing", |_| {}, &[]),
        (
            "a link goes down",
            |world| world.answer(|page| page["links"][0]["state"] = json!("connecting")),
            &[EventKind::LinkDown],
        ),
        (
            "a link is refused",
            |world| world.answer(|page| page["links"][0]["state"] = json!("auth_failed")),
            &[EventKind::LinkRefused],
        ),
        (
            "a credential is the new one",
            |world| {
                world.answer(|page| page["links"][0]["credential"] = json!("previous"));
                assert_eq!(told(world), []);
                world.answer(|page| page["links"][0]["credential"] = json!("current"));
            },
            &[EventKind::CredentialRotated],
        ),
        (
            "a configuration is in force",
            |world| {
                world.hashes.insert(ie(), "new".to_owned());
                assert_eq!(told(world), []);
                world.answer(|page| page["config"]["applied"] = json!("new"));
            },
            &[EventKind::ConfigApplied],
        ),
        (
            "a configuration is refused",
            |world| {
                world.hashes.insert(ie(), "new".to_owned());
                world.answer(|page| {
                    page["config"]["seen"] = json!("new");
                    page["config"]["error"] = json!("it is wrong");
                });
            },
            &[EventKind::ConfigRejected, EventKind::Stalled],
        ),
        (
            "a site has other documents",
            |world| {
                world.answer(|page| page["sites"][0]["specHash"] = json!(OTHER));
                assert_eq!(told(world), []);
                world.wait(300);
                world.answer(|page| page["sites"][0]["specHash"] = json!(OTHER));
            },
            &[EventKind::PeerOutOfSync],
        ),
        (
            "a site has the same documents again",
            |world| {
                world.answer(|page| page["sites"][0]["specHash"] = json!(OTHER));
                world.step();
                world.wait(300);
                world.answer(|page| page["sites"][0]["specHash"] = json!(OTHER));
                world.step();
                world.answer(|_| {});
            },
            &[EventKind::PeerInSync],
        ),
        (
            "a Secret is somebody else's",
            |world| {
                let (kind, name) = (ChildKind::Secret, "mco--ie-keys".to_owned());
                let refused = Applied::Refused(Refusal::NotOwned { owner: None });
                world
                    .outcome
                    .objects
                    .insert(ChildKey { kind, name }, refused);
            },
            &[EventKind::SecretNotOwned],
        ),
        (
            "a mistake is mended",
            |world| {
                world.find(Reason::DuplicatePair);
                assert_eq!(told(world), [EventKind::Stalled]);
                world.findings.clear();
                world.change(|_| {});
            },
            &[EventKind::Recovered],
        ),
        (
            "a pod is refused",
            |world| {
                let condition =
                    json!({"type": "ReplicaFailure", "status": "True", "message": "quota"});
                world.deployment(json!({"observedGeneration": 3, "conditions": [condition]}));
            },
            &[EventKind::PodCreationRefused],
        ),
        (
            "the definitions are old, and something worse goes on",
            |world| {
                world.observed.missing_fields = vec!["spec.readiness".to_owned()];
                world.answer(|page| page["links"][0]["state"] = json!("down"));
            },
            &[EventKind::LinkDown, EventKind::CRDOutdated],
        ),
        (
            "an annotation is misspelt, and then another",
            |world| {
                world.ignore("causeway.dev/reconcil");
                assert_eq!(told(world), [EventKind::AnnotationIgnored]);
                world.findings.clear();
                world.ignore("causeway.dev/pause");
            },
            &[EventKind::AnnotationIgnored],
        ),
        (
            "a certificate ends soon",
            |world| {
                world.change(|spec| spec["tls"] = json!({"source": "Secret"}));
                world.answer(|_| {});
                assert_eq!(told(world), []);
                world.answer(|page| {
                    page["certs"] =
                        json!([{"file": "tls.crt", "notAfter": "2026-11-30T00:00:00Z"}]);
                });
            },
            &[EventKind::CertificateExpiresSoon],
        ),
    ];
    for (name, happens, expected) in rows {
        let mut world = World::settled();
        happens(&mut world);
        assert_eq!(told(&mut world), *expected, "{name}");
    }
}

/// What is beside the object in an Event: those with the same are counted as one.
fn related(note: &Note) -> Option<ObjectReference> {
    let object = ObjectReference {
        name: Some("mco".to_owned()),
        ..ObjectReference::default()
    };
    note.related(&object)
}

#[test]
fn events_about_two_sites_or_links_are_never_counted_as_one() {
    let events = World::new().step().events;
    let of = |kind| -> Vec<Option<String>> {
        let notes = events.iter().filter(|note| note.kind == kind);
        notes.map(|note| related(note)?.field_path).collect()
    };
    assert_eq!(of(EventKind::SiteCreated), [Some("spec.sites{ie}".into())]);
    assert_eq!(
        of(EventKind::ConfigApplied),
        [Some("spec.sites{ie}".into())]
    );
    let links = ["ie-uk", "uk-us"].map(|link| Some(format!("spec.links{{{link}}}")));
    assert_eq!(of(EventKind::LinkUp), links);
    assert_eq!(of(EventKind::ActingAs), [None]);
    for note in events {
        let name = related(&note).and_then(|related| related.name);
        assert!(name.is_none_or(|name| name == "mco"), "{note:?}");
    }
}

#[test]
fn what_is_put_back_is_told_of_with_the_object_and_what_is_only_changed_is_not() {
    let key = |name: &str| ChildKey {
        kind: ChildKind::Deployment,
        name: name.to_owned(),
    };
    let outcome = Outcome {
        objects: [
            (key("mco--ie"), Applied::Restored),
            (key("mco--uk"), Applied::Changed),
        ]
        .into(),
        ..Outcome::default()
    };
    let notes: Vec<Note> = restored(&outcome).collect();
    let kinds: Vec<EventKind> = notes.iter().map(|note| note.kind).collect();
    assert_eq!(kinds, [EventKind::Restored]);
    let related = related(&notes[0]).expect("an object");
    assert_eq!(related.kind.as_deref(), Some("Deployment"));
    assert_eq!(related.name.as_deref(), Some("mco--ie"));
}

#[test]
fn restarts_are_told_from_their_beginning_to_their_end() {
    let mut world = World::settled();
    let behind = SiteName::new("uk");
    let reasons = Vec::new();
    let wait = SiteAction::Wait { reasons, behind };
    world.plan.sites.insert(ie(), wait);
    assert_eq!(told(&mut world), [EventKind::RollStarted]);
    world.wait(300);
    world.answer(|_| {});
    assert_eq!(told(&mut world), [EventKind::RollHeld]);
    world.plan.sites.insert(ie(), SiteAction::Roll(Vec::new()));
    assert_eq!(told(&mut world), []);
    world.plan.sites.insert(ie(), SiteAction::Live);
    world.stop_pod();
    assert_eq!(told(&mut world), [], "it is still under way");
    world.deployment(json!({
        "observedGeneration": 3, "replicas": 1, "updatedReplicas": 1,
        "conditions": [{"type": "Available", "status": "True"}],
    }));
    world.observed.pods[0].is_ready = true;
    assert_eq!(told(&mut world), [EventKind::RollFinished]);
}
