//! The mesh in logs, metrics and `/status`.

use serde_json::{Value, json};

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::conn::Conn;
use super::node::Node;
use crate::clock;
use crate::mesh::core::word;
use crate::mesh::event::{Counter, MeshLog};
use crate::mesh::report::Report;
use crate::mesh::routes::Routes;
use crate::mesh::session::LinkState;
use crate::mesh::status::LinkStatus;

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
    /// Shows the state of each link as a metric.
    pub(super) fn show_states(&self) {
        let links = &self.broker.metrics.links;
        links.state_info.reset();
        for link in self.with_core(|core| core.status(super::node::now()).links) {
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
            Counter::NotCredible
            | Counter::OverLimit
            | Counter::SidConflict
            | Counter::Rivals
            | Counter::ProbeMicros(_)
            | Counter::ProbeFailures(_) => {}
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
        if let Some(link) = self.link_over(conn.id) {
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
                    "via": other.via,
                    "hops": other.hops,
                    "distance": other.distance,
                    "epoch": other.epoch.0,
                    "iseq": other.iseq,
                    "entries": other.entries,
                    "configHash": report.map(|known| known.report.config_hash.clone()),
                    "specHash": report.map(|known| known.report.spec_hash.clone()),
                    "version": report.map(|known| known.report.software.clone()),
                    "reportAgeMs": report.map(|known| millis(known.age)),
                    "links": report.map_or_else(Vec::new, |known| reported_links(&known.report, known.age)),
                })
            })
            .collect();
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
        "credential": format!("{:?}", link.credential).to_lowercase(),
        "sameSpec": link.has_same_spec,
        "pending": link.pending,
        "lastError": link.last_error,
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
                "pending": link.pending,
                "lastError": link.last_error,
                "ageMs": age,
            })
        })
        .collect()
}
