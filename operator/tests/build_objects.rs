//! The objects of a cluster: whose they are, what they may, and that equal input gives equal bytes.

mod cluster;

use causeway_operator::labels;
use causeway_operator::model::observed::ChildKind;
use cluster::{COUNTRIES, Cluster, NAMESPACE, UID, names, object};
use serde_json::{Value, json};

fn edited(from: &str, to: &str) -> String {
    assert!(COUNTRIES.contains(from), "{from:?} is not in the example");
    COUNTRIES.replacen(from, to, 1)
}

/// `broker.yaml` in a Secret.
fn file_of(secret: &Value) -> String {
    let text = secret["data"]["broker.yaml"].as_str().expect("is there");
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text);
    String::from_utf8(bytes.expect("is base64")).expect("is text")
}

const IE: &str = "{name: ie, labels: {country: ie}, endpoint: {host: amq.ie.example.com}}";

fn site(fields: &str) -> String {
    edited(
        IE,
        &format!(
            "{{name: ie, labels: {{country: ie}}, endpoint: {{host: amq.ie.example.com}}, {fields}}}"
        ),
    )
}

#[test]
fn a_cluster_makes_the_objects_of_its_own_sites_and_no_others() {
    let desired = Cluster::new(COUNTRIES, &["ie"]).build();
    let expected = [
        "ServiceAccount mcollective--ie",
        "Secret mcollective--ie-config",
        "Service mcollective--ie-admin",
        "Service mcollective--ie-link",
        "Service mcollective--ie-stomp",
        "NetworkPolicy mcollective--ie",
        "PodDisruptionBudget mcollective--ie",
        "Deployment mcollective--ie",
    ];
    assert_eq!(names(&desired), expected);
}

#[test]
fn a_cluster_without_a_site_of_the_network_makes_nothing() {
    let desired = Cluster::new(COUNTRIES, &["fr"]).build();
    assert!(desired.objects.is_empty(), "{:?}", names(&desired));
}

/// O14: everything is in the namespace of its network.
#[test]
fn every_object_has_its_owner_and_our_labels_and_nothing_of_a_gitops_tool() {
    let mut cluster = Cluster::new(COUNTRIES, &["*"]);
    let foreign = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    cluster.object.metadata.labels = Some(foreign(&[
        ("app.kubernetes.io/instance", "argo"),
        ("kustomize.toolkit.fluxcd.io/name", "networks"),
    ]));
    cluster.object.metadata.annotations = Some(foreign(&[(
        "argocd.argoproj.io/tracking-id",
        "argo:causeway.dev/BrokerNetwork",
    )]));
    let desired = cluster.build();
    assert_eq!(desired.objects.len(), 24);
    for (key, value) in &desired.objects {
        let meta = &value["metadata"];
        assert_eq!(meta["namespace"], NAMESPACE, "{key}");
        let owner = json!([{
            "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerNetwork", "name": "mcollective",
            "uid": UID, "controller": true,
        }]);
        assert_eq!(meta["ownerReferences"], owner, "{key}");
        assert_eq!(meta["labels"][labels::NETWORK], "mcollective", "{key}");
        assert_eq!(
            meta["labels"][labels::MANAGED_BY],
            "causeway-operator",
            "{key}"
        );
        let text = value.to_string();
        for word in ["argo", "fluxcd", "app.kubernetes.io/instance"] {
            assert!(!text.contains(word), "{key} has {word}");
        }
    }
}

#[test]
fn a_pod_is_restricted_and_holds_no_secret_but_in_its_volume() {
    let desired = Cluster::new(COUNTRIES, &["ie"]).build();
    let deployment = object(&desired, ChildKind::Deployment, "mcollective--ie");
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["enableServiceLinks"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["runAsUser"], Value::Null);
    assert_eq!(
        pod["securityContext"]["seccompProfile"]["type"],
        "RuntimeDefault"
    );
    let container = &pod["containers"][0];
    assert_eq!(
        container["securityContext"],
        json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        })
    );
    assert_eq!(container["env"], Value::Null);
    assert_eq!(container["ports"], Value::Null, "ports are live");
    assert_eq!(deployment["spec"]["strategy"], json!({"type": "Recreate"}));
    for (key, value) in &desired.objects {
        let text = value.to_string();
        let hidden = ["Afuphohxoh", "pI1jweRV", "token-of-ie"];
        if key.kind != ChildKind::Secret {
            assert!(hidden.iter().all(|secret| !text.contains(secret)), "{key}");
        }
    }
}

