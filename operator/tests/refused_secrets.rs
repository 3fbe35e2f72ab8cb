//! A pod is made only when the Secrets that were made for it are what they should be.

mod cluster;

use causeway_operator::model::observed::{Applied, ChildKey, ChildKind, Outcome, Refusal};
use causeway_operator::network::apply;
use causeway_operator::network::issue::Issued;
use serde_json::json;

use self::cluster::{COUNTRIES, Cluster};

fn secret(name: &str) -> ChildKey {
    let kind = ChildKind::Secret;
    let name = name.to_owned();
    ChildKey { kind, name }
}

/// The Deployments that are left as they are while a Secret is refused.
fn waiting(cluster: &Cluster, outcome: &Outcome, issued: &Issued) -> Vec<String> {
    let desired = cluster.build();
    let objects = desired.objects.iter();
    objects
        .filter(|(key, wanted)| apply::waits(key, wanted, outcome, issued))
        .map(|(key, _)| key.to_string())
        .collect()
}

#[test]
fn no_pod_mounts_what_a_stranger_put_in_the_place_of_its_files_or_certificate() {
    let mut cluster = Cluster::new(COUNTRIES, &["ie", "uk"]);
    let refusals = [
        Refusal::NotOwned { owner: None },
        Refusal::Former,
        Refusal::Failed("connection reset".to_owned()),
    ];
    for refusal in refusals {
        let refused = Applied::Refused(refusal);
        let written = Outcome {
            objects: [
                (secret("mcollective--ie-config"), refused.clone()),
                (secret("mcollective--uk-config"), Applied::Unchanged),
            ]
            .into(),
            ..Outcome::default()
        };
        let expected = ["Deployment mcollective--ie"];
        assert_eq!(waiting(&cluster, &written, &Issued::new()), expected);
        let issued = Issued::from([(secret("mcollective--uk-tls"), refused)]);
        let expected = ["Deployment mcollective--uk"];
        assert_eq!(waiting(&cluster, &Outcome::default(), &issued), expected);
        // Whoever is to stop stops.
        cluster.declared.network.spec.sites[0].mode = serde_json::from_value(json!("Stopped")).ok();
        let is_first = cluster.declared.network.spec.sites[0].name == "ie";
        assert!(is_first && waiting(&cluster, &written, &Issued::new()).is_empty());
        cluster.declared.network.spec.sites[0].mode = None;
    }
    let other = Outcome {
        objects: [(
            secret("mcollective-keys"),
            Applied::Refused(Refusal::Former),
        )]
        .into(),
        ..Outcome::default()
    };
    assert!(waiting(&cluster, &other, &Issued::new()).is_empty());
}
