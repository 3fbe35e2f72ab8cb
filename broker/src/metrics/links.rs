//! The series of links.

use prometheus::{IntCounterVec, IntGaugeVec};

use super::{Builder, unusable};

/// The series of links; label `link` and `peer` on each.
#[derive(Debug)]
pub struct LinkMetrics {
    /// 1 while up.
    pub up: IntGaugeVec,
    /// Always 1: the state and its reason.
    pub state_info: IntGaugeVec,
    /// Times the link came up.
    pub connects: IntCounterVec,
    /// When it last came up.
    pub last_connect: IntGaugeVec,
    /// Newer connections that took the place of an older one, by result.
    pub renewals: IntCounterVec,
    /// Round-trip times.
    pub rtt: prometheus::HistogramVec,
    /// Messages, by direction and kind.
    pub messages: IntCounterVec,
    /// Bytes, by direction.
    pub bytes: IntCounterVec,
    /// Messages in the ring.
    pub pending_messages: IntGaugeVec,
    /// Bytes in the ring.
    pub pending_bytes: IntGaugeVec,
    /// Messages sent again after a death.
    pub resent: IntCounterVec,
    /// Messages dropped because of this link, by reason.
    pub dropped: IntCounterVec,
    /// Duplicates removed.
    pub duplicates: IntCounterVec,
    /// Seconds with the ring three quarters full.
    pub stalled_seconds: IntCounterVec,
}

/// Results of renewals.
const RENEWALS: [&str; 2] = ["done", "failed"];

impl LinkMetrics {
    /// All of them, without any link yet.
    pub(super) fn new(b: &Builder) -> Self {
        const LINK: [&str; 2] = ["link", "peer"];
        let rtt = prometheus::HistogramVec::new(
            prometheus::HistogramOpts::new("causeway_link_rtt_seconds", "PING to PONG.")
                .buckets(vec![0.002, 0.02, 0.1, 0.4]),
            &LINK,
        )
        .unwrap_or_else(|error| unusable("causeway_link_rtt_seconds", &error));
        b.add(&rtt);
        Self {
            up: b.gauges("causeway_link_up", "1 while the link is up.", &LINK),
            state_info: b.gauges(
                "causeway_link_state_info",
                "Always 1: the link's state and its reason.",
                &["link", "peer", "state", "reason"],
            ),
            connects: b.counters(
                "causeway_link_connects_total",
                "Times the link came up.",
                &LINK,
            ),
            last_connect: b.gauges(
                "causeway_link_last_connect_timestamp_seconds",
                "When the link last came up.",
                &LINK,
            ),
            renewals: b.counters(
                "causeway_link_renewals_total",
                "Newer connections that took over from one that was up, and those that could not.",
                &["link", "peer", "result"],
            ),
            rtt,
            messages: b.counters(
                "causeway_link_messages_total",
                "Messages sent (out) or received (in) over the link.",
                &["link", "peer", "direction", "kind"],
            ),
            bytes: b.counters(
                "causeway_link_bytes_total",
                "Bytes above TLS.",
                &["link", "peer", "direction"],
            ),
            pending_messages: b.gauges(
                "causeway_link_pending_messages",
                "Messages unsent or unacknowledged.",
                &LINK,
            ),
            pending_bytes: b.gauges(
                "causeway_link_pending_bytes",
                "Bytes unsent or unacknowledged.",
                &LINK,
            ),
            resent: b.counters(
                "causeway_link_resent_messages_total",
                "Messages unacknowledged when the link died, sent anew.",
                &LINK,
            ),
            dropped: b.counters(
                "causeway_link_dropped_messages_total",
                "Messages dropped because of this link.",
                &["link", "peer", "reason"],
            ),
            duplicates: b.counters(
                "causeway_link_duplicates_suppressed_total",
                "Second copies that arrived over this link and were removed.",
                &LINK,
            ),
            stalled_seconds: b.counters(
                "causeway_link_stalled_seconds_total",
                "Seconds with the ring at least three quarters full.",
                &LINK,
            ),
        }
    }

    /// Makes every series of a link exist at 0.
    pub fn add_link(&self, link: &str, peer: &str) {
        let labels = [link, peer];
        for gauge in [
            &self.up,
            &self.last_connect,
            &self.pending_messages,
            &self.pending_bytes,
        ] {
            gauge.with_label_values(&labels).set(0);
        }
        for counter in [
            &self.connects,
            &self.resent,
            &self.duplicates,
            &self.stalled_seconds,
        ] {
            counter.with_label_values(&labels).inc_by(0);
        }
        self.rtt.with_label_values(&labels);
        for direction in ["in", "out"] {
            self.bytes
                .with_label_values(&[link, peer, direction])
                .inc_by(0);
            for kind in ["topic", "queue"] {
                self.messages
                    .with_label_values(&[link, peer, direction, kind])
                    .inc_by(0);
            }
        }
        for result in RENEWALS {
            let labels = [link, peer, result];
            self.renewals.with_label_values(&labels).inc_by(0);
        }
        for reason in ["link_full", "expired", "too_large"] {
            self.dropped
                .with_label_values(&[link, peer, reason])
                .inc_by(0);
        }
    }

    /// Removes every series of a link.
    pub fn remove_link(&self, link: &str, peer: &str) {
        let labels = [link, peer];
        // Each removal may find nothing: a series exists only once it was used.
        for gauge in [
            &self.up,
            &self.last_connect,
            &self.pending_messages,
            &self.pending_bytes,
        ] {
            let _ = gauge.remove_label_values(&labels);
        }
        for counter in [
            &self.connects,
            &self.resent,
            &self.duplicates,
            &self.stalled_seconds,
        ] {
            let _ = counter.remove_label_values(&labels);
        }
        let _ = self.rtt.remove_label_values(&labels);
        for direction in ["in", "out"] {
            let _ = self.bytes.remove_label_values(&[link, peer, direction]);
            for kind in ["topic", "queue"] {
                let _ = self
                    .messages
                    .remove_label_values(&[link, peer, direction, kind]);
            }
        }
        for result in RENEWALS {
            let _ = self.renewals.remove_label_values(&[link, peer, result]);
        }
        for reason in ["link_full", "expired", "too_large"] {
            let _ = self.dropped.remove_label_values(&[link, peer, reason]);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::metrics::Metrics;

    #[test]
    fn a_removed_link_leaves_no_series() {
        let metrics = Metrics::new();
        metrics.links.add_link("ie-uk", "uk");
        let with = String::from_utf8(metrics.render()).unwrap_or_default();
        let series = with
            .lines()
            .filter(|line| line.contains("link=\"ie-uk\""))
            .count();
        assert_eq!(
            series, 26,
            "27 with the state, which is set by the link itself"
        );
        metrics.links.remove_link("ie-uk", "uk");
        let without = String::from_utf8(metrics.render()).unwrap_or_default();
        assert!(!without.contains("ie-uk"), "{without}");
    }
}
