//! Every metric of the operator, with its name and what it means.

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// The operator's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    reconciles: IntCounterVec,
    durations: HistogramVec,
    errors: IntCounterVec,
    started: IntGaugeVec,
    writes: IntCounterVec,
    watch_restarts: IntCounterVec,
    broker_requests: IntCounterVec,
    pruned: IntCounterVec,
    sites: IntGaugeVec,
    leader: IntGauge,
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<C>,
) -> prometheus::Result<C> {
    let metric = metric?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// Two have one name, which no input brings about.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let opts = Opts::new(format!("causeway_operator_{name}"), help);
            registered(&registry, IntCounterVec::new(opts, labels))
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let opts = Opts::new(format!("causeway_operator_{name}"), help);
            registered(&registry, IntGaugeVec::new(opts, labels))
        };
        let build = gauges("build_info", "The version of the operator.", &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let durations = HistogramOpts::new(
            "causeway_operator_reconcile_duration_seconds",
            "How long a reconcile took.",
        )
        .buckets(vec![0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0]);
        let leader = IntGauge::new(
            "causeway_operator_leader",
            "Whether this process is the one that acts.",
        );
        Ok(Self {
            reconciles: counters(
                "reconciles_total",
                "Reconciles by what they came to: changed, unchanged, waiting, error.",
                &["controller", "result"],
            )?,
            durations: registered(&registry, HistogramVec::new(durations, &["controller"]))?,
            errors: counters(
                "reconcile_errors_total",
                "Reconciles that failed, by reason.",
                &["controller", "reason"],
            )?,
            started: gauges(
                "reconcile_started_timestamp_seconds",
                "When the reconcile that is under way began; 0 while there is none.",
                &["controller", "namespace", "name"],
            )?,
            writes: counters(
                "api_writes_total",
                "Requests that changed something, by kind of object and verb.",
                &["kind", "verb"],
            )?,
            watch_restarts: counters(
                "watch_restarts_total",
                "Watches that failed and were started again.",
                &["kind"],
            )?,
            broker_requests: counters(
                "broker_requests_total",
                "Questions to brokers, by result.",
                &["result"],
            )?,
            pruned: counters("pruned_total", "Objects that were removed.", &["kind"])?,
            sites: gauges("site_info", "The sites that this operator runs.", &["site"])?,
            leader: registered(&registry, leader)?,
            registry,
        })
    }

    /// A write went out.
    pub fn wrote(&self, kind: &str, verb: &str) {
        self.writes.with_label_values(&[kind, verb]).inc();
    }

    /// An object was removed.
    pub fn pruned(&self, kind: &str) {
        self.pruned.with_label_values(&[kind]).inc();
    }

    /// A watch failed and is started again.
    pub fn watch_restarted(&self, kind: &str) {
        self.watch_restarts.with_label_values(&[kind]).inc();
    }

    /// A broker was asked.
    pub fn asked(&self, result: &str) {
        self.broker_requests.with_label_values(&[result]).inc();
    }

    /// This process acts, or does not.
    pub fn set_leader(&self, is_leader: bool) {
        self.leader.set(i64::from(is_leader));
    }

    /// The sites that are run.
    pub fn set_sites<'a>(&self, sites: impl IntoIterator<Item = &'a str>) {
        for site in sites {
            self.sites.with_label_values(&[site]).set(1);
        }
    }

    /// A reconcile began, at a time in seconds since 1970.
    pub fn began(&self, controller: &str, namespace: &str, name: &str, at: i64) {
        let labels = [controller, namespace, name];
        self.started.with_label_values(&labels).set(at);
    }

    /// A reconcile ended after so many seconds.
    pub fn ended(
        &self,
        controller: &str,
        (namespace, name): (&str, &str),
        result: &str,
        seconds: f64,
    ) {
        let labels = [controller, namespace, name];
        self.started.with_label_values(&labels).set(0);
        self.finished(controller, result, seconds);
    }

    /// A reconcile ended after so many seconds, of an object of which there may be too many for a series of its own.
    pub fn finished(&self, controller: &str, result: &str, seconds: f64) {
        self.reconciles
            .with_label_values(&[controller, result])
            .inc();
        self.durations
            .with_label_values(&[controller])
            .observe(seconds);
    }

    /// A reconcile failed.
    pub fn failed(&self, controller: &str, reason: &str) {
        self.errors.with_label_values(&[controller, reason]).inc();
    }

    /// An object is gone, and what was counted for it alone goes with it.
    pub fn forget(&self, controller: &str, namespace: &str, name: &str) {
        // It may never have been counted.
        let _ = self
            .started
            .remove_label_values(&[controller, namespace, name]);
    }

    /// All of it as Prometheus reads it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut buffer = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut buffer) {
            Ok(()) => String::from_utf8_lossy(&buffer).into_owned(),
            Err(error) => format!("# {error}\n"),
        }
    }
}
