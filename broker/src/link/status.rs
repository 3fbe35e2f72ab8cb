//! The mesh in logs, metrics and `/status`.

use serde_json::{Value, json};

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::certs;
use super::conn::Conn;
use super::node::Node;
use crate::clock;
use crate::mesh::core::word;
use crate::mesh::event::{Counter, MeshLog};
use crate::mesh::ids::{Instance, LinkId};
use crate::mesh::report::{Report, Role};
use crate::mesh::routes::Routes;
use crate::mesh::session::LinkState;
use crate::mesh::status::{LinkStatus, MeshStatus, SiteStatus};
use crate::metrics::Peer;

/// Refusals shown.
const MAX_REFUSALS: usize = 16;

/// Writes what the control plane wants people to know.
pub fn log(entry: &MeshLog) {
    match entry {
        MeshLog::Link {
            link,
            peer,
            old,
            new,
            reason,
        } => {
            tracing::info!(
                link,
                peer,
                from = old.word(),
                to = new.word(),
                reason,
                "link state"
            );
        }
        MeshLog::Refused {
            link,
            reason: why,
            detail,
        } => {
            tracing::warn!(link, reason = word(*why), detail, "link refused");
        }
        MeshLog::SidConflict { keeps, loses } => {
            tracing::error!(
                keeps,
                loses,
                "two sites have one id: give one of them an id of its own"
            );
        }
        MeshLog::Rival { site } => tracing::error!(site, "somebody else runs this site too"),
        MeshLog::ClockSkew { peer, skew_ms } => {
            tracing::warn!(peer, skew_ms, "the clocks of two sites differ");
        }
    }
}

impl Node {
    /// Shows the state of each link and each site as metrics.
    pub(super) fn show_states(&self) {
        let status = self.with_core(|core| core.status(super::node::now()));
        self.show_peers(&status);
        let links = &self.broker.metrics.links;
        links.state_info.reset();
        for link in status.links {
            let labels = [link.name.as_str(), link.peer.as_str()];
            links.up.with_label_values(&labels).set(i64::from(matches!(
                link.state,
                LinkState::Up | LinkState::Throttled
            )));
            let state = [
                link.name.as_str(),
                link.peer.as_str(),
                link.state.word(),
                link.reason,
            ];
            links.state_info.with_label_values(&state).set(1);
        }
    }

    /// Every site that is configured has series, whether it was ever heard of or not.
    fn show_peers(&self, status: &MeshStatus) {
        let config = self.broker.config();
        let names = config.broker.sites.iter().map(|site| site.name.as_str());
        let others: BTreeSet<&str> = names.filter(|name| *name != status.site).collect();
        let peers = &self.broker.metrics.peers;
        for name in &others {
            let mut claims = status.sites.iter();
            let claim = claims.find(|one| one.site == *name && !one.is_rival);
            peers.show(
                name,
                claim.map_or_else(Peer::default, |one| peer(status, one)),
            );
        }
        peers.keep(&others);
    }

    /// Counts what the control plane counts.
    pub(super) fn count(&self, counter: Counter, by: u64) {
        let metrics = &self.broker.metrics;
        match counter {
            Counter::Connects(link) => {
                if let Some(link) = self.link(link) {
                    let labels = [link.name.as_str(), link.peer.as_str()];
                    metrics.links.connects.with_label_values(&labels).inc_by(by);
                    metrics
                        .links
                        .last_connect
                        .with_label_values(&labels)
                        .set(clock::wall_ms() / 1000);
                }
            }
            Counter::Renewals(link) => self.count_renewals(link, "done", by),
            Counter::RenewalFailures(link) => self.count_renewals(link, "failed", by),
            Counter::RoundTripMicros(link) => {
                if let Some(link) = self.link(link) {
                    link.note_rtt(by);
                    let labels = [link.name.as_str(), link.peer.as_str()];
                    metrics
                        .links
                        .rtt
                        .with_label_values(&labels)
                        .observe(by as f64 / 1e6);
                }
            }
            Counter::Disconnects(reason) => {
                metrics
                    .mesh_disconnects
                    .with_label_values(&[reason])
                    .inc_by(by);
            }
            Counter::Refusals(reason) => {
                metrics
                    .mesh_refusals
                    .with_label_values(&[word(reason)])
                    .inc_by(by);
            }
            Counter::SpfRuns => metrics.mesh_spf_runs.inc_by(by),
            Counter::ProbeFailures(bid) => {
                let routes = self.routes.load();
                let mut sites = routes.sites().iter();
                if let Some(site) = sites.find(|site| site.id.bid == bid) {
                    let failures = &metrics.peers.probe_failures;
                    failures.with_label_values(&[&*site.site]).inc_by(by);
                }
            }
            Counter::NotCredible
            | Counter::OverLimit
            | Counter::SidConflict
            | Counter::Rivals
            | Counter::ProbeMicros(_) => {}
        }
    }

