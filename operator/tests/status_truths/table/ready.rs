//! `Ready`, `ConfigApplied`, `Paused` and most of `Reconciling`.

use causeway_operator::model::plan::SiteAction;
use serde_json::json;

use super::{Row, state};
use crate::world::{World, ie};

pub const READY: &[Row] = &[
    (
        "all is well",
        |_| {},
        &[
            "Ready=True AllSitesReady",
            "ConfigApplied=True Applied",
            "LinksUp=True AllUp",
            "PeersInSync=True InSync",
            "Degraded=False AsExpected",
        ],
        "Current",
    ),
    (
        "no site is this cluster's",
        |world| world.local.clear(),
        &[
            "Ready=True NoLocalSite",
            "ConfigApplied=Unknown NoLocalSite",
            "LinksUp=Unknown NoLocalSite",
            "PeersInSync=Unknown NoLocalSite",
            "Degraded=False AsExpected",
        ],
        "Current",
    ),
    (
        "the only local site is stopped",
        |world| {
            world.change(|spec| spec["sites"][0]["mode"] = json!("Stopped"));
            world.observed.pods.clear();
        },
        &["Ready=True Stopped", "ConfigApplied=True Applied"],
        "Current",
    ),
    (
        "the only local site is still stopping",
        |world| world.change(|spec| spec["sites"][0]["mode"] = json!("Stopped")),
        &["Ready=False Progressing", "Reconciling=True WaitingForPods"],
        "InProgress",
    ),
    (
        "a site is being made",
        |world| world.observed.children.clear(),
        &["Ready=False Progressing", "Reconciling=True NewGeneration"],
        "InProgress",
    ),
    (
        "a pod is not ready",
        World::stop_pod,
        &[
            "Ready=False PodsNotReady",
            "Reconciling=True WaitingForPods",
        ],
        "InProgress",
    ),
    (
        "a pod that is to take over does not start",
        World::add_pod_that_waits,
        &[
            "Ready=False PodsNotReady",
            "Reconciling=True WaitingForPods",
        ],
        "InProgress",
    ),
    (
        "the cluster refuses a pod",
        |world| {
            world.deployment(json!({
                "observedGeneration": 3,
                "conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}],
            }));
        },
        &[
            "Ready=False PodCreationRefused",
            "Reconciling=True WaitingForPods",
        ],
        "InProgress",
    ),
    (
        "a configuration is on its way after a change",
        |world| {
            world.network.metadata.generation = Some(8);
            world.hashes.insert(ie(), "new".to_owned());
        },
        &[
            "Ready=False ConfigNotApplied",
            "ConfigApplied=False Pending",
            "Reconciling=True NewGeneration",
        ],
        "InProgress",
    ),
    (
        "a configuration is on its way though the object is the same",
        |world| drop(world.hashes.insert(ie(), "new".to_owned())),
        &[
            "Ready=False ConfigNotApplied",
            "ConfigApplied=False Pending",
            "Reconciling=True WaitingForBroker",
        ],
        "InProgress",
    ),
    (
        "a configuration has not been in force for ten minutes",
        |world| {
            world.hashes.insert(ie(), "new".to_owned());
            world.step();
            world.wait(600);
            world.answer(|_| {});
        },
        &[
            "Ready=False ConfigNotApplied",
            "ConfigApplied=False OutOfDate",
            "Reconciling=True WaitingForBroker",
        ],
        "InProgress",
    ),
    (
        "a broker refuses its files",
        |world| {
            world.hashes.insert(ie(), "new".to_owned());
            world.answer(|page| {
                page["config"]["seen"] = json!("new");
                page["config"]["error"] = json!("limits.frame: is out of range");
            });
        },
        &[
            "Ready=False Stalled",
            "ConfigApplied=False Rejected",
            "Stalled=True ConfigRejected",
        ],
        "Failed",
    ),
    (
        "a load balancer has no address",
        |world| {
            world.change(|spec| {
                spec["sites"][0]["listeners"] =
                    json!({"link": {"service": {"type": "LoadBalancer"}}});
            });
        },
        &[
            "Ready=False AddressPending",
            "Reconciling=True WaitingForAddress",
        ],
        "InProgress",
    ),
    (
        "links that count have never been up",
        |world| {
            world.change(|spec| spec["readiness"] = json!("AllLinks"));
            world.network.status = None;
            world.answer(|page| {
                page["links"][0]["state"] = json!("connecting");
                page["links"][0]["credential"] = json!("none");
                page["sites"] = json!([]);
            });
        },
        &[
            "Ready=False Progressing",
            "LinksUp=False NeverConnected",
            "Degraded=True LinkDown",
            "Reconciling=True WaitingForLinks",
        ],
        "InProgress",
    ),
    (
        "links that count went down",
        |world| {
            world.change(|spec| spec["readiness"] = json!("AllLinks"));
            world.step();
            state(world, "down");
        },
        &["Ready=False LinksDown", "LinksUp=False LinkDown"],
        "InProgress",
    ),
    (
        "it is restarted",
        |world| {
            world.plan.sites.insert(ie(), SiteAction::Roll(Vec::new()));
        },
        &["Ready=True AllSitesReady", "Reconciling=True Rolling"],
        "InProgress",
    ),
    (
        "it is paused in the middle of a change",
        |world| {
            world.annotate("causeway.dev/reconcile", "paused");
            world.hashes.insert(ie(), "new".to_owned());
        },
        &[
            "Ready=False ConfigNotApplied",
            "Paused=True PausedByAnnotation",
        ],
        "InProgress",
    ),
    (
        "nobody has ever asked the broker",
        |world| {
            world.network.status = None;
            world.observed.brokers.clear();
        },
        &[
            "Ready=False ConfigNotApplied",
            "ConfigApplied=Unknown NotObserved",
            "LinksUp=Unknown NotObserved",
            "PeersInSync=Unknown NotObserved",
            "Reconciling=True WaitingForBroker",
        ],
        "InProgress",
    ),
    (
        "what is there cannot be read at first sight",
        |world| {
            world.network.status = None;
            world.outcome.failed_reads.push("pods: timeout".to_owned());
        },
        &[
            "Ready=Unknown NotObserved",
            "ConfigApplied=Unknown NotObserved",
            "LinksUp=Unknown NotObserved",
            "PeersInSync=Unknown NotObserved",
            "Degraded=Unknown NotObserved",
        ],
        "InProgress",
    ),
    (
        "a right to read is missing at first sight",
        |world| {
            world.network.status = None;
            world.outcome.denied.push("secrets is forbidden".to_owned());
        },
        &[
            "Ready=Unknown NotObserved",
            "ConfigApplied=Unknown NotObserved",
            "LinksUp=Unknown NotObserved",
            "PeersInSync=Unknown NotObserved",
            "Degraded=Unknown NotObserved",
            "Stalled=True Forbidden",
        ],
        "Failed",
    ),
    (
        "a right to read goes while everything is well",
        |world| world.outcome.denied.push("secrets is forbidden".to_owned()),
        &["Ready=True AllSitesReady", "Stalled=True Forbidden"],
        "Failed",
    ),
];
