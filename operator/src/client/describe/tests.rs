use super::*;
use crate::api::status::SiteStatus;

const NOW: &str = "2026-11-22T20:10:00Z";

fn shown(tls: bool) -> Shown {
    Shown {
        tls,
        now: NOW.parse().expect("a time"),
    }
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-22T20:00:00Z", "observedGeneration": 7,
    })
}

fn running() -> BrokerNetwork {
    let since = "2026-11-22T20:09:30Z";
    let network = json!({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerNetwork",
        "metadata": {
            "name": "mcollective", "namespace": "amq", "generation": 7,
            "creationTimestamp": "2026-11-20T20:00:00Z",
        },
        "spec": {"sites": [{"name": "ie"}, {"name": "us"}], "tls": {"source": "Secret"}},
        "status": {
            "observedGeneration": 7,
            "operator": {"namespace": "causeway", "name": "causeway-operator", "version": "0.1.0"},
            "summary": {"sites": "2/2", "links": "0/1", "users": "1/2"},
            "sites": [
                {"name": "ie", "local": true, "state": "Running", "inSync": "True", "lastSeen": since,
                 "config": {"desired": "a1b2c3d4e5f6", "applied": "a1b2c3d4e5f6"},
                 "restartPending": ["Image", "Resources"],
                 "addresses": [{"listener": "link", "host": "203.0.113.7", "port": 61618}]},
                {"name": "us", "local": false, "state": "Running", "inSync": "False",
                 "reachable": "True", "via": "uk", "hops": 2},
            ],
            "links": [{"name": "ie-us", "state": "Down", "ends": [
                {"site": "ie", "role": "Dialer", "state": "Down", "since": since, "rtt": "23ms", "pending": 4,
                 "credential": "Certificate", "root": "0f1e2d", "lastError": "connection\nrefused"},
                {"site": "us", "role": "Acceptor", "state": "Unknown", "credential": "Previous"},
            ]}],
            "conditions": [
                condition("LinksUp", "False", "LinkDown", "ie-us is down"),
                condition("Ready", "True", "AllSitesReady", "every site is ready"),
                condition("TLSValid", "True", "ExpiresSoon", "ie: ends at 2026-11-30T00:00:00Z; uk: ends soon"),
            ],
        },
    });
    serde_json::from_value(network).expect("a network")
}

fn user(name: &str, network: &str, conditions: &Value) -> BrokerUser {
    let user = json!({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerUser",
        "metadata": {"name": name, "namespace": "amq", "generation": 7},
        "spec": {"networkRef": {"name": network}, "username": format!("{name}-login"),
                 "credentials": {"type": "Password", "secretRef": {"name": "s"}}},
        "status": {"observedGeneration": 7, "conditions": conditions},
    });
    serde_json::from_value(user).expect("a user")
}

#[test]
fn a_network_is_told_with_conditions_sites_links_and_users_that_are_not_in_force() {
    let wrong = json!([
        condition("Ready", "False", "Stalled", "see Stalled"),
        condition("Stalled", "True", "SecretNotFound", "there is no Secret s"),
    ]);
    let users = [
        user(
            "good",
            "mcollective",
            &json!([condition("Ready", "True", "Applied", "")]),
        ),
        user("bad", "mcollective", &wrong),
        user("new", "mcollective", &json!([])),
        user("foreign", "other", &wrong),
    ];
    let expected = "\
network mcollective in amq, generation 7, seen by causeway/causeway-operator 0.1.0
sites 2/2, links 0/1, users 1/2

CONDITION  STATUS  REASON         SINCE  MESSAGE
Ready      True    AllSitesReady  10m    every site is ready
LinksUp    False   LinkDown       10m    ie-us is down
TLSValid   True    ExpiresSoon    10m    ie: ends at 2026-11-30T00:00:00Z; uk: ends soon

SITE  RUNS       STATE    IN SYNC  CONFIG              RESTART PENDING  WAY               ADDRESSES               SEEN
ie    here       Running  True     applied a1b2c3d4e5  Image,Resources  -                 link 203.0.113.7:61618  30s
us    elsewhere  Running  False    -                   -                over uk, 2 links  -                       -

LINK   STATE  SEEN FROM  ROLE      STATE    SINCE  RTT   PENDING  ERROR
ie-us  Down   ie         Dialer    Down     30s    23ms  4        connection refused
              us         Acceptor  Unknown  -      -     -        -

USER NOT IN FORCE  LOGIN      SITES  REASON          MESSAGE
bad                bad-login  -      SecretNotFound  there is no Secret s
1 user has no status
";
    assert_eq!(network(&running(), &users, shown(false)), expected);
    assert!(is_ready(&running()));
}

