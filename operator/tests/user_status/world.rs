//! A user whom two sites of this cluster know, and what can happen to it.

use std::collections::BTreeSet;

use causeway_operator::api::BrokerUser;
use causeway_operator::api::condition::Reason;
use causeway_operator::api::status::BrokerUserStatus;
use causeway_operator::names::SiteName;
use causeway_operator::user::decided::Seen;
use causeway_operator::user::status::{Computed, compute};
use causeway_operator::user::view::{Ack, UserView};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

const UID: &str = "6b1f2d7e-0000-4000-8000-000000000001";

/// A user whom two sites of this cluster know, in force at both.
pub struct World {
    pub now: Timestamp,
    pub user: BrokerUser,
    pub seen: Seen,
    pub view: UserView,
    pub trouble: Option<&'static str>,
}

impl World {
    pub fn new() -> Self {
        let user = json!({
            "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerUser",
            "metadata": {"name": "joe", "namespace": "n", "uid": UID, "generation": 1},
            "spec": {
                "networkRef": {"name": "mco"},
                "credentials": {"type": "Password", "secretRef": {"name": "joe"}},
            },
            "status": {"observedGeneration": -1},
        });
        let sites = ["ie", "uk"].map(SiteName::new);
        let view = UserView {
            uid: UID.to_owned(),
            generation: 1,
            local_sites: BTreeSet::from(sites.clone()),
            sites: sites.into_iter().map(|site| (site, Ack::Same)).collect(),
            credential: Some("17".to_owned()),
            is_served: true,
            ..UserView::default()
        };
        Self {
            now: Timestamp::from_second(1_800_000_000).expect("a time"),
            user: serde_json::from_value(user).expect("a user"),
            seen: Seen::Unknown,
            view,
            trouble: None,
        }
    }

    /// The same after its first status.
    pub fn settled() -> Self {
        let mut world = Self::new();
        world.decide();
        world.step();
        world
    }

    pub fn decide(&mut self) {
        self.seen = Seen::View(self.view.clone().into());
    }

    pub fn change(&mut self, change: impl FnOnce(&mut UserView)) {
        change(&mut self.view);
        self.decide();
    }

    pub fn ack(&mut self, site: &str, ack: Ack) {
        self.change(|view| {
            view.sites.insert(SiteName::new(site), ack);
        });
    }

    pub fn generate(&mut self, rotation: &str) {
        self.user.spec.credentials = serde_json::from_value(json!({
            "type": "Generated", "generated": {"rotation": rotation},
        }))
        .expect("credentials");
    }

    pub fn compute(&self) -> Computed {
        compute(self.now, &self.user, &self.seen, self.trouble)
    }

    /// Computes the status and writes it as the API server keeps it.
    pub fn step(&mut self) -> Computed {
        let computed = self.compute();
        if let Some(status) = &computed.status {
            let text = serde_json::to_string(status).expect("JSON");
            self.user.status = Some(serde_json::from_str(&text).expect("a status"));
        }
        computed
    }

    pub fn status(&self) -> BrokerUserStatus {
        self.user.status.clone().expect("a status")
    }
}

pub fn words(status: &BrokerUserStatus) -> Vec<String> {
    let all = status.conditions.iter().flatten();
    all.map(|one| format!("{}={} {}", one.type_, one.status, one.reason))
        .collect()
}

/// The verdict of tools that read any object's status, such as Flux and Helm.
pub fn kstatus(user: &BrokerUser, status: &BrokerUserStatus) -> &'static str {
    let is = |kind: &str| {
        let mut all = status.conditions.iter().flatten();
        all.any(|one| one.type_ == kind && one.status == "True")
    };
    if status.observed_generation != user.metadata.generation || is("Reconciling") {
        "InProgress"
    } else if is("Stalled") {
        "Failed"
    } else if is("Ready") {
        "Current"
    } else {
        "InProgress"
    }
}

pub fn wrong(world: &mut World, reason: Reason) {
    world.change(|view| {
        view.problem = Some((reason, "spec.credentials: it is wrong".to_owned()));
        view.is_served = false;
    });
}
