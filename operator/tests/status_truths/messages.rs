//! What the messages name, and that they say of what goes on only that it does.

use causeway_operator::api::condition::{ConditionType, Reason};
use causeway_operator::api::status::{BrokerNetworkStatus, SiteState};
use causeway_operator::model::observed::{ChildKind, PodState};
use causeway_operator::names::SiteName;
use serde_json::json;

use super::after;
use super::world::{World, condition, ie};

fn message(status: &BrokerNetworkStatus, kind: ConditionType) -> String {
    let found = condition(status, kind);
    found.map(|one| one.message.clone()).unwrap_or_default()
}

#[test]
fn a_link_without_its_secret_is_named_and_no_site_is() {
    let (mut world, status) = after(|world| world.lose_link(Reason::SecretNotFound));
    let message = |status: &BrokerNetworkStatus| {
        let applied = condition(status, ConditionType::ConfigApplied);
        applied.map(|one| one.message.clone()).unwrap_or_default()
    };
    let link = "spec.links[0].name: Secret mco-link-ie-uk is missing (link ie-uk goes on with the password in force)";
    assert_eq!(message(&status), link);
    // A site that is late is named beside it.
    world.hashes.insert(ie(), "new".to_owned());
    let both = format!("not yet what is declared: ie; {link}");
    assert_eq!(message(&world.compute().status), both);
}

#[test]
fn what_a_pod_could_not_start_without_is_named_with_the_site_that_waits() {
    let (_, status) = after(|world| {
        world.hashes.insert(ie(), "new".to_owned());
        world.warn_of_network(Reason::SecretNotFound);
    });
    let applied = condition(&status, ConditionType::ConfigApplied).expect("it is told");
    let expected = "not yet what is declared: ie; brokers go on with the certificates that they have, and none starts without: \
                    spec.tls.source: Secret mco--ie-tls is missing";
    assert_eq!(applied.message, expected);
}

#[test]
fn while_it_is_paused_no_message_speaks_of_work_that_goes_on() {
    type Row = (&'static str, fn(&mut World));
    let rows: &[Row] = &[
        ("a change", |world| {
            world.hashes.insert(ie(), "new".to_owned());
        }),
        ("a change long ago", |world| {
            world.hashes.insert(ie(), "new".to_owned());
            world.step();
            world.wait(601);
            world.answer(|_| {});
        }),
        ("a site that is new", |world| {
            world.observed.children.clear();
        }),
        ("a site that is to stop", |world| {
            world.change(|spec| spec["sites"][0]["mode"] = json!("Stopped"));
        }),
        ("a Secret that is missing", |world| {
            world.find(Reason::SecretNotFound)
        }),
    ];
    for (name, happens) in rows {
        let (_, status) = after(|world| {
            world.annotate("causeway.dev/reconcile", "paused");
            happens(world);
        });
        let ready = message(&status, ConditionType::Ready);
        assert!(
            ready.starts_with("paused, so that nothing is written: "),
            "{name}: {ready}"
        );
        let applied = condition(&status, ConditionType::ConfigApplied).expect("it is told");
        if applied.status == "False" {
            assert!(
                applied.message.contains("while it is paused"),
                "{name}: {applied:?}"
            );
        }
        for word in ["being made", "is stopping", " yet", "will be"] {
            assert!(!ready.contains(word), "{name}: {ready}");
        }
        assert!(
            condition(&status, ConditionType::Reconciling).is_none(),
            "{name}"
        );
    }
}

#[test]
fn a_site_that_is_held_runs_here_and_both_ways_out_are_named() {
    let (mut world, status) = after(|world| {
        world.local = [SiteName::new("uk")].into();
        world.plan.held.insert("ie".to_owned());
    });
    let row = |status: &BrokerNetworkStatus| {
        let mut rows = status.sites.iter().flatten();
        let row = rows.find(|row| row.name == "ie").expect("a row");
        (row.local, row.state)
    };
    assert_eq!(row(&status), (true, SiteState::Running));
    let stalled = message(&status, ConditionType::Stalled);
    for part in ["put the name back", "causeway.dev/allow-site-removal: ie"] {
        assert!(stalled.contains(part), "{stalled}");
    }
    world.stop_pod();
    assert_eq!(row(&world.compute().status), (true, SiteState::Starting));
    world.observed.pods.clear();
    assert_eq!(row(&world.compute().status), (true, SiteState::Pending));
}

#[test]
fn an_annotation_that_lets_a_site_go_is_told_of_as_long_as_it_lies_about() {
    let told = |happens: fn(&mut World)| {
        let (_, status) = after(|world| {
            happens(world);
            world.annotate("causeway.dev/allow-site-removal", "ie, xx");
        });
        message(&status, ConditionType::Degraded)
    };
    let here = told(|_| {});
    assert!(
        here.contains("lets ie go, which this cluster runs"),
        "{here}"
    );
    let gone = told(|world| {
        world.local = [SiteName::new("uk")].into();
        world.observed.children.clear();
    });
    assert!(
        gone.contains("lets ie go, of which nothing is left"),
        "{gone}"
    );
    let going = told(|world| world.local = [SiteName::new("uk")].into());
    assert!(!going.contains("allow-site-removal"), "{going}");
}

#[test]
fn a_deployment_that_somebody_scaled_is_no_site_of_another_cluster() {
    let own = "several pods of ie run here and claim it";
    let refused = |world: &mut World| {
        world.answer(|page| {
            page["links"][0]["state"] = json!("refused");
            page["links"][0]["reason"] = json!("duplicate_site");
        });
    };
    let degraded = |world: &mut World| message(&world.step().status, ConditionType::Degraded);
    let mut world = World::settled();
    refused(&mut world);
    let told = degraded(&mut world);
    assert!(told.contains("ie runs elsewhere already"), "{told}");

    let mut world = World::settled();
    world.observed.pods.push(PodState {
        name: "mco--ie-y".to_owned(),
        site: "ie".to_owned(),
        ..PodState::default()
    });
    refused(&mut world);
    let told = degraded(&mut world);
    assert!(told.contains(own) && !told.contains("elsewhere"), "{told}");
    // Its second pod is gone before the others stop telling of it.
    world.observed.pods.pop();
    let told = degraded(&mut world);
    assert!(told.contains(own) && !told.contains("elsewhere"), "{told}");
    world.answer(|_| {});
    assert!(!degraded(&mut world).contains(own));
    refused(&mut world);
    assert!(degraded(&mut world).contains("ie runs elsewhere already"));
}

#[test]
fn users_that_are_wrong_are_told_apart_by_whether_they_are_let_in() {
    let (_, status) = after(|world| {
        world.users.kept.insert("joe".to_owned());
        world.leave_out("ann");
    });
    let told = message(&status, ConditionType::Degraded);
    let expected = "UserErrors: 1 of 2 users are served, not ann, and still let in with what was in force: joe";
    assert_eq!(told, expected);
}

#[test]
fn what_belongs_to_somebody_else_has_to_go_since_its_name_is_needed() {
    use causeway_operator::model::observed::{Applied, ChildKey, Refusal};
    let (_, status) = after(|world| {
        let (kind, name) = (ChildKind::Secret, "mco--ie-config".to_owned());
        let refused = Applied::Refused(Refusal::NotOwned { owner: None });
        world
            .outcome
            .objects
            .insert(ChildKey { kind, name }, refused);
    });
    let stalled = message(&status, ConditionType::Stalled);
    assert!(
        stalled.contains("remove it, and keep what it holds under another name"),
        "{stalled}"
    );
}
