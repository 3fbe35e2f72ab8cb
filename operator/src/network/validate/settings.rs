//! Settings, with the keys of `extra` tried on the broker's own parser.

use std::collections::BTreeMap;

use super::Check;
use crate::documents::tree::field_path;
use crate::finding::{Finding, Subject};
use crate::model::valid::ValidSettings;
use crate::render::extra::{self, ExtraError};

impl Check<'_> {
    pub(super) fn settings(&mut self) -> ValidSettings {
        let written = self
            .declared
            .network
            .spec
            .settings
            .clone()
            .unwrap_or_default();
        let path = "spec.settings";
        let extra = written.extra.unwrap_or_default();
        let mut readable = BTreeMap::new();
        for (key, value) in &extra {
            match extra::check(key, value) {
                Ok(()) => drop(readable.insert(key.as_str(), value)),
                Err(error) => self.refused_key(key, value, &error),
            }
        }
        for (key, error) in extra::refusals(&readable) {
            self.refused_key(&key, &serde_json::Value::Null, &error);
        }
        let reply_patterns = written.reply_patterns.map(|mut patterns| {
            patterns.sort();
            patterns.dedup();
            patterns
        });
        ValidSettings {
            max_connections: written
                .max_connections
                .and_then(|count| u32::try_from(count).ok()),
            max_frame_size: self.parsed(
                written.max_frame_size.as_deref(),
                &format!("{path}.maxFrameSize"),
            ),
            reply_patterns,
            inactive_queue_after: self.parsed(
                written.inactive_queue_after.as_deref(),
                &format!("{path}.inactiveQueueAfter"),
            ),
            log_level: written.log_level,
            extra,
        }
    }

    fn refused_key(&mut self, key: &str, value: &serde_json::Value, error: &ExtraError) {
        let path = field_path("spec.settings.extra", key);
        let finding = Finding::error(Subject::Network, path, error.to_string());
        self.findings.push(match error.help(key, value) {
            Some(help) => finding.with_help(help),
            None => finding,
        });
    }
}
