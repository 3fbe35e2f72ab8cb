//! What deserves a look though it works, the worst first.

use std::collections::BTreeSet;

use k8s_openapi::jiff::SignedDuration;

use super::conditions::{Verdict, join, list};
use super::facts::{Broker, Facts};
use crate::api::condition::{ConditionType, Reason, Truth};
use crate::api::network::TlsSource;
use crate::api::status::{BrokerNetworkStatus, SiteState, SiteStatus};
use crate::finding::Subject;
use crate::labels;
use crate::model::observed::ChildKind;
use crate::model::{ValidLink, ValidNetwork};
use crate::names::{self, SiteName};
use crate::network::plan;

/// So long ago a refused claim is told of.
const RIVAL: SignedDuration = SignedDuration::from_mins(2);

/// The conditions that this one follows from.
pub struct Others<'a> {
    /// `LinksUp`.
    pub links: &'a Verdict,
    /// `PeersInSync`.
    pub peers: &'a Verdict,
    /// `TLSValid`.
    pub tls: Option<&'a Verdict>,
}

/// `Degraded`.
pub fn condition(facts: &Facts<'_>, status: &BrokerNetworkStatus, others: &Others<'_>) -> Verdict {
    let found = all(facts, status, others);
    let told = found
        .iter()
        .map(|(reason, text)| format!("{reason}: {text}"));
    match found.first() {
        Some((worst, _)) => Verdict::yes(*worst, join(told)),
        None => Verdict::no(Reason::AsExpected, "all is as it should be"),
    }
}

fn all(
    facts: &Facts<'_>,
    status: &BrokerNetworkStatus,
    others: &Others<'_>,
) -> Vec<(Reason, String)> {
    let inputs = facts.inputs;
    let mut found = Vec::new();
    let mut add = |reason, text: Option<String>| found.extend(text.map(|text| (reason, text)));
    let told = |verdict: &Verdict, truth| (verdict.truth == truth).then(|| verdict.message.clone());
    add(Reason::DuplicateSite, rivals(facts));
    add(Reason::LinkDown, told(others.links, Truth::False));
    add(Reason::SiteUnreachable, unreachable(facts, status));
    add(Reason::PeersOutOfSync, told(others.peers, Truth::False));
    let soon = others.tls.filter(|tls| tls.reason == Reason::ExpiresSoon);
    add(
        Reason::CertificateExpiresSoon,
        soon.map(|tls| tls.message.clone()),
    );
    let tls = inputs.network.spec.tls.as_ref();
    let is_development = tls.is_some_and(|tls| tls.source == TlsSource::Development);
    let development =
        "certificates come from the development authority, which is for trying things out";
    add(
        Reason::DevelopmentCA,
        is_development.then(|| development.to_owned()),
    );
    add(
        Reason::NotDialable,
        inputs.valid.and_then(|valid| not_dialable(facts, valid)),
    );
    add(Reason::TopologyWarning, inputs.valid.and_then(topology));
    add(Reason::UserErrors, users(facts));
    add(Reason::AnnotationIgnored, annotations(facts));
    let missing = list(inputs.observed.missing_fields.iter());
    add(
        Reason::CRDOutdated,
        missing.map(|fields| format!("the definitions in the cluster lack {fields}")),
    );
    found
}

/// Sites that two brokers claim, as whoever refused one of them tells, and as the one that was refused does. It tries again
/// every half minute at the latest.
fn rivals(facts: &Facts<'_>) -> Option<String> {
    let mut found = BTreeSet::new();
    for site in facts.running() {
        let Broker::Answers(view, at) = site.broker else {
            continue;
        };
        for link in &view.links {
            let age = link.rival_ms.and_then(|age| i64::try_from(age).ok());
            let is_recent = |age| {
                !facts
                    .clock
                    .has_passed(at - SignedDuration::from_millis(age), RIVAL)
            };
            if age.is_some_and(is_recent) {
                let others = format!("somebody else claims {} and was refused", link.peer);
                found.insert(own_pods(facts, &link.peer).unwrap_or(others));
            }
            if link.state == "refused" && link.reason == "duplicate_site" {
                let site = site.name.as_str();
                let others = format!("{site} runs elsewhere already");
                found.insert(own_pods(facts, site).unwrap_or(others));
            }
        }
    }
    list(found.iter())
}

/// That a site has several pods here, which claim it as two clusters would. It is remembered as long as somebody tells of the
/// claims, since the pods are gone before that.
fn own_pods(facts: &Facts<'_>, name: &str) -> Option<String> {
    let site = facts.local_site(name)?;
    let text = format!(
        "several pods of {name} run here and claim it: its Deployment was scaled by hand, or an old pod has not ended"
    );
    let before = Verdict::stored(facts.old, ConditionType::Degraded);
    let was_told = before.is_some_and(|before| before.message.contains(&text));
    (site.pods.len() > 1 || was_told).then_some(text)
}

