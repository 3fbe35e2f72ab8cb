//! Which sites restart, which wait, and which are kept though nobody claims them any more.

mod cluster;

use causeway_operator::api::status::RestartReason;
use causeway_operator::client::view::{LinkView, SiteView, StatusView};
use causeway_operator::labels;
use causeway_operator::model::observed::{BrokerState, ChildKind, Observed};
use causeway_operator::model::plan::SiteAction;
use causeway_operator::names::SiteName;
use cluster::{COUNTRIES, Cluster, object};

const SITES: &str = "  sites: ";

/// The same documents with another line of the spec.
fn with(line: &str) -> String {
    COUNTRIES.replacen(SITES, &format!("  {line}\n{SITES}"), 1)
}

/// The same cluster after an edit: what there was is there.
fn after(text: &str, sites: &[&str], observed: Observed) -> Cluster {
    let mut cluster = Cluster::new(text, sites);
    cluster.observed = observed;
    cluster
}

/// A cluster where everything runs as declared, and every broker says so.
fn settled(text: &str, sites: &[&str]) -> Observed {
    let mut cluster = Cluster::new(text, sites);
    cluster.settle();
    let desired = cluster.build();
    for site in cluster.local() {
        let secret = object(
            &desired,
            ChildKind::Secret,
            &format!("mcollective--{site}-config"),
        );
        let hash = secret["metadata"]["annotations"][labels::CONFIG_HASH].as_str();
        let mut view = StatusView::default();
        view.config.applied = hash.map(str::to_owned);
        let state = BrokerState {
            view: Some(view),
            ..BrokerState::default()
        };
        cluster.observed.brokers.insert(site, state);
    }
    cluster.observed
}

fn action(cluster: &Cluster, site: &str) -> SiteAction {
    cluster.plan().plan.sites[&SiteName::new(site)].clone()
}

#[test]
fn what_is_not_there_is_made_and_what_is_there_is_left_alone() {
    assert_eq!(
        action(&Cluster::new(COUNTRIES, &["ie"]), "ie"),
        SiteAction::Create
    );
    let observed = settled(COUNTRIES, &["ie"]);
    assert_eq!(
        action(&after(COUNTRIES, &["ie"], observed), "ie"),
        SiteAction::Live
    );
}

#[test]
fn one_site_restarts_and_the_others_wait_with_the_template_they_have() {
    let observed = settled(COUNTRIES, &["*"]);
    let text = with("image: {repository: example.com/broker, tag: \"2\"}");
    let cluster = after(&text, &["*"], observed);
    let image = vec![RestartReason::Image];
    assert_eq!(action(&cluster, "ie"), SiteAction::Roll(image.clone()));
    for waiting in ["uk", "us"] {
        let behind = SiteName::new("ie");
        let reasons = image.clone();
        assert_eq!(
            action(&cluster, waiting),
            SiteAction::Wait { reasons, behind }
        );
    }
    let desired = cluster.build();
    let image = |site: &str| {
        let deployment = object(
            &desired,
            ChildKind::Deployment,
            &format!("mcollective--{site}"),
        );
        deployment["spec"]["template"]["spec"]["containers"][0]["image"].clone()
    };
    assert_eq!(image("ie"), "example.com/broker:2");
    assert_eq!(image("uk"), "causeway/causeway-broker:0.1.0");
}

#[test]
fn a_site_that_has_not_come_back_holds_up_the_next() {
    let mut observed = settled(COUNTRIES, &["*"]);
    observed.brokers.remove(&SiteName::new("uk"));
    let text = with("image: {repository: example.com/broker, tag: \"2\"}");
    let cluster = after(&text, &["*"], observed);
    let behind = SiteName::new("uk");
    let reasons = vec![RestartReason::Image];
    assert_eq!(action(&cluster, "ie"), SiteAction::Wait { reasons, behind });
}

#[test]
fn links_to_a_country_that_nobody_reaches_hold_up_nothing_and_others_do() {
    let text = with("image: {repository: example.com/broker, tag: \"2\"}");
    let far = |is_reachable: bool| {
        let mut observed = settled(COUNTRIES, &["*"]);
        let uk = observed.brokers.get_mut(&SiteName::new("uk"));
        let view = uk
            .and_then(|broker| broker.view.as_mut())
            .expect("uk answers");
        view.links = vec![LinkView {
            peer: "us".to_owned(),
            state: "down".to_owned(),
            ..LinkView::default()
        }];
        view.sites = vec![SiteView {
            site: "us".to_owned(),
            reachable: is_reachable,
            ..SiteView::default()
        }];
        action(&after(&text, &["*"], observed), "ie")
    };
    let reasons = vec![RestartReason::Image];
    assert_eq!(far(false), SiteAction::Roll(reasons.clone()));
    let behind = SiteName::new("uk");
    assert_eq!(far(true), SiteAction::Wait { reasons, behind });
}

