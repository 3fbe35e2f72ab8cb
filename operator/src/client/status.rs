//! `causeway status`: one broker's view of the whole network, as tables.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{LinkView, StatusView};
use crate::local::table;

/// So many queues a broker's page tells at most, the fullest first.
const MAX_QUEUES: usize = 1_000;

/// Everything that one view tells, as text.
#[must_use]
pub fn describe(view: &StatusView) -> String {
    let mut text = format!(
        "network {}, as {} sees it (version {}, {} connections)\n",
        view.network,
        view.site,
        view.version,
        view.connections.len()
    );
    if let Some(error) = &view.config.error {
        text.push_str(&format!("the files read last are not in force: {error}\n"));
    }
    for one in view.certs.iter().flatten() {
        if let Some(error) = &one.error {
            text.push_str(&format!("certificate {}: {error}\n", one.file));
        }
    }
    for part in [sites(view), links(view), queues(view)] {
        if !part.is_empty() {
            text.push('\n');
            text.push_str(&part);
        }
    }
    text
}

/// Sites, with what each says of its link to each other one.
fn sites(view: &StatusView) -> String {
    let mut names: BTreeSet<&str> = view.sites.iter().map(|site| site.site.as_str()).collect();
    names.insert(&view.site);
    let mut states: BTreeMap<(&str, &str), &LinkView> = BTreeMap::new();
    for link in view.all_links() {
        states.insert((&link.from, &link.peer), link);
    }
    let mut head = vec!["SITE", "REACHABLE", "CONFIG", "SPEC"];
    head.extend(names.iter().copied());
    let row = |name: &&str| {
        let other = view.sites.iter().find(|site| site.site == *name);
        let is_own = *name == view.site;
        let config = match is_own {
            true => view.config.applied.as_deref(),
            false => other.and_then(|site| site.config_hash.as_deref()),
        };
        let spec = match is_own {
            true => view.config.spec_hash.as_deref(),
            false => other.and_then(|site| site.spec_hash.as_deref()),
        };
        let is_reachable = is_own || other.is_some_and(|site| site.reachable);
        let mut cells = vec![
            (*name).to_owned(),
            if is_reachable { "yes" } else { "no" }.to_owned(),
            short(config),
            short(spec),
        ];
        cells.extend(names.iter().map(|peer| {
            let state = states.get(&(*name, *peer)).map(|link| shown(view, link));
            state.unwrap_or_else(|| if name == peer { "=" } else { "." }.to_owned())
        }));
        cells
    };
    table::render(&head, &names.iter().map(row).collect::<Vec<_>>())
}

/// The state of a link's end, and how old that is where who tells it cannot be reached.
fn shown(view: &StatusView, link: &LinkView) -> String {
    let teller = view.sites.iter().find(|site| site.site == link.from);
    match teller.filter(|site| !site.reachable) {
        None => link.state.clone(),
        Some(site) => match link.age_ms.or(site.report_age_ms) {
            Some(age) => format!("{} (seen {} s ago)", link.state, age / 1000),
            None => format!("{} (old)", link.state),
        },
    }
}

fn short(hash: Option<&str>) -> String {
    hash.map_or("?".to_owned(), |hash| hash.chars().take(10).collect())
}

fn links(view: &StatusView) -> String {
    let mut all: Vec<&LinkView> = view.all_links().collect();
    if all.is_empty() {
        return String::new();
    }
    all.sort_by_key(|link| (&link.link, &link.from));
    let row = |link: &&LinkView| {
        vec![
            link.link.clone(),
            link.from.clone(),
            link.peer.clone(),
            shown(view, link),
            link.reason.clone(),
            link.rtt_ms
                .map_or("-".to_owned(), |rtt| format!("{rtt:.1} ms")),
            if link.cost == 0 {
                "-".to_owned()
            } else {
                link.cost.to_string()
            },
        ]
    };
    let head = ["LINK", "SEEN FROM", "TO", "STATE", "REASON", "RTT", "COST"];
    table::render(&head, &all.iter().map(row).collect::<Vec<_>>())
}