    fn count_renewals(&self, link: LinkId, result: &str, by: u64) {
        if let Some(link) = self.link(link) {
            let labels = [link.name.as_str(), link.peer.as_str(), result];
            let renewals = &self.broker.metrics.links.renewals;
            renewals.with_label_values(&labels).inc_by(by);
        }
    }

    /// Shows how many sites can be reached.
    pub(super) fn show_sites(&self, routes: &Routes) {
        let reachable = routes
            .sites()
            .iter()
            .filter(|site| site.way.is_some())
            .count();
        let all = routes.sites().len();
        let gauge = |state: &str, count: usize| {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            self.broker
                .metrics
                .mesh_sites
                .with_label_values(&[state])
                .set(count);
        };
        gauge("reachable", reachable);
        gauge("unreachable", all - reachable);
    }

    /// Wakes who waits for another `/status`.
    pub(super) fn show(&self, revision: u64) {
        if self.revision.swap(revision, Ordering::Relaxed) != revision {
            self.broker.changes.note();
        }
    }

    /// Counts bytes that were written to a link.
    pub(super) fn count_sent(&self, conn: &Conn, bytes: usize) {
        if let Some(link) = conn.link() {
            link.counters.bytes_out.inc_by(bytes as u64);
        }
    }

    /// Logs what people should know, and keeps the latest refusals for `/status`.
    pub(super) fn note(&self, entry: &MeshLog) {
        log(entry);
        if let MeshLog::Refused {
            link,
            reason: why,
            detail,
        } = entry
        {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            if refusals.len() == MAX_REFUSALS {
                refusals.pop_front();
            }
            refusals.push_back(json!({
                "at": clock::rfc3339(clock::wall_ms()),
                "link": link,
                "reason": word(*why),
                "detail": detail,
            }));
        }
    }

    /// Adds links and sites to `/status`.
    pub fn add_status(&self, value: &mut Value) {
        let status = self.with_core(|core| core.status(super::node::now()));
        let site = status.site.clone();
        value["certs"] = certs::describe(&self.broker.config(), &self.verifier.load()).into();
        value["links"] = status
            .links
            .iter()
            .map(|link| own_link(&site, link))
            .collect();
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        value["refusals"] = refusals.iter().cloned().collect();
        drop(refusals);
        value["generation"] = json!(status.generation);
        value["interest"] = json!({"local": status.local_entries, "remote": status.remote_entries});
        let others = status.sites.iter().filter(|other| other.site != site);
        value["sites"] = others
            .map(|other| {
                let report = status.reports.iter().find(|report| report.bid == other.bid);
                json!({
                    "site": other.site,
                    "sid": other.sid.0,
                    "reachable": other.is_reachable,
                    "rival": other.is_rival,
                    "leaving": other.is_leaving,
                    "instance": uuid(other.instance),
                    "via": other.via,
                    "hops": other.hops,
                    "distance": other.distance,
                    "epoch": other.epoch.0,
                    "iseq": other.iseq,
                    "entries": other.entries,
                    "configHash": report.map(|known| known.report.config_hash.clone()),
                    "specHash": report.map(|known| known.report.spec_hash.clone()),
                    "usersHash": report.map(|known| known.report.users_hash.clone()),
                    "certNotAfter": report.and_then(|known| date(known.report.cert_not_after)),
                    "state": report.map(|known| word_of(known.report.state())),
                    "version": report.map(|known| known.report.software.clone()),
                    "reportAgeMs": report.map(|known| millis(known.age)),
                    "links": report.map_or_else(Vec::new, |known| reported_links(&known.report, known.age)),
                })
            })
            .collect();
    }
}

/// A word of an enumeration.
fn word_of(variant: impl std::fmt::Debug) -> String {
    format!("{variant:?}").to_lowercase()
}

/// A time in Unix seconds as people read it; 0 is none.
fn date(seconds: i64) -> Option<String> {
    (seconds != 0).then(|| clock::rfc3339(seconds.saturating_mul(1000)))
}

