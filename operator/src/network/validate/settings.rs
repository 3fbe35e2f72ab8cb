//! Settings, with the keys of `extra` tried on the broker's own parser.

use super::Check;
use crate::documents::tree::field_path;
use crate::finding::{Finding, Subject};
use crate::model::valid::ValidSettings;
use crate::render::extra;

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
        for (key, value) in &extra {
            if let Err(error) = extra::check(key, value) {
                let path = field_path("spec.settings.extra", key);
                let finding = Finding::error(Subject::Network, path, error.to_string());
                self.findings.push(match error.help(key, value) {
                    Some(help) => finding.with_help(help),
                    None => finding,
                });
            }
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
}
