//! Every metric of the broker: names, help texts, and the handles that count.
//!
//! Handles are resolved once. Destinations, clients, users and addresses are never labels.

mod known;
mod links;
mod peers;

use prometheus::{
    Encoder, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

pub use links::LinkMetrics;
pub use peers::{Peer, PeerMetrics};

use crate::clock;
use crate::config::certificates;
use crate::config::valid::Config;

/// All metrics that are not those of one link.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Open client connections.
    pub connections: IntGauge,
    /// Client connections accepted.
    pub connections_total: IntCounter,
    /// Connections refused or closed before login, by reason.
    pub connections_refused: IntCounterVec,
    /// Logins that failed.
    pub login_failures: IntCounter,
    /// Live subscriptions.
    pub subscriptions: IntGauge,
    /// Destinations with state, by kind.
    pub destinations: IntGaugeVec,
    /// Messages accepted from clients.
    pub messages_in: IntCounter,
    /// Messages that clients have.
    pub messages_out: IntCounter,
    /// Messages dropped, by reason.
    pub messages_dropped: IntCounterVec,
    /// Requests refused for lack of a right, by verb.
    pub denied: IntCounterVec,
    /// Subscriptions that lost their right and are silent.
    pub subscriptions_withdrawn: IntGauge,
    /// Frames that broke a rule, by error.
    pub frame_errors: IntCounterVec,
    /// Messages that wait in queues.
    pub queue_messages: IntGauge,
    /// Bytes that wait in queues.
    pub queue_bytes: IntGauge,
    /// Durable subscriptions, by whether somebody consumes.
    pub durable_subscriptions: IntGaugeVec,
    /// Messages that wait for durable subscribers.
    pub durable_messages: IntGauge,
    /// Bytes that wait for durable subscribers.
    pub durable_bytes: IntGauge,
    /// Messages moved to dead letters, by reason.
    pub dead_letters: IntCounterVec,
    /// Configuration in force.
    pub config_info: IntGaugeVec,
    /// 1 when the last reload was applied.
    pub config_reload_successful: IntGauge,
    /// When the configuration in force was applied.
    pub config_reload_at: IntGauge,
    /// Since when the specification in force is that.
    pub config_spec_at: IntGauge,
    /// Ends of the own certificates.
    pub certificate_ends: IntGaugeVec,
    /// Bytes kept for clients.
    pub kept_bytes: IntGauge,
    /// How many may be kept.
    pub kept_limit: IntGauge,
    /// Clients that are not read because there is no room for what they send.
    pub producers_waiting: IntGaugeVec,
    /// Bytes of frames that have not arrived whole.
    pub arriving_bytes: IntGauge,
    /// Bytes of subscriptions.
    pub subscription_bytes: IntGauge,
    /// Resident memory of the process.
    pub memory_bytes: IntGauge,
    /// Sites of the network, by whether they can be reached.
    pub mesh_sites: IntGaugeVec,
    /// Links refused, by reason.
    pub mesh_refusals: IntCounterVec,
    /// Link connections that ended, by reason.
    pub mesh_disconnects: IntCounterVec,
    /// Messages dropped in the mesh, by reason.
    pub mesh_dropped: IntCounterVec,
    /// Transfers between queues of brokers, by result.
    pub mesh_transfers: IntCounterVec,
    /// Interest entries, by source.
    pub mesh_interest: IntGaugeVec,
    /// Reply routes learned.
    pub mesh_learned_routes: IntGauge,
    /// Messages that wait for a route.
    pub mesh_limbo_messages: IntGauge,
    /// Shortest-path runs.
    pub mesh_spf_runs: IntCounter,
    /// One series set per link.
    pub links: LinkMetrics,
    /// One series set per other site.
    pub peers: PeerMetrics,
}

struct Builder {
    registry: Registry,
}

impl Builder {
    fn add<C: prometheus::core::Collector + Clone + 'static>(&self, collector: &C) {
        // Names are unique constants of this file; a clash shows in the test below.
        let registered = self.registry.register(Box::new(collector.clone()));
        debug_assert!(registered.is_ok(), "metric registered twice");
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        let counter = IntCounter::new(name, help).unwrap_or_else(|error| unusable(name, &error));
        self.add(&counter);
        counter
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        let gauge = IntGauge::new(name, help).unwrap_or_else(|error| unusable(name, &error));
        self.add(&gauge);
        gauge
    }

    fn seconds(&self, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
        let gauges = GaugeVec::new(Opts::new(name, help), labels)
            .unwrap_or_else(|error| unusable(name, &error));
        self.add(&gauges);
        gauges
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        let counters = IntCounterVec::new(Opts::new(name, help), labels)
            .unwrap_or_else(|error| unusable(name, &error));
        self.add(&counters);
        counters
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        let gauges = IntGaugeVec::new(Opts::new(name, help), labels)
            .unwrap_or_else(|error| unusable(name, &error));
        self.add(&gauges);
        gauges
    }
}

/// Names and labels are constants that a test builds; a bad one ends the process at its start.
fn unusable<T>(name: &str, error: &prometheus::Error) -> T {
    tracing::error!(name, %error, "metric cannot be made");
    std::process::abort()
}

