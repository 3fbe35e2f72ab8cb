//! `LinksUp`, `PeersInSync`, and `Degraded`.

use causeway_operator::api::condition::Reason;
use causeway_operator::finding::{Finding, Subject};
use serde_json::json;

use super::{Row, state};
use crate::world::OTHER;

pub const LINKS_AND_PEERS: &[Row] = &[
    (
        "no link is declared",
        |world| {
            world.change(|spec| spec["links"] = json!([]));
            world.answer(|_| {});
        },
        &["LinksUp=True NoLinks", "Degraded=True TopologyWarning"],
        "Current",
    ),
    (
        "a link is slow",
        |world| state(world, "throttled"),
        &["LinksUp=True AllUp", "Degraded=False AsExpected"],
        "Current",
    ),
    (
        "a link is blocked",
        |world| state(world, "blocked"),
        &["LinksUp=False LinkBlocked", "Degraded=True LinkDown"],
        "Current",
    ),
    (
        "a link is down",
        |world| state(world, "down"),
        &["Ready=True AllSitesReady", "LinksUp=False LinkDown"],
        "Current",
    ),
    (
        "a link is refused",
        |world| state(world, "refused"),
        &["LinksUp=False LinkRefused"],
        "Current",
    ),
    (
        "another broker claims a site of a neighbour and was refused here",
        |world| world.answer(|page| page["links"][0]["rivalMs"] = json!(5_000)),
        &["LinksUp=True AllUp", "Degraded=True DuplicateSite"],
        "Current",
    ),
    (
        "another broker claimed a site of a neighbour minutes ago",
        |world| world.answer(|page| page["links"][0]["rivalMs"] = json!(121_000)),
        &["LinksUp=True AllUp", "Degraded=False AsExpected"],
        "Current",
    ),
    (
        "the own site runs elsewhere already",
        |world| {
            world.answer(|page| {
                page["links"][0]["state"] = json!("refused");
                page["links"][0]["reason"] = json!("duplicate_site");
            });
        },
        &["LinksUp=False LinkRefused", "Degraded=True DuplicateSite"],
        "Current",
    ),
    (
        "the ends of a link do not agree on a password",
        |world| state(world, "auth_failed"),
        &["LinksUp=False AuthFailed"],
        "Current",
    ),
    (
        "one end of a link was not heard of for three minutes",
        |world| {
            world.wait(200);
            world.answer(|page| page["sites"][1]["reportAgeMs"] = json!(181_000));
        },
        &[
            "LinksUp=Unknown NotObserved",
            "Degraded=True SiteUnreachable",
        ],
        "Current",
    ),
    (
        "there is no other site",
        |world| {
            world.change(|spec| {
                spec["sites"] = json!([{"name": "ie"}]);
                spec["links"] = json!([]);
            });
            world.answer(|page| page["sites"] = json!([]));
        },
        &["PeersInSync=True NoPeers", "Degraded=False AsExpected"],
        "Current",
    ),
    (
        "a site has another network for five minutes",
        |world| {
            world.answer(|page| page["sites"][1]["specHash"] = json!(OTHER));
            world.step();
            world.wait(300);
            world.answer(|page| page["sites"][1]["specHash"] = json!(OTHER));
        },
        &[
            "Ready=True AllSitesReady",
            "PeersInSync=False SpecDiffers",
            "Degraded=True PeersOutOfSync",
        ],
        "Current",
    ),
    (
        "a site has other users for five minutes",
        |world| {
            world.answer(|page| page["sites"][1]["usersHash"] = json!(OTHER));
            world.step();
            world.wait(300);
            world.answer(|page| page["sites"][1]["usersHash"] = json!(OTHER));
        },
        &["PeersInSync=False UsersDiffer"],
        "Current",
    ),
    (
        "a site counts its hash in another way",
        |world| world.answer(|page| page["sites"][1]["specHash"] = json!("2:00")),
        &["PeersInSync=Unknown AlgorithmDiffers"],
        "Current",
    ),
    (
        "a site has not reported",
        |world| {
            world.network.status = None;
            world.answer(|page| page["sites"] = json!([page["sites"][0]]));
        },
        &[
            "PeersInSync=Unknown NoReport",
            "Degraded=True SiteUnreachable",
        ],
        "Current",
    ),
    (
        "no end of a link has an address",
        |world| {
            world.change(|spec| {
                for site in 0..3 {
                    spec["sites"][site]["endpoint"] = json!(null);
                }
            });
            world.answer(|_| {});
        },
        &["Degraded=True NotDialable"],
        "Current",
    ),
    (
        "a user is wrong",
        |world| {
            world.leave_out("joe");
            let user = Subject::User("amq".to_owned());
            let finding = Finding::error(user, "spec.username", "is taken");
            world
                .findings
                .push(finding.because(Reason::DuplicateUsername));
        },
        &["Ready=True AllSitesReady", "Degraded=True UserErrors"],
        "Current",
    ),
    (
        "a user is wrong and still let in with what was in force",
        |world| {
            world.users.kept.insert("joe".to_owned());
        },
        &["Ready=True AllSitesReady", "Degraded=True UserErrors"],
        "Current",
    ),
    (
        "an annotation is misspelt",
        |world| world.ignore("causeway.dev/reconcil"),
        &[
            "Ready=True AllSitesReady",
            "Degraded=True AnnotationIgnored",
        ],
        "Current",
    ),
    (
        "a site is let go that runs here",
        |world| world.annotate("causeway.dev/allow-site-removal", "ie"),
        &[
            "Ready=True AllSitesReady",
            "Degraded=True AnnotationIgnored",
        ],
        "Current",
    ),
    (
        "the definitions are older than the operator",
        |world| world.observed.missing_fields = vec!["spec.readiness".to_owned()],
        &["Degraded=True CRDOutdated"],
        "Current",
    ),
];
