//! What an edit changes: nothing that a site acts on is missed, and what restarts is what the operator restarts.

mod offline;

use std::collections::BTreeMap;

use causeway_operator::api::status::RestartReason;
use causeway_operator::change::{self, Class, Fate, SiteChange};
use offline::edits::{CLUSTER, IE, lines, site};
use offline::{COUNTRIES, edited, loaded, valid};

fn changes(old: &str, new: &str) -> BTreeMap<String, SiteChange> {
    let sites = change::compare(&valid(old), &valid(new));
    sites
        .into_iter()
        .map(|site| (site.site.to_string(), site))
        .collect()
}

fn of_ie(new: &str) -> Vec<String> {
    lines(&changes(COUNTRIES, new)["ie"])
}

#[test]
fn the_same_documents_change_nothing() {
    let found = changes(COUNTRIES, COUNTRIES);
    assert_eq!(found.len(), 3);
    for site in found.values() {
        assert_eq!(
            (site.fate, site.restarts.len(), site.changes.len()),
            (Fate::Kept, 0, 0)
        );
    }
    let other_order = edited(
        "read: [admins], write: [admins], admin: [admins]}\n      - {topic",
        "admin: [admins], write: [admins], read: [admins]}\n      - {topic",
    );
    assert_eq!(
        of_ie(&other_order),
        [""; 0],
        "the order of lists is nothing"
    );
}

#[test]
fn a_link_changes_at_both_ends_and_nowhere_else() {
    let found = changes(
        COUNTRIES,
        &edited("between: [ie, uk],", "between: [ie, uk], cost: 20,"),
    );
    let expected = ["live links[ie-uk].cost: 10 -> 20"];
    assert_eq!(lines(&found["ie"]), expected);
    assert_eq!(lines(&found["uk"]), expected);
    assert_eq!(lines(&found["us"]), [""; 0]);
    let gone = changes(
        COUNTRIES,
        &edited("between: [ie, uk],", "between: [ie, uk], state: Disabled,"),
    );
    assert_eq!(
        lines(&gone["uk"]),
        ["live links[ie-uk]: to ie -> -"],
        "its fields go with it"
    );
}

#[test]
fn an_endpoint_is_nothing_to_its_own_broker_and_live_where_it_is_dialled() {
    let found = changes(
        COUNTRIES,
        &edited("host: amq.ie.example.com", "host: new.example.com"),
    );
    let (old, new) = ("amq.ie.example.com:61618", "new.example.com:61618");
    assert_eq!(
        lines(&found["ie"]),
        [format!("none endpoint: {old} -> {new}")]
    );
    assert_eq!(
        lines(&found["uk"]),
        [format!("live links[ie-uk].addresses: {old} -> {new}")]
    );
    let label = of_ie(&edited("{country: ie}", "{country: eire}"));
    assert_eq!(label, ["none labels.country: ie -> eire"]);
}

#[test]
fn secrets_that_change_are_told_and_not_shown() {
    let found = of_ie(&edited("current: Afuphohxoh", "current: another-password"));
    assert_eq!(found, ["live links[ie-uk].credentials: - -> -"]);
    let user = of_ie(&edited(
        "{password: pI1jweRV}",
        "{password: another-password}",
    ));
    assert_eq!(user, ["live users[mcollective].credentials: - -> -"]);
    let debug = format!(
        "{:?}",
        changes(
            COUNTRIES,
            &edited("current: Afuphohxoh", "current: another-password")
        )
    );
    assert!(!debug.contains("another-password") && !debug.contains("Afuphohxoh"));
    // Secrets that are not in the files say nothing.
    let (bare, _) = COUNTRIES.split_once("kind: Secret").expect("secrets");
    let bare = bare.rsplit_once("---").expect("a document").0;
    assert_eq!(of_ie(bare), [""; 0]);
}

