//! `causeway status --tls`: what links were opened with, and whether certificates are good.

use k8s_openapi::jiff::Timestamp;

use super::{age, all, condition, line, or_dash};
use crate::api::BrokerNetwork;
use crate::api::condition::ConditionType;
use crate::api::network::TlsSource;
use crate::api::status::LinkEnd;
use crate::local::table;
use crate::names;

/// The parts, some of them empty.
pub(super) fn parts(network: &BrokerNetwork, now: Timestamp) -> [String; 3] {
    [verdict(network, now), sites(network), links(network, now)]
}

/// What the operator says about the certificates of its sites; its words name those that end soon.
fn verdict(network: &BrokerNetwork, now: Timestamp) -> String {
    let Some(tls) = condition(all(network), ConditionType::TLSValid) else {
        let why = match network.spec.tls {
            None => "the network declares no spec.tls: links are authenticated by password",
            Some(_) => {
                "nothing is known of the certificates: no site of the network runs in this cluster"
            }
        };
        return format!("{why}\n");
    };
    let row = vec![
        tls.status.clone(),
        tls.reason.clone(),
        age(Some(&tls.last_transition_time), now),
        line(&tls.message),
    ];
    table::render(&["TLS VALID", "REASON", "SINCE", "MESSAGE"], &[row])
}

/// Where the certificate of each site of this cluster is, and what is said of it.
fn sites(network: &BrokerNetwork) -> String {
    let Some(tls) = &network.spec.tls else {
        return String::new();
    };
    let template = tls.secret_name_template.as_deref();
    let template = template.filter(|_| tls.source == TlsSource::Secret);
    let name = network.metadata.name.as_deref().unwrap_or_default();
    let told = condition(all(network), ConditionType::TLSValid);
    let told = told.map(|one| one.message.as_str()).unwrap_or_default();
    let status = network.status.as_ref();
    let sites = status
        .and_then(|status| status.sites.as_deref())
        .unwrap_or_default();
    let rows: Vec<Vec<String>> = sites
        .iter()
        .filter(|site| site.local)
        .map(|site| {
            vec![
                site.name.clone(),
                format!("{:?}", tls.source),
                names::certificate_secret(template, name, &site.name),
                or_dash(said_of(told, &site.name)),
            ]
        })
        .collect();
    match rows.is_empty() {
        true => String::new(),
        false => table::render(&["SITE", "SOURCE", "SECRET", "SAID OF IT"], &rows),
    }
}

/// The parts of a message that begin with a site.
fn said_of(message: &str, site: &str) -> String {
    let parts = message.split("; ");
    let own = parts.filter_map(|part| part.strip_prefix(site)?.strip_prefix(": "));
    own.map(line).collect::<Vec<_>>().join("; ")
}

/// What each end of each link was opened with, and the root that it trusts the other end by.
fn links(network: &BrokerNetwork, now: Timestamp) -> String {
    let status = network.status.as_ref();
    let links = status
        .and_then(|status| status.links.as_deref())
        .unwrap_or_default();
    let rows: Vec<Vec<String>> = links
        .iter()
        .flat_map(|link| {
            let ends = link.ends.as_deref().unwrap_or_default();
            ends.iter().map(|end| row(&link.name, end, now))
        })
        .collect();
    match rows.is_empty() {
        true => String::new(),
        false => table::render(
            &[
                "LINK",
                "SEEN FROM",
                "STATE",
                "CREDENTIAL",
                "PEER'S ROOT",
                "SEEN",
            ],
            &rows,
        ),
    }
}

fn row(link: &str, end: &LinkEnd, now: Timestamp) -> Vec<String> {
    let credential = end.credential.clone().unwrap_or_default();
    // A rotation is over when nobody uses what was before.
    let credential = match credential.as_str() {
        "Previous" => "Previous (rotation not finished)".to_owned(),
        _ => credential,
    };
    vec![
        link.to_owned(),
        end.site.clone(),
        format!("{:?}", end.state),
        or_dash(credential),
        or_dash(end.root.clone().unwrap_or_default()),
        age(end.last_seen.as_ref(), now),
    ]
}
