//! A changed configuration.

use std::sync::Arc;

use anyhow::Context as _;

use super::App;
use crate::config::Config;
use crate::config::diff;
use crate::config::reload::{Seen, Watch};
use crate::link::settings;
use crate::net::listener::Reserved;

impl App {
    /// Looks at the files, and puts in force what is new.
    pub(super) fn look(&mut self, watch: &mut Watch) {
        let (hash, error) = match watch.look() {
            Seen::Unchanged => return,
            Seen::Broken(hash, error) => (hash, error),
            Seen::New(config) => match self.apply(config.clone()) {
                Ok(()) => {
                    tracing::info!(config = config.hash, "configuration applied");
                    self.broker.reloads.applied(&config.hash);
                    self.broker.changes.note();
                    return;
                }
                Err(error) => (config.hash.clone(), format!("{error:#}")),
            },
        };
        tracing::error!(
            config = hash,
            error,
            "configuration refused, the old one stays in force"
        );
        self.broker.reloads.refused(&hash, &error);
        self.broker.changes.note();
        self.broker.metrics.config_reload_successful.set(0);
    }

    fn apply(&mut self, config: Arc<Config>) -> anyhow::Result<()> {
        let changes = diff::diff(&self.broker.config(), &config);
        anyhow::ensure!(
            changes.needs_restart.is_empty(),
            "{} cannot change while the broker runs: restart it",
            changes.needs_restart.join(", ")
        );
        self.open(&config, &mut Reserved::default())?;
        self.node
            .apply(&config, &settings::mesh_config(&config))
            .context("links")?;
        self.broker.apply_config(config);
        Ok(())
    }
}