#[test]
fn rights_users_and_settings_are_live() {
    let rows = [
        (
            edited(
                "    entries:\n",
                "    entries:\n      - {topic: a, read: [admins]}\n",
            ),
            "live authorization.entries[topic a: read [admins] write [] admin []]: - -> ",
        ),
        (
            edited("groups: [admins, everyone]", "groups: [admins]"),
            "live users[amq].groups: admins, everyone -> admins",
        ),
        (
            edited(
                "  groups: [admins, everyone]",
                "  state: Suspended\n  groups: [admins, everyone]",
            ),
            "live users[amq]: Active -> Suspended",
        ),
        (
            edited(
                "  groups: [admins,",
                "  permissions: [{queue: q, operations: [Read], effect: Deny}]\n  groups: [admins,",
            ),
            "live users[amq].permissions[Deny Read queue q]: - -> ",
        ),
        (
            edited(
                "  groups: [admins,",
                "  sites: {names: [uk]}\n  groups: [admins,",
            ),
            "live users[amq]: Active -> -",
        ),
        (
            edited(
                "  linkAuth:",
                "  settings: {logLevel: Debug, extra: {limits.subscriptions: 4096}}\n  linkAuth:",
            ),
            "live settings.extra[limits.subscriptions]: - -> 4096|live settings.logLevel: - -> Debug",
        ),
        (
            edited("  linkAuth:", "  deniedSites: [us]\n  linkAuth:"),
            "live deniedSites: - -> us",
        ),
        (
            edited(
                "  linkAuth:",
                "  readiness: AllLinks\n  update: {policy: Automatic}\n  linkAuth:",
            ),
            "none readiness: Local -> AllLinks|none update.policy: Manual -> Automatic",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(of_ie(&text).join("|"), expected);
    }
}

#[test]
fn what_restarts_is_the_closed_list() {
    for (fields, path, restart) in CLUSTER {
        let found = changes(COUNTRIES, &site(fields));
        let ie = &found["ie"];
        let change = ie.changes.iter().find(|change| change.path == path);
        let change = change.unwrap_or_else(|| panic!("{fields}: {:?}", lines(ie)));
        match restart {
            Some(reason) => {
                assert_eq!(
                    (change.class, &ie.restarts),
                    (Class::Restart(reason), &vec![reason]),
                    "{fields}"
                );
            }
            None => assert_eq!(
                (change.class, ie.restarts.len()),
                (Class::Live, 0),
                "{fields}"
            ),
        }
        assert_eq!(found["uk"].restarts, [], "{fields}");
        // The other way round it is the same, but for an image that is no longer named.
        let back = &changes(&site(fields), COUNTRIES)["ie"];
        let expected = restart.filter(|reason| *reason != RestartReason::Image);
        assert_eq!(back.restarts, Vec::from_iter(expected), "{fields}");
        assert!(!back.changes.is_empty(), "{fields}");
    }
}

#[test]
fn a_broker_that_does_not_run_is_not_restarted() {
    let stopped = site("mode: Stopped");
    let found = changes(COUNTRIES, &stopped);
    assert_eq!(
        (found["ie"].fate, found["ie"].restarts.len()),
        (Fate::Stopped, 0)
    );
    let both = changes(&stopped, &site("mode: Stopped, nodeSelector: {a: b}"));
    assert_eq!(both["ie"].fate, Fate::Kept);
    assert_eq!(both["ie"].restarts, []);
    assert_eq!(both["ie"].changes[0].class, Class::None);
    assert_eq!(changes(&stopped, COUNTRIES)["ie"].fate, Fate::Started);
}

#[test]
fn sites_come_and_go_with_their_objects() {
    let more = edited(IE, &format!("{IE}\n    - {{name: de}}"));
    let found = changes(COUNTRIES, &more);
    assert_eq!(found["de"].fate, Fate::Created);
    assert_eq!(lines(&found["ie"]), ["live sites[de]: - -> derived id"]);
    let (old, new) = (loaded(COUNTRIES), loaded(&more));
    let pair = |loaded: &'static causeway_operator::network::load::Loaded| {
        (&loaded.declared, &loaded.network)
    };
    let (old, new): (&'static _, &'static _) = (Box::leak(Box::new(old)), Box::leak(Box::new(new)));
    let objects = change::objects(Some(pair(old)), pair(new), |_| true);
    let expected = [
        "ServiceAccount mcollective--de",
        "Secret mcollective--de-config",
        "Secret mcollective--de-keys",
        "Service mcollective--de-admin",
        "Service mcollective--de-link",
        "Service mcollective--de-stomp",
        "NetworkPolicy mcollective--de",
        "PodDisruptionBudget mcollective--de",
        "Deployment mcollective--de",
    ];
    assert_eq!(objects.created, expected);
    assert_eq!(objects.removed, [""; 0]);
    let back = change::objects(Some(pair(new)), pair(old), |_| true);
    assert_eq!((back.removed.len(), back.created.len()), (9, 0));
    let none = change::objects(Some(pair(old)), pair(new), |site| site.as_str() == "ie");
    assert_eq!(none, Default::default());
    assert_eq!(changes(&more, COUNTRIES)["de"].fate, Fate::Removed);
}

#[test]
fn what_may_not_change_is_refused() {
    let refused = |old: &str, new: &str| {
        let (old, new) = (loaded(old), loaded(new));
        let findings = change::refusals(&old.declared, &new.declared);
        findings
            .into_iter()
            .map(|finding| format!("{:?} {}: {}", finding.subject, finding.path, finding.reason))
            .collect::<Vec<_>>()
            .join("|")
    };
    assert_eq!(refused(COUNTRIES, &site("id: 7")), "");
    let found = refused(&site("id: 7"), &site("id: 8"));
    let expected = "Network spec.sites[0].id: sites[].id is immutable: that of site ie is 7 and cannot become 8";
    assert_eq!(found, expected);
    let found = refused(&site("id: 7"), COUNTRIES);
    assert!(
        found.ends_with("of site ie is 7 and cannot be taken away"),
        "{found}"
    );
    let renamed = edited(
        "metadata: {name: amq}\nspec:\n",
        "metadata: {name: amq}\nspec:\n  username: other\n",
    );
    let found = refused(COUNTRIES, &renamed);
    assert!(
        found.contains("User(\"amq\")") && found.contains("username is immutable"),
        "{found}"
    );
}