/// Other sites that no way leads to, or that have not been heard of for three minutes.
fn unreachable(facts: &Facts<'_>, status: &BrokerNetworkStatus) -> Option<String> {
    if facts.local.is_empty() || facts.is_early() {
        return stored(facts);
    }
    let rows = status.sites.as_deref().unwrap_or_default().iter();
    let is_gone = |row: &&SiteStatus| {
        let is_cut_off = row.reachable.as_deref() == Some(Truth::False.as_str());
        !row.local && (is_cut_off || row.state == SiteState::Unknown)
    };
    let gone = rows
        .filter(|row| !facts.is_stopped(&row.name))
        .filter(is_gone);
    list(gone.map(|row| row.name.as_str()))
}

/// What was known of other sites before the operator started.
fn stored(facts: &Facts<'_>) -> Option<String> {
    let old = Verdict::stored(facts.old, ConditionType::Degraded)?;
    let start = format!("{}: ", Reason::SiteUnreachable);
    let mut parts = old.message.split("; ");
    let part = parts.find_map(|part| part.strip_prefix(&start))?;
    (!facts.local.is_empty()).then(|| part.to_owned())
}

fn users(facts: &Facts<'_>) -> Option<String> {
    let users = &facts.inputs.users;
    facts.inputs.valid?;
    let missing = (users.served < users.declared).then(|| {
        let names = list(users.left_out.iter()).map(|names| format!(", not {names}"));
        let names = names.unwrap_or_default();
        format!(
            "{} of {} users are served{names}",
            users.served, users.declared
        )
    });
    let kept = list(users.kept.iter());
    let kept = kept.map(|names| format!("still let in with what was in force: {names}"));
    let parts: Vec<String> = [missing, kept].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", and "))
}

/// Annotations that do nothing, and those that may yet do what nobody wants any more.
fn annotations(facts: &Facts<'_>) -> Option<String> {
    let findings = facts.inputs.findings.iter();
    let of_network = findings.filter(|finding| {
        finding.cause == Reason::AnnotationIgnored && finding.subject == Subject::Network
    });
    let ignored = of_network.map(|finding| {
        let help = finding.help.as_ref().map(|help| format!(" ({help})"));
        let help = help.unwrap_or_default();
        format!("{} {}{help}", finding.path, finding.reason)
    });
    let sites = plan::let_go(facts.inputs.network);
    let left = sites.filter_map(|site| left_behind(facts, site));
    list(ignored.chain(left))
}

/// A site that an annotation lets go though nothing is to be removed: if it is claimed again, and then by mistake no longer, it
/// would be gone without a question.
fn left_behind(facts: &Facts<'_>, site: &str) -> Option<String> {
    let mut sites = facts.inputs.network.spec.sites.iter();
    sites.find(|declared| declared.name == site)?;
    let key = labels::ALLOW_SITE_REMOVAL;
    if facts.local_site(site).is_some() {
        return Some(format!(
            "{key} lets {site} go, which this cluster runs: take it out"
        ));
    }
    let network = facts.inputs.network.metadata.name.as_deref();
    let name = names::site_object(network.unwrap_or_default(), site);
    let live = facts.inputs.observed.child(ChildKind::Deployment, &name);
    live.is_none()
        .then(|| format!("{key} lets {site} go, of which nothing is left here: take it out"))
}

/// L05: links that neither end can dial. Two sites of this cluster dial each other's Service (P6).
fn not_dialable(facts: &Facts<'_>, network: &ValidNetwork) -> Option<String> {
    let can_be_dialled = |link: &ValidLink, site: &SiteName| {
        let peer = link.peer_of(site);
        let peer = peer.and_then(|peer| network.sites.get(peer));
        let has_address = peer.is_some_and(|peer| peer.endpoint.is_some());
        link.may_dial(site) && (has_address || !link.addresses.is_empty())
    };
    let is_inside = |link: &ValidLink| {
        let mut ends = link.ends.iter();
        ends.all(|site| facts.inputs.local.contains(site))
    };
    let nowhere = network.links.iter().filter(|(_, link)| {
        !is_inside(link) && !link.ends.iter().any(|site| can_be_dialled(link, site))
    });
    list(nowhere.map(|(name, _)| name.as_str()))
        .map(|links| format!("no end of {links} has an address that the other could dial"))
}

/// L01: sites that no links lead to.
fn topology(network: &ValidNetwork) -> Option<String> {
    let first = network.sites.keys().next()?;
    let mut reached = BTreeSet::from([first]);
    let mut next = vec![first];
    while let Some(site) = next.pop() {
        let peers = network.links_of(site).map(|(_, _, peer)| peer);
        next.extend(peers.filter(|peer| reached.insert(peer)));
    }
    let apart = network.sites.keys().filter(|site| !reached.contains(site));
    list(apart.map(SiteName::as_str)).map(|sites| format!("no links lead from {first} to {sites}"))
}