impl Metrics {
    /// All metrics at 0.
    #[must_use]
    pub fn new() -> Self {
        let b = Builder {
            registry: Registry::new(),
        };
        let metrics = Self {
            connections: b.gauge("causeway_connections", "Open client connections."),
            connections_total: b
                .counter("causeway_connections_total", "Client connections accepted."),
            connections_refused: b.counters(
                "causeway_connections_refused_total",
                "Connections refused or closed before login.",
                &["reason"],
            ),
            login_failures: b.counter("causeway_login_failures_total", "Logins that failed."),
            subscriptions: b.gauge("causeway_subscriptions", "Live subscriptions."),
            destinations: b.gauges(
                "causeway_destinations",
                "Destinations with state.",
                &["kind"],
            ),
            messages_in: b.counter(
                "causeway_messages_in_total",
                "Messages accepted from clients.",
            ),
            messages_out: b.counter(
                "causeway_messages_out_total",
                "Messages that clients have: written to them, or acknowledged where they do that.",
            ),
            messages_dropped: b.counters(
                "causeway_messages_dropped_total",
                "Messages that ended without a consumer, each once.",
                &["reason"],
            ),
            denied: b.counters(
                "causeway_denied_total",
                "Requests and deliveries refused for lack of a right.",
                &["verb"],
            ),
            subscriptions_withdrawn: b.gauge(
                "causeway_subscriptions_withdrawn",
                "Subscriptions that lost their right to read and are silent.",
            ),
            frame_errors: b.counters(
                "causeway_frame_errors_total",
                "Frames that broke a rule of the protocol.",
                &["error"],
            ),
            queue_messages: b.gauge("causeway_queue_messages", "Messages in queues."),
            queue_bytes: b.gauge("causeway_queue_bytes", "Bytes of messages in queues."),
            durable_subscriptions: b.gauges(
                "causeway_durable_subscriptions",
                "Durable subscriptions.",
                &["state"],
            ),
            durable_messages: b.gauge(
                "causeway_durable_messages",
                "Messages kept for durable subscribers.",
            ),
            durable_bytes: b.gauge(
                "causeway_durable_bytes",
                "Bytes of messages kept for durable subscribers.",
            ),
            dead_letters: b.counters(
                "causeway_dead_letters_total",
                "Messages kept as dead letters; those that are not kept are counted as dropped.",
                &["reason"],
            ),
            config_info: b.gauges("causeway_config_info", "Configuration in force.", &["hash"]),
            config_reload_successful: b.gauge(
                "causeway_config_last_reload_successful",
                "1 when the last reload was applied.",
            ),
            config_reload_at: b.gauge(
                "causeway_config_last_reload_success_timestamp_seconds",
                "When the configuration in force was applied.",
            ),
            config_spec_at: b.gauge(
                "causeway_config_spec_timestamp_seconds",
                "Since when this process runs the network's specification that is in force.",
            ),
            certificate_ends: b.gauges(
                "causeway_tls_cert_not_after_timestamp_seconds",
                "End of the first certificate in a file.",
                &["cert"],
            ),
            kept_bytes: b.gauge(
                "causeway_memory_kept_bytes",
                "Bytes kept for clients: queues, backlogs, what waits for sockets, open transactions.",
            ),
            kept_limit: b.gauge(
                "causeway_memory_kept_limit_bytes",
                "Bytes that may be kept for clients; beyond it producers wait.",
            ),
            producers_waiting: b.gauges(
                "causeway_producers_waiting",
                "Clients that are not read: no room in a queue or in memory, in a link, or for their frame.",
                &["for"],
            ),
            arriving_bytes: b.gauge(
                "causeway_memory_arriving_bytes",
                "Bytes of client frames that have not arrived whole, before the login and after it.",
            ),
            subscription_bytes: b.gauge(
                "causeway_memory_subscriptions_bytes",
                "Bytes of subscriptions and their selectors.",
            ),
            memory_bytes: b.gauge("process_resident_memory_bytes", "Resident memory."),
            mesh_sites: b.gauges(
                "causeway_mesh_sites",
                "Other sites of the network.",
                &["state"],
            ),
            mesh_refusals: b.counters(
                "causeway_mesh_refusals_total",
                "Link handshakes refused, given and received.",
                &["reason"],
            ),
            mesh_disconnects: b.counters(
                "causeway_mesh_disconnects_total",
                "Link connections that ended.",
                &["reason"],
            ),
            mesh_dropped: b.counters(
                "causeway_mesh_dropped_messages_total",
                "Messages dropped between brokers.",
                &["reason"],
            ),
            mesh_transfers: b.counters(
                "causeway_mesh_transfers_total",
                "Queue messages handed to other brokers.",
                &["result"],
            ),
            mesh_interest: b.gauges(
                "causeway_mesh_interest_entries",
                "Interest entries.",
                &["source"],
            ),
            mesh_learned_routes: b.gauge("causeway_mesh_learned_routes", "Reply routes learned."),
            mesh_limbo_messages: b
                .gauge("causeway_mesh_limbo_messages", "Messages without a route."),
            mesh_spf_runs: b.counter("causeway_mesh_spf_runs_total", "Shortest-path runs."),
            links: LinkMetrics::new(&b),
            peers: PeerMetrics::new(&b),
            registry: b.registry,
        };
        metrics.begin();
        metrics
    }

    /// The text that `/metrics` answers.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be rendered");
        }
        text
    }

    /// Shows a configuration that was applied, and the one before it, if there was one.
    pub fn show_config(&self, new: &Config, old: Option<&Config>) {
        let now = clock::wall_ms() / 1000;
        self.config_info.reset();
        self.config_info.with_label_values(&[&new.hash]).set(1);
        self.config_reload_successful.set(1);
        self.config_reload_at.set(now);
        if old.is_none_or(|old| old.broker.spec_hash != new.broker.spec_hash) {
            self.config_spec_at.set(now);
        }
        self.certificate_ends.reset();
        if let Some(tls) = &new.broker.tls
            && let Some(end) = new
                .others
                .get(&tls.certificate)
                .and_then(|pem| certificates::end(pem))
        {
            let labels = [tls.certificate.as_str()];
            self.certificate_ends.with_label_values(&labels).set(end);
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