#[test]
fn equal_input_gives_equal_bytes_and_the_order_of_lists_is_nothing() {
    let one = Cluster::new(COUNTRIES, &["*"]).build();
    let mut cluster = Cluster::new(COUNTRIES, &["*"]);
    cluster.object.spec.sites.reverse();
    cluster.declared.network.spec.sites.reverse();
    let links = cluster
        .declared
        .network
        .spec
        .links
        .as_mut()
        .expect("has links");
    links.reverse();
    let other = cluster.build();
    let text =
        |desired: &causeway_operator::network::build::Desired| format!("{:?}", desired.objects);
    assert_eq!(text(&one), text(&other));
}

#[test]
fn sites_of_one_operator_dial_each_others_services_and_others_their_endpoints() {
    let desired = Cluster::new(COUNTRIES, &["ie", "uk"]).build();
    let secret = object(&desired, ChildKind::Secret, "mcollective--ie-config");
    let broker = file_of(secret);
    assert!(broker.contains("host: mcollective--uk-link"), "{broker}");
    assert!(broker.contains("host: amq.us.example.com"), "{broker}");
    assert!(!broker.contains("amq.uk.example.com"), "{broker}");
}

#[test]
fn services_have_the_types_that_are_declared_and_links_that_of_the_defaults() {
    let text = site(
        "listeners: {stomp: {port: 6163, service: {type: NodePort, nodePort: 31613}}, admin: {service: {type: None}}}",
    );
    let desired = Cluster::new(&text, &["ie"]).build();
    let stomp = object(&desired, ChildKind::Service, "mcollective--ie-stomp");
    assert_eq!(stomp["spec"]["type"], "NodePort");
    assert_eq!(
        stomp["spec"]["ports"],
        json!([
            {"name": "stomp", "port": 6163, "targetPort": 6163, "protocol": "TCP", "nodePort": 31613},
        ])
    );
    let link = object(&desired, ChildKind::Service, "mcollective--ie-link");
    assert_eq!(link["spec"]["type"], "LoadBalancer");
    assert!(!names(&desired).contains(&"Service mcollective--ie-admin".to_owned()));
}

#[test]
fn external_dns_is_told_of_an_endpoint_that_asks_for_it() {
    let text = edited(
        IE,
        "{name: ie, labels: {country: ie}, endpoint: {host: amq.ie.example.com, dns: ExternalDNS}}",
    );
    let desired = Cluster::new(&text, &["ie"]).build();
    let link = object(&desired, ChildKind::Service, "mcollective--ie-link");
    assert_eq!(
        link["metadata"]["annotations"][labels::EXTERNAL_DNS],
        "amq.ie.example.com"
    );
}

#[test]
fn the_policy_lets_clients_links_and_the_operator_in() {
    let desired = Cluster::new(COUNTRIES, &["ie"]).build();
    let policy = object(&desired, ChildKind::NetworkPolicy, "mcollective--ie");
    assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress"]));
    let rules = policy["spec"]["ingress"].as_array().expect("has rules");
    let ports: Vec<_> = rules
        .iter()
        .map(|rule| rule["ports"][0]["port"].clone())
        .collect();
    assert_eq!(ports, [json!(61613), json!(61618), json!(8161)]);
    assert_eq!(
        rules[0]["from"],
        Value::Null,
        "clients come from everywhere"
    );
    assert_eq!(
        rules[2]["from"],
        json!([{
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "causeway"}},
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "causeway"}},
        }])
    );
}