#[test]
fn certificates_and_credentials_are_told_for_each_site_and_each_end_of_a_link() {
    let expected = "\
network mcollective in amq, generation 7, seen by causeway/causeway-operator 0.1.0
sites 2/2, links 0/1, users 1/2

TLS VALID  REASON       SINCE  MESSAGE
True       ExpiresSoon  10m    ie: ends at 2026-11-30T00:00:00Z; uk: ends soon

SITE  SOURCE  SECRET               SAID OF IT
ie    Secret  mcollective--ie-tls  ends at 2026-11-30T00:00:00Z

LINK   SEEN FROM  STATE    CREDENTIAL                        PEER'S ROOT  SEEN
ie-us  ie         Down     Certificate                       0f1e2d       -
ie-us  us         Unknown  Previous (rotation not finished)  -            -
";
    assert_eq!(network(&running(), &[], shown(true)), expected);
}

#[test]
fn a_status_of_an_earlier_generation_is_said_to_be_one_and_is_not_ready() {
    let mut changed = running();
    changed.metadata.generation = Some(8);
    let text = network(&changed, &[], shown(false));
    assert!(
        text.contains("what follows is about generation 7"),
        "{text}"
    );
    assert!(!is_ready(&changed));
}

#[test]
fn a_user_that_was_changed_since_an_operator_looked_at_it_is_told_as_not_in_force() {
    let applied = json!([condition("Ready", "True", "Applied", "")]);
    let mut changed = user("amq", "mcollective", &applied);
    assert!(is_user_observed(&changed));
    changed.metadata.generation = Some(8);
    assert!(!is_user_observed(&changed));
    let text = network(&running(), std::slice::from_ref(&changed), shown(false));
    let expected = "NotObserved  no operator has looked at generation 8 yet; its status is about 7";
    assert!(text.contains(expected), "{text}");
    let operator = ("causeway".to_owned(), "causeway-operator".to_owned());
    let gone = crate::client::operators::Heard::NotSince(NOW.parse().ok());
    let operators = Operators::new([(operator, gone)]);
    let json = &json(&[running()], &[changed], &operators)["networks"][0];
    let expected = json!({"heard": false, "since": NOW});
    assert_eq!(json["operator"], expected);
    assert_eq!(json["users"][0]["observed"], false);
}

#[test]
fn a_network_that_nobody_has_looked_at_says_so() {
    let mut new = running();
    new.status = serde_json::from_value(json!({"observedGeneration": -1})).ok();
    let expected = "\
network mcollective in amq, generation 7
no operator has looked at it yet: is one installed that watches this namespace?
";
    assert_eq!(network(&new, &[], shown(false)), expected);
    assert!(!is_ready(&new));
}

#[test]
fn a_site_that_does_not_run_its_files_says_since_when_or_why() {
    let site = |config: Value| {
        let site = json!({"name": "ie", "local": true, "state": "Running", "inSync": "True", "config": config});
        let site: SiteStatus = serde_json::from_value(site).expect("a site");
        sites::config(&site, shown(false).now)
    };
    let since = "2026-11-22T19:00:00Z";
    let pending = site(json!({"desired": "new", "applied": "old", "pendingSince": since}));
    assert_eq!(pending, "old, new pending for 70m");
    let refused =
        site(json!({"desired": "new", "applied": "old", "error": "users.yaml:\n 1: bad"}));
    assert_eq!(refused, "refused: users.yaml: 1: bad");
    assert_eq!(site(json!({"desired": "new"})), "new pending");
}

#[test]
fn several_networks_are_a_line_each() {
    let text = overview(&[running()], shown(false).now);
    let expected = "\
NAMESPACE  NAME         READY  REASON         SITES  LINKS  USERS  AGE
amq        mcollective  True   AllSitesReady  2/2    0/1    1/2    2d
";
    assert!(text.starts_with(expected), "{text}");
}
