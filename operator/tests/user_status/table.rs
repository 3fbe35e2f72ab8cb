//! What happens, what the conditions say then, and what tools make of it.

use causeway_operator::api::condition::Reason;
use causeway_operator::user::decided::Seen;
use causeway_operator::user::view::Ack;
use k8s_openapi::jiff::SignedDuration;
use serde_json::json;

use super::world::{World, wrong};

pub type Row = (
    &'static str,
    fn(&mut World),
    &'static [&'static str],
    &'static str,
);

pub const TABLE: &[Row] = &[
    (
        "in force everywhere",
        |_| {},
        &["Ready=True Applied", "Applied=True Applied"],
        "Current",
    ),
    (
        "one broker has another",
        |world| world.ack("uk", Ack::Other),
        &[
            "Ready=False Progressing",
            "Applied=False Pending",
            "Reconciling=True WaitingForBroker",
        ],
        "InProgress",
    ),
    (
        "one broker does not answer",
        |world| world.ack("uk", Ack::Lost),
        &[
            "Ready=Unknown NotObserved",
            "Applied=Unknown BrokerUnreachable",
            "Reconciling=True WaitingForBroker",
        ],
        "InProgress",
    ),
    (
        "no broker has been asked since the operator started",
        |world| {
            world.ack("ie", Ack::NotAsked);
            world.ack("uk", Ack::NotAsked);
        },
        &["Ready=True Applied", "Applied=True Applied"],
        "Current",
    ),
    (
        "no broker has been asked, and the password is another",
        |world| {
            world.ack("ie", Ack::NotAsked);
            world.change(|view| view.credential = Some("18".to_owned()));
        },
        &[
            "Ready=Unknown NotObserved",
            "Applied=Unknown NotObserved",
            "Reconciling=True WaitingForBroker",
        ],
        "InProgress",
    ),
    (
        "suspended",
        |world| {
            world.user.spec.state = serde_json::from_value(json!("Suspended")).expect("a state");
        },
        &["Ready=True Suspended", "Applied=True Applied"],
        "Current",
    ),
    (
        "suspended, and not everywhere yet",
        |world| {
            world.user.spec.state = serde_json::from_value(json!("Suspended")).expect("a state");
            world.ack("ie", Ack::Other);
        },
        &["Ready=False Progressing", "Applied=False Pending"],
        "InProgress",
    ),
    (
        "a user of other clusters",
        |world| {
            world.change(|view| {
                view.local_sites.clear();
                view.sites.clear();
                view.is_served = false;
            });
        },
        &["Ready=True NoLocalSite", "Applied=Unknown NoLocalSite"],
        "Current",
    ),
    (
        "every site is stopped",
        |world| world.change(|view| view.sites.clear()),
        &["Ready=True NoLocalSite", "Applied=Unknown NoLocalSite"],
        "Current",
    ),
    (
        "no network",
        |world| world.seen = Seen::NoNetwork,
        &[
            "Ready=False Stalled",
            "Applied=Unknown NotObserved",
            "Stalled=True NetworkNotFound",
        ],
        "Failed",
    ),
    (
        "the network has not been looked at with the last change",
        |world| world.user.metadata.generation = Some(2),
        &[
            "Ready=Unknown NotObserved",
            "Applied=Unknown NotObserved",
            "Reconciling=True NewGeneration",
        ],
        "InProgress",
    ),
    (
        "the network has not been looked at with the user",
        |world| world.seen = Seen::NotYet,
        &["Reconciling=True NewGeneration"],
        "InProgress",
    ),
    (
        "another user has the login name",
        |world| wrong(world, Reason::DuplicateUsername),
        &[
            "Ready=False Stalled",
            "Applied=False Pending",
            "Stalled=True DuplicateUsername",
        ],
        "Failed",
    ),
    (
        "a hash that is none",
        |world| wrong(world, Reason::SecretMalformed),
        &["Stalled=True SecretMalformed"],
        "Failed",
    ),
    (
        "a Secret of somebody else",
        |world| wrong(world, Reason::SecretNotOwned),
        &["Stalled=True SecretNotOwned", "Applied=False Pending"],
        "Failed",
    ),
    (
        "a Secret that somebody else claims too goes on in force",
        |world| {
            wrong(world, Reason::SecretNotOwned);
            world.change(|view| view.is_served = true);
        },
        &["Stalled=True SecretNotOwned", "Applied=True Applied"],
        "Failed",
    ),
    (
        "anything else that is wrong",
        |world| wrong(world, Reason::SpecInvalid),
        &["Stalled=True SpecInvalid"],
        "Failed",
    ),
    (
        "a user of a site that the network does not have",
        |world| {
            wrong(world, Reason::UnknownSite);
            world.change(|view| {
                view.local_sites.clear();
                view.sites.clear();
            });
        },
        &[
            "Ready=False Stalled",
            "Applied=False Pending",
            "Stalled=True UnknownSite",
        ],
        "Failed",
    ),
    (
        "a change while the network is paused",
        |world| {
            world.change(|view| view.is_paused = true);
            world.ack("uk", Ack::Other);
        },
        &["Ready=False PausedByAnnotation", "Applied=False Pending"],
        "InProgress",
    ),
    (
        "no Secret",
        |world| wrong(world, Reason::SecretNotFound),
        &[
            "Ready=False Progressing",
            "Applied=False Pending",
            "Reconciling=True WaitingForSecret",
        ],
        "InProgress",
    ),
    (
        "no Secret for ten minutes",
        |world| {
            wrong(world, Reason::SecretNotFound);
            world.step();
            world.now += SignedDuration::from_mins(10);
        },
        &["Ready=False Stalled", "Stalled=True SecretNotFound"],
        "Failed",
    ),
    (
        "a network that cannot be applied keeps what is in force",
        |world| world.change(|view| view.blocked = Some("spec.links[0]".to_owned())),
        &["Ready=True Applied", "Applied=True Applied"],
        "Current",
    ),
    (
        "a change of a user of a network that cannot be applied",
        |world| {
            world.user.metadata.generation = Some(2);
            world.change(|view| {
                view.generation = 2;
                view.blocked = Some("spec.links[0] is wrong".to_owned());
            });
        },
        &[
            "Ready=False Progressing",
            "Applied=False Pending",
            "Reconciling=True WaitingForBroker",
        ],
        "InProgress",
    ),
    (
        "a generated password that is not of the rotation asked for",
        |world| {
            world.generate("2");
            world.change(|view| view.credential = Some("1".to_owned()));
        },
        &["Applied=False Pending", "Ready=False Progressing"],
        "InProgress",
    ),
];
