//! No change of a broker's files goes untold, whatever the edit.

mod offline;

use causeway_broker::security::password;
use causeway_operator::api::status::RestartReason;
use causeway_operator::change::{self, Change, Class};
use causeway_operator::model::ValidNetwork;
use causeway_operator::names::SiteName;
use causeway_operator::network::credentials::{self, HashCache};
use causeway_operator::network::placement;
use causeway_operator::render::{self, SiteFiles};
use offline::edits::{CLUSTER, lines, site};
use offline::{COUNTRIES, edited, valid};

fn files(network: &ValidNetwork, name: &SiteName) -> SiteFiles {
    let jobs = credentials::missing(network, &HashCache::new()).into_iter();
    // Of each password a text of its own stands for its hash.
    let hashes = jobs.map(|job| {
        let text = format!("{} {}", password::DUMMY, job.1.expose());
        (job, text)
    });
    let placement = placement::in_cluster(network, name).expect("a site");
    let mut files = render::render(network, name, &placement, &hashes.collect()).expect("rendered");
    // What all sites share is hashed into one line, whoever acts on it.
    let text = String::from_utf8(files[render::BROKER].clone()).expect("text");
    let lines = text.lines().filter(|line| !line.contains("_hash:"));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    files.insert(render::BROKER.to_owned(), text.into_bytes());
    files
}

/// Edits that reach brokers in every way there is.
fn edits() -> Vec<String> {
    let mut edits: Vec<String> = CLUSTER.iter().map(|(fields, ..)| site(fields)).collect();
    let rows = [
        ("between: [ie, uk],", "between: [ie, uk], cost: 20,"),
        ("between: [ie, uk],", "between: [ie, uk], dialer: ie,"),
        (
            "between: [ie, uk],",
            "between: [ie, uk], tuning: {heartbeat: 2s, window: 1Mi},",
        ),
        (
            "between: [ie, uk],",
            "between: [ie, uk], addresses: [{host: h, port: 7}],",
        ),
        ("between: [ie, uk],", "between: [ie, uk], state: Disabled,"),
        ("{name: ie-uk,", "{name: renamed,"),
        ("current: Afuphohxoh", "current: another-password"),
        ("{password: pI1jweRV}", "{password: another-password}"),
        ("groups: [admins, everyone]", "groups: [admins]"),
        (
            "  groups: [admins,",
            "  limits: {maxConnections: 3}\n  groups: [admins,",
        ),
        (
            "  groups: [admins,",
            "  sites: {matchLabels: {country: ie}}\n  groups: [admins,",
        ),
        (
            "metadata: {name: amq}\nspec:\n",
            "metadata: {name: amq}\nspec:\n  username: other\n",
        ),
        (
            "    entries:\n",
            "    entries:\n      - {queue: a, read: [admins]}\n",
        ),
        (
            "    entries:\n",
            "    temporary: {admin: [admins]}\n    entries:\n",
        ),
        (
            "    entries:\n",
            "    collectives: [{name: c, servers: [s], admins: [a]}]\n    entries:\n",
        ),
        (
            "  linkAuth: {mode: Password}",
            "  tls: {source: Development}\n  linkAuth: {mode: MTLS}",
        ),
        (
            "  linkAuth:",
            "  tls: {source: Secret, trustDomain: other, clientTrustBundleRef: {name: c}}\n  linkAuth:",
        ),
        ("  linkAuth:", "  deniedSites: [us]\n  linkAuth:"),
        (
            "  linkAuth:",
            "  settings: {maxConnections: 5, maxFrameSize: 1Mi, replyPatterns: [a.>], inactiveQueueAfter: 9s, logLevel: Warn}\n  linkAuth:",
        ),
        (
            "  linkAuth:",
            "  settings: {extra: {limits.subscriptions: 4096}}\n  linkAuth:",
        ),
        (
            "  linkAuth:",
            "  update: {drainConnectionsPerSecond: 9}\n  linkAuth:",
        ),
        (
            "  linkAuth:",
            "  networkPolicy: {mode: None}\n  readiness: AllLinks\n  linkAuth:",
        ),
        ("{name: ie, labels: {country: ie},", "{name: ie, id: 77,"),
        (
            "{name: us,",
            "{name: us, listeners: {stomp: {state: Closed}},",
        ),
        (
            "host: amq.us.example.com",
            "host: amq.us.example.com, port: 99",
        ),
    ];
    edits.extend(rows.map(|(from, to)| edited(from, to)));
    edits.push(COUNTRIES.to_owned());
    edits
}

/// No change of a broker's files goes untold, and what is told as live is in them or in an object.
#[test]
fn whatever_changes_the_files_of_a_broker_is_told_for_its_site() {
    let networks: Vec<ValidNetwork> = edits().iter().map(|text| valid(text)).collect();
    let (mut differing, mut same) = (0, 0);
    for old in &networks {
        for new in &networks {
            for site in change::compare(old, new) {
                let (before, after) = (files(old, &site.site), files(new, &site.site));
                let lives = site
                    .changes
                    .iter()
                    .filter(|change| change.class == Class::Live);
                let restart = &old.sites[&site.site].cluster.restart;
                let wanted = &new.sites[&site.site].cluster.restart;
                if before != after {
                    differing += 1;
                    assert!(!site.changes.is_empty(), "{} is not told", site.site);
                    let of_admin = restart.placement.admin_port != wanted.placement.admin_port;
                    assert!(
                        lives.clone().next().is_some() || of_admin,
                        "{:?}",
                        lines(&site)
                    );
                } else {
                    same += 1;
                    let of_files = |change: &&Change| change.reason.contains("files");
                    // That certificates come from elsewhere is a matter of mounts.
                    let untrue: Vec<&Change> = lives.filter(of_files).collect();
                    assert!(untrue.is_empty(), "{untrue:#?}");
                }
                let restarts = site.changes.iter().filter_map(|change| match change.class {
                    Class::Restart(reason) => Some(reason),
                    Class::Live | Class::None => None,
                });
                let mut restarts: Vec<RestartReason> = restarts.collect();
                restarts.sort();
                restarts.dedup();
                assert_eq!(restarts, site.restarts, "{:?}", lines(&site));
            }
        }
    }
    assert!(
        differing > 1_000 && same > 500,
        "{differing} differ, {same} do not"
    );
}
