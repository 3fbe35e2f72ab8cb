//! The series of other sites, linked with this one or not.

use std::collections::BTreeSet;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

use super::Builder;

/// What is known of another site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peer {
    /// Whether its last report names the own specification; nothing without a report.
    pub has_same_spec: Option<bool>,
    /// Round trip of the last probe; nothing when that did not come back.
    pub trip: Option<Duration>,
}

/// The series of other sites; label `peer` on each.
#[derive(Debug)]
pub struct PeerMetrics {
    spec_in_sync: IntGaugeVec,
    probe: GaugeVec,
    /// Probes that did not come back.
    pub probe_failures: IntCounterVec,
}

impl PeerMetrics {
    /// All of them, without any site yet.
    pub(super) fn new(b: &Builder) -> Self {
        const PEER: [&str; 1] = ["peer"];
        Self {
            spec_in_sync: b.gauges(
                "causeway_peer_spec_in_sync",
                "1 while the site's last report names the specification that is in force here.",
                &PEER,
            ),
            probe: b.seconds(
                "causeway_probe_seconds",
                "Round trip of the last probe over the path of data; absent when it did not come back.",
                &PEER,
            ),
            probe_failures: b.counters(
                "causeway_probe_failures_total",
                "Probes that did not come back.",
                &PEER,
            ),
        }
    }

    /// Shows a site of the network.
    pub fn show(&self, name: &str, peer: Peer) {
        let labels = [name];
        self.probe_failures.with_label_values(&labels).inc_by(0);
        // What was not there cannot be removed, and need not.
        match peer.has_same_spec {
            Some(same) => self
                .spec_in_sync
                .with_label_values(&labels)
                .set(i64::from(same)),
            None => drop(self.spec_in_sync.remove_label_values(&labels)),
        }
        match peer.trip {
            Some(trip) => self
                .probe
                .with_label_values(&labels)
                .set(trip.as_secs_f64()),
            None => drop(self.probe.remove_label_values(&labels)),
        }
    }

    /// Removes the series of sites that the network has no more.
    pub fn keep(&self, names: &BTreeSet<&str>) {
        for family in self.probe_failures.collect() {
            let labels = family.get_metric().iter().flat_map(|one| one.get_label());
            for gone in labels.map(|label| label.value().to_owned()) {
                if !names.contains(gone.as_str()) {
                    self.show(&gone, Peer::default());
                    let _ = self.probe_failures.remove_label_values(&[&gone]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn a_site_has_a_round_trip_only_while_probes_come_back_and_nothing_when_it_is_gone() {
        let metrics = Metrics::new();
        let lines = || {
            let text = String::from_utf8(metrics.render()).unwrap_or_default();
            let about = text.lines().filter(|line| line.contains("peer=\"uk\""));
            about.map(str::to_owned).collect::<Vec<_>>()
        };
        let well = Peer {
            has_same_spec: Some(true),
            trip: Some(Duration::from_millis(25)),
        };
        metrics.peers.show("uk", well);
        assert_eq!(
            lines(),
            [
                "causeway_peer_spec_in_sync{peer=\"uk\"} 1",
                "causeway_probe_failures_total{peer=\"uk\"} 0",
                "causeway_probe_seconds{peer=\"uk\"} 0.025",
            ]
        );
        metrics.peers.show("uk", Peer::default());
        assert_eq!(lines(), ["causeway_probe_failures_total{peer=\"uk\"} 0"]);
        metrics.peers.keep(&BTreeSet::from(["ie"]));
        assert!(lines().is_empty());
    }
}
