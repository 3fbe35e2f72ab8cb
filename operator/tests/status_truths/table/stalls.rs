//! `Stalled`, and what is awaited.

use causeway_operator::api::condition::Reason;
use causeway_operator::model::observed::{Applied, ChildKey, ChildKind, Refusal};
use causeway_operator::names::SiteName;

use super::Row;
use crate::world::World;

fn refuse(world: &mut World, kind: ChildKind, refusal: Refusal) {
    let name = "mco--ie".to_owned();
    let refused = Applied::Refused(refusal);
    world
        .outcome
        .objects
        .insert(ChildKey { kind, name }, refused);
}

pub const STALLS: &[Row] = &[
    (
        "a Secret of the name is somebody else's",
        |world| {
            let owner = Some("Kafka/strimzi".to_owned());
            refuse(world, ChildKind::Secret, Refusal::NotOwned { owner });
        },
        &["Ready=False Stalled", "Stalled=True SecretNotOwned"],
        "Failed",
    ),
    (
        "a Service of the name is nobody's",
        |world| refuse(world, ChildKind::Service, Refusal::NotOwned { owner: None }),
        &["Ready=False Stalled", "Stalled=True ChildNotOwned"],
        "Failed",
    ),
    (
        "the API server forbids it",
        |world| {
            let message = "services is forbidden".to_owned();
            let verb = "create";
            refuse(
                world,
                ChildKind::Service,
                Refusal::Forbidden { verb, message },
            );
        },
        &["Stalled=True Forbidden"],
        "Failed",
    ),
    (
        "the API server refuses an object",
        |world| {
            let message = "spec.ports: Required value".to_owned();
            refuse(world, ChildKind::Service, Refusal::Invalid(message));
        },
        &["Stalled=True SpecInvalid"],
        "Failed",
    ),
    (
        "an earlier object of the name is being removed",
        |world| refuse(world, ChildKind::Service, Refusal::Former),
        &[
            "Ready=False Progressing",
            "Reconciling=True WaitingForGarbageCollection",
        ],
        "InProgress",
    ),
    (
        "a request failed",
        |world| {
            let error = "connection reset".to_owned();
            refuse(world, ChildKind::Service, Refusal::Failed(error));
        },
        &["Ready=False Progressing", "Reconciling=True NewGeneration"],
        "InProgress",
    ),
    (
        "a site is no longer claimed",
        |world| {
            world.local = [SiteName::new("uk")].into();
            world.plan.held.insert("ie".to_owned());
        },
        &["Ready=False Stalled", "Stalled=True SiteRemovalHeld"],
        "Failed",
    ),
    (
        "a Secret is not there yet",
        |world| world.find(Reason::SecretNotFound),
        &[
            "Ready=False Progressing",
            "ConfigApplied=True Applied",
            "Reconciling=True WaitingForSecret",
        ],
        "InProgress",
    ),
    (
        "a Secret has not been there for ten minutes",
        |world| {
            world.find(Reason::SecretNotFound);
            world.step();
            world.wait(600);
        },
        &["Ready=False Stalled", "Stalled=True SecretNotFound"],
        "Failed",
    ),
    (
        "the Secret of a link is lost, and the link goes on without",
        |world| world.lose_link(Reason::SecretNotFound),
        &[
            "Ready=False ConfigNotApplied",
            "ConfigApplied=False Pending",
            "LinksUp=True AllUp",
            "Reconciling=True WaitingForSecret",
        ],
        "InProgress",
    ),
    (
        "the Secret of a link has been lost for ten minutes",
        |world| {
            world.lose_link(Reason::SecretNotFound);
            world.step();
            world.wait(600);
            world.answer(|_| {});
        },
        &[
            "ConfigApplied=False Pending",
            "LinksUp=True AllUp",
            "Stalled=True SecretNotFound",
        ],
        "Failed",
    ),
    (
        "the Secret of a link may not be read",
        |world| world.lose_link(Reason::Forbidden),
        &["ConfigApplied=False Pending", "Stalled=True Forbidden"],
        "Failed",
    ),
    (
        "a bundle may not be read, and a certificate is not there",
        |world| {
            world.warn(Reason::SecretNotFound);
            world.warn_of_network(Reason::Forbidden);
        },
        &["Ready=False Stalled", "Stalled=True Forbidden"],
        "Failed",
    ),
    (
        "a bundle has not been there for ten minutes",
        |world| {
            world.warn(Reason::ReferenceNotFound);
            world.step();
            world.wait(600);
        },
        &["Stalled=True ReferenceNotFound"],
        "Failed",
    ),
    (
        "a mistake is told with what is missing",
        |world| {
            world.find(Reason::SecretNotFound);
            world.find(Reason::DuplicatePair);
        },
        &["Stalled=True DuplicatePair"],
        "Failed",
    ),
    (
        "a finding of an unknown cause is a mistake of the object",
        |world| world.find(Reason::UsersDiffer),
        &["Stalled=True SpecInvalid"],
        "Failed",
    ),
];

/// The causes of findings that are reasons of Stalled as they are.
pub const CAUSES: [Reason; 14] = [
    Reason::SpecInvalid,
    Reason::DuplicatePair,
    Reason::DuplicateLinkName,
    Reason::TooManyLinks,
    Reason::SiteIdCollision,
    Reason::OverrideForbidden,
    Reason::ConfigTooLarge,
    Reason::ConfigRejected,
    Reason::SecretMalformed,
    Reason::SecretNotOwned,
    Reason::ChildNotOwned,
    Reason::DevelopmentCAUnsafe,
    Reason::SiteRemovalHeld,
    Reason::Forbidden,
];