#[test]
fn what_is_live_restarts_nothing() {
    let observed = settled(COUNTRIES, &["ie"]);
    for line in [
        "settings: {maxConnections: 7}",
        "deniedSites: [us]",
        "networkPolicy: {mode: None}",
        "update: {drainConnectionsPerSecond: 5}",
        "readiness: AllLinks",
    ] {
        let cluster = after(&with(line), &["ie"], observed.clone());
        assert_eq!(action(&cluster, "ie"), SiteAction::Live, "{line}");
    }
    let ports = COUNTRIES.replacen(
        "link: {service: {type: LoadBalancer}}",
        "link: {port: 1618, service: {type: NodePort}}\n      stomp: {port: 1613}",
        1,
    );
    assert_eq!(
        action(&after(&ports, &["ie"], observed), "ie"),
        SiteAction::Live
    );
}

#[test]
fn a_newer_operator_restarts_nothing_unless_asked() {
    let observed = settled(COUNTRIES, &["ie"]);
    let mut cluster = after(COUNTRIES, &["ie"], observed.clone());
    cluster.settings.defaults.image.reference = "causeway/causeway-broker:0.2.0".to_owned();
    let planned = cluster.plan();
    let site = SiteName::new("ie");
    assert_eq!(planned.plan.sites[&site], SiteAction::Live);
    assert!(planned.plan.pending[&site].contains(&RestartReason::Image));
    assert_eq!(
        planned.templates[&site].defaults.image.reference,
        "causeway/causeway-broker:0.1.0"
    );

    let mut cluster = after(&with("update: {policy: Automatic}"), &["ie"], observed);
    cluster.settings.defaults.image.reference = "causeway/causeway-broker:0.2.0".to_owned();
    assert_eq!(
        action(&cluster, "ie"),
        SiteAction::Roll(vec![RestartReason::Image])
    );
}

#[test]
fn a_stopped_site_keeps_everything_but_its_pod() {
    let observed = settled(COUNTRIES, &["ie"]);
    let text = COUNTRIES.replacen("{name: ie, ", "{name: ie, mode: Stopped, ", 1);
    let cluster = after(&text, &["ie"], observed);
    assert_eq!(action(&cluster, "ie"), SiteAction::Stop);
    let desired = cluster.build();
    let deployment = object(&desired, ChildKind::Deployment, "mcollective--ie");
    assert_eq!(deployment["spec"]["replicas"], 0);
    assert_eq!(desired.objects.len(), 8);
}

#[test]
fn a_site_that_is_claimed_no_longer_is_kept_until_that_is_meant() {
    let observed = settled(COUNTRIES, &["ie"]);
    let mut cluster = after(COUNTRIES, &["uk"], observed);
    assert!(cluster.plan().plan.held.contains("ie"));
    let meant = (labels::ALLOW_SITE_REMOVAL.to_owned(), "ie".to_owned());
    cluster.object.metadata.annotations = Some([meant].into());
    assert!(cluster.plan().plan.held.is_empty());
}

#[test]
fn a_site_that_git_no_longer_has_is_not_kept() {
    let observed = settled(COUNTRIES, &["ie"]);
    let without: String = COUNTRIES
        .lines()
        .filter(|line| !line.contains("name: ie,") && !line.contains("between: [ie,"))
        .filter(|line| !line.contains("link-ie-us}}}"))
        .map(|line| format!("{line}\n"))
        .collect();
    let cluster = after(&without, &["ie"], observed);
    assert!(cluster.plan().plan.held.is_empty());
}

#[test]
fn a_broker_restarts_for_certificates_once_they_are_there() {
    let observed = settled(COUNTRIES, &["ie"]);
    let tls = "tls: {source: Secret, trustBundleRef: {name: roots}}";
    let waiting = after(&with(tls), &["ie"], observed);
    assert_eq!(action(&waiting, "ie"), SiteAction::Live);
    let mounts = |cluster: &Cluster| {
        let planned = cluster.plan();
        let template = &planned.templates[&SiteName::new("ie")];
        template.restart.placement.mounts.certificate.is_some()
    };
    assert!(!mounts(&waiting), "the pod that runs has no certificates");
    let there = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: roots}\ndata: {ca.crt: roots}\n\
                 ---\napiVersion: v1\nkind: Secret\nmetadata: {name: mcollective--ie-tls}\n\
                 stringData: {tls.crt: chain, tls.key: key}\n";
    let complete = after(&(with(tls) + there), &["ie"], waiting.observed.clone());
    let placement = vec![RestartReason::Placement];
    assert_eq!(action(&complete, "ie"), SiteAction::Roll(placement));
    assert!(mounts(&complete));
}

/// How a restart is made is not a reason for one.
#[test]
fn another_strategy_restarts_nothing() {
    let observed = settled(COUNTRIES, &["ie"]);
    let defaults = "  siteDefaults:\n";
    let text = COUNTRIES.replacen(defaults, &format!("{defaults}    strategy: Handover\n"), 1);
    assert_eq!(
        action(&after(&text, &["ie"], observed), "ie"),
        SiteAction::Live
    );
}