/// A claim id as it is written.
fn uuid(instance: Instance) -> String {
    let hex: String = instance
        .0
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    let parts = parts.map(|part| hex.get(part).unwrap_or_default().to_owned());
    parts.join("-")
}

fn peer(status: &MeshStatus, claim: &SiteStatus) -> Peer {
    let mut reports = status.reports.iter();
    let report = reports.find(|known| known.bid == claim.bid);
    let is_back = claim.is_reachable && !claim.probe.has_failed;
    Peer {
        has_same_spec: report.map(|known| known.report.spec_hash == status.spec_hash),
        trip: claim.probe.trip.filter(|_| is_back),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn own_link(site: &str, link: &LinkStatus) -> Value {
    json!({
        "link": link.name,
        "from": site,
        "peer": link.peer,
        "state": link.state.word(),
        "reason": link.reason,
        "cost": link.cost,
        "sinceMs": millis(link.since),
        "rttMs": link.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
        "role": word_of(if link.is_dialler { Role::Dialer } else { Role::Acceptor }),
        "credential": word_of(link.credential),
        "root": link.root,
        "sameSpec": link.has_same_spec,
        "pending": link.pending,
        "lastError": link.last_error,
        "rivalMs": link.rival.map(millis),
    })
}

/// What a site told of its links, as old as its report.
fn reported_links(report: &Report, age: Duration) -> Vec<Value> {
    let age = millis(age);
    report
        .links
        .iter()
        .map(|link| {
            json!({
                "link": link.name,
                "from": report.site,
                "peer": link.peer,
                "state": link.state().word(),
                "reason": link.reason,
                "sinceMs": link.state_ms.saturating_add(age),
                "rttMs": (link.rtt_us > 0).then(|| f64::from(link.rtt_us) / 1000.0),
                "role": word_of(link.role()),
                "credential": word_of(link.credential()),
                "root": Some(&link.root).filter(|root| !root.is_empty()),
                "pending": link.pending,
                "lastError": link.last_error,
                "ageMs": age,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mesh::ids::LinkId;
    use crate::mesh::report::LinkReport;
    use crate::mesh::session::Credential;

    #[test]
    fn an_own_end_is_told_with_its_role_its_credential_and_the_root_of_the_peer() {
        let mut link = LinkStatus {
            id: LinkId(0),
            name: "a-b".to_owned(),
            peer: "b".to_owned(),
            cost: 10,
            is_dialler: true,
            state: LinkState::Up,
            reason: "",
            since: Duration::from_secs(1),
            rtt: None,
            credential: Credential::Certificate,
            root: Some("0123456789abcdef".to_owned()),
            is_plain: false,
            has_same_spec: None,
            pending: 0,
            last_error: String::new(),
            rival: None,
        };
        let told = own_link("a", &link);
        assert_eq!(
            [&told["role"], &told["credential"], &told["root"]],
            ["dialer", "certificate", "0123456789abcdef"]
        );
        (link.is_dialler, link.root) = (false, None);
        let told = own_link("a", &link);
        assert_eq!(
            (&told["role"], &told["root"]),
            (&json!("acceptor"), &Value::Null)
        );
    }

    #[test]
    fn what_another_site_reports_of_a_link_has_the_same_words() {
        let mut report = Report {
            site: "b".to_owned(),
            links: vec![LinkReport {
                name: "a-b".to_owned(),
                role: Role::Acceptor.into(),
                state: LinkState::Up.into(),
                credential: Credential::Previous.into(),
                root: "0123456789abcdef".to_owned(),
                ..LinkReport::default()
            }],
            ..Report::default()
        };
        let told = reported_links(&report, Duration::from_secs(2));
        let words = ["role", "credential", "root"].map(|key| told[0][key].clone());
        assert_eq!(words, ["acceptor", "previous", "0123456789abcdef"]);
        // A broker of another version may send what is not known here, or leave it out.
        (report.links[0].role, report.links[0].root) = (99, String::new());
        let told = reported_links(&report, Duration::from_secs(2));
        assert_eq!(
            (&told[0]["role"], &told[0]["root"]),
            (&json!("acceptor"), &Value::Null)
        );
    }

    #[test]
    fn times_and_claims_are_told_as_people_write_them() {
        assert_eq!(date(0), None);
        let ends = Some("2026-12-09T00:00:00Z".to_owned());
        assert_eq!(date(1_796_774_400), ends);
        let text = "00010203-0405-0607-0809-0a0b0c0d0e0f";
        assert_eq!(uuid(Instance(std::array::from_fn(|at| at as u8))), text);
    }
}