#[test]
fn overrides_change_what_is_the_users_and_are_refused_where_it_is_ours() {
    let text = site(
        "overrides: [{kind: Service, name: stomp, patch: {spec: {sessionAffinity: ClientIP}}}, {kind: Deployment, patch: {spec: {template: {spec: {dnsPolicy: None}}}}}]",
    );
    let desired = Cluster::new(&text, &["ie"]).build();
    let stomp = object(&desired, ChildKind::Service, "mcollective--ie-stomp");
    assert_eq!(stomp["spec"]["sessionAffinity"], "ClientIP");
    let link = object(&desired, ChildKind::Service, "mcollective--ie-link");
    assert_eq!(link["spec"]["sessionAffinity"], Value::Null);
    let deployment = object(&desired, ChildKind::Deployment, "mcollective--ie");
    assert_eq!(deployment["spec"]["template"]["spec"]["dnsPolicy"], "None");

    for patch in [
        "{kind: Deployment, patch: {spec: {selector: {matchLabels: {a: b}}}}}",
        "{kind: Deployment, patch: {spec: {template: {spec: {containers: []}}}}}",
        "{kind: Service, patch: {metadata: {name: other}}}",
        "{kind: Service, patch: {metadata: {labels: {causeway.dev/site: uk}}}}",
        "{kind: NetworkPolicy, patch: {metadata: {ownerReferences: []}}}",
    ] {
        let cluster = Cluster::new(&site(&format!("overrides: [{patch}]")), &["ie"]);
        let findings = cluster.validate().expect_err(patch);
        let cause = causeway_operator::api::condition::Reason::OverrideForbidden;
        assert!(
            findings.iter().all(|finding| finding.cause == cause),
            "{findings:#?}"
        );
    }
}

#[test]
fn certificates_and_bundles_are_mounted_and_not_copied() {
    let text = COUNTRIES.replacen(
        "  linkAuth: {mode: Password}",
        "  linkAuth: {mode: MTLS}\n  tls: {source: Secret, trustBundleRef: {name: roots}}",
        1,
    );
    let desired = Cluster::new(&text, &["ie"]).build();
    let deployment = object(&desired, ChildKind::Deployment, "mcollective--ie");
    let sources = &deployment["spec"]["template"]["spec"]["volumes"][0]["projected"]["sources"];
    assert_eq!(sources[1]["secret"]["name"], "mcollective--ie-tls");
    assert_eq!(
        sources[2]["configMap"],
        json!({
            "name": "roots", "items": [{"key": "ca.crt", "path": "ca/ca.crt"}], "optional": true,
        })
    );
    // A missing certificate keeps no file from the pod; a missing file of the broker does.
    assert_eq!(sources[1]["secret"]["optional"], true);
    assert_eq!(sources[0]["secret"]["optional"], Value::Null);
}

/// R26: the pod that serves stays until the new one has taken over from it.
#[test]
fn a_site_that_hands_over_surges_and_is_found_where_a_ready_pod_answers() {
    let desired = Cluster::new(&site("strategy: Handover"), &["ie", "uk"]).build();
    let deployment = object(&desired, ChildKind::Deployment, "mcollective--ie");
    assert_eq!(
        deployment["spec"]["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    );
    let service = object(&desired, ChildKind::Service, "mcollective--ie-handover");
    assert_eq!(service["spec"]["type"], "ClusterIP");
    assert_eq!(service["spec"]["ports"][0]["port"], 61618);
    assert_eq!(service["spec"]["publishNotReadyAddresses"], Value::Null);
    let file = |site: &str| {
        let name = format!("mcollective--{site}-config");
        file_of(object(&desired, ChildKind::Secret, &name))
    };
    assert!(file("ie").contains("handover:\n  host: mcollective--ie-handover\n  port: 61618\n"));
    // Its neighbour is as ever.
    assert!(!file("uk").contains("handover:"));
    let other = object(&desired, ChildKind::Deployment, "mcollective--uk");
    assert_eq!(other["spec"]["strategy"], json!({"type": "Recreate"}));
}

#[test]
fn a_hand_over_needs_the_link_listener() {
    let text = site("strategy: Handover, listeners: {link: {state: Closed}}");
    let findings = Cluster::new(&text, &["ie"])
        .validate()
        .expect_err("no link listener");
    let found = findings
        .iter()
        .find(|finding| finding.reason.contains("Handover needs the link listener"));
    assert!(found.is_some(), "{findings:#?}");
}