/// Queues that hold or move something.
fn queues(view: &StatusView) -> String {
    let busy: Vec<Vec<String>> = view
        .queues
        .iter()
        .filter(|queue| queue.depth > 0 || queue.consumers > 0)
        .map(|queue| {
            vec![
                queue.name.clone(),
                queue.depth.to_string(),
                queue.consumers.to_string(),
                format!("{:.1}/s", queue.in_rate),
                format!("{:.1}/s", queue.out_rate),
            ]
        })
        .collect();
    if busy.is_empty() {
        return String::new();
    }
    let mut text = table::render(&["QUEUE", "DEPTH", "CONSUMERS", "IN", "OUT"], &busy);
    if view.queues.len() >= MAX_QUEUES {
        text.push_str(&format!(
            "the {MAX_QUEUES} fullest queues: a page tells no more, and there may be others\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_site_told_that_is_unreachable_now_is_marked_as_old() {
        let page = serde_json::json!({
            "network": "n", "site": "ie",
            "links": [{"link": "ie-uk", "from": "ie", "peer": "uk", "state": "down"}],
            "sites": [{"site": "uk", "reachable": false, "reportAgeMs": 12_700, "links": [
                {"link": "ie-uk", "from": "uk", "peer": "ie", "state": "up", "ageMs": 12_700},
                {"link": "uk-us", "from": "uk", "peer": "us", "state": "up"},
            ]}],
        });
        let view = StatusView::parse(page.to_string().as_bytes()).expect("a page");
        let text = describe(&view);
        for row in [
            "ie-uk  ie         uk  down",
            "ie-uk  uk         ie  up (seen 12 s ago)",
            "uk-us  uk         us  up (seen 12 s ago)",
            "uk    no         ?       ?     up (seen 12 s ago)  =",
        ] {
            assert!(text.contains(row), "{row} is missing in\n{text}");
        }
    }

    #[test]
    fn a_certificate_is_told_of_where_something_is_wrong_with_it() {
        let page = serde_json::json!({"certs": [
            {"file": "tls/tls.crt", "subject": "CN=a", "sans": [], "notAfter": "2026-01-01T00:00:00Z",
             "problem": "expired", "error": "has ended at 2026-01-01T00:00:00Z"},
            {"file": "good.crt", "problem": null, "error": null},
        ]});
        let view = StatusView::parse(page.to_string().as_bytes()).expect("a page");
        let text = describe(&view);
        let line = "certificate tls/tls.crt: has ended at 2026-01-01T00:00:00Z\n";
        assert!(text.contains(line) && !text.contains("good.crt"), "{text}");
    }

    #[test]
    fn a_page_that_is_full_of_queues_says_so() {
        let told = |count: usize| {
            let queues = (0..count)
                .map(|number| serde_json::json!({"name": format!("q{number}"), "depth": 1}));
            let page = serde_json::json!({"queues": queues.collect::<Vec<_>>()});
            let view = StatusView::parse(page.to_string().as_bytes()).expect("a page");
            describe(&view).contains("there may be others")
        };
        assert!(!told(999) && told(1_000));
    }

    #[test]
    fn links_are_shown_from_both_ends_and_sites_in_a_matrix() {
        let page = serde_json::json!({
            "revision": 3, "network": "n", "site": "ie", "version": "1", "new": true,
            "config": {"applied": "0123456789abcdef", "specHash": "1:aa"},
            "links": [{"link": "ie-uk", "from": "ie", "peer": "uk", "state": "up", "rttMs": 0.44, "cost": 10}],
            "sites": [{"site": "uk", "reachable": true, "configHash": "ff", "links": [
                {"link": "ie-uk", "from": "uk", "peer": "ie", "state": "connecting", "reason": "sync", "cost": 10},
            ]}],
            "queues": [{"name": "q", "depth": 2, "consumers": 0}, {"name": "idle"}],
        });
        let view = StatusView::parse(page.to_string().as_bytes()).expect("a page");
        let expected = "\
network n, as ie sees it (version 1, 0 connections)

SITE  REACHABLE  CONFIG      SPEC  ie          uk
ie    yes        0123456789  1:aa  =           up
uk    yes        ff          ?     connecting  =

LINK   SEEN FROM  TO  STATE       REASON  RTT     COST
ie-uk  ie         uk  up                  0.4 ms  10
ie-uk  uk         ie  connecting  sync    -       10

QUEUE  DEPTH  CONSUMERS  IN     OUT
q      2      0          0.0/s  0.0/s
";
        assert_eq!(describe(&view), expected);
    }
}
