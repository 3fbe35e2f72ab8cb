//! Series that are there at 0 before the first event: a series that begins with it has no rate then.

use super::Metrics;

const VERBS: [&str; 4] = ["read", "write", "admin", "delivery"];
const DEAD: [&str; 3] = ["poison", "expired", "redeliveries"];
const DROPPED: [&str; 3] = ["durable_full", "dead_letters_full", "denied"];
const REFUSED: [&str; 7] = [
    "too_many",
    "too_many_before_login",
    "login_deadline",
    "silent",
    "tls",
    "stomp_on_tls_port",
    "http_on_tls_port",
];
const DISCONNECTS: [&str; 8] = [
    "closed", "reset", "silent", "stalled", "protocol", "auth", "leaving", "removed",
];
const MESH_DROPPED: [&str; 5] = ["no_route", "expired", "age", "denied", "bad_envelope"];
const TRANSFERS: [&str; 5] = ["received", "turned_away", "refused", "in_doubt", "expired"];

impl Metrics {
    /// Makes the series whose labels are known. Of long lists (broken frames, refused links) there is one.
    pub(super) fn begin(&self) {
        for (counter, labels) in [
            (&self.denied, VERBS.as_slice()),
            (&self.dead_letters, &DEAD),
            (&self.messages_dropped, &DEAD),
            (&self.messages_dropped, &DROPPED),
            (&self.connections_refused, &REFUSED),
            (&self.mesh_disconnects, &DISCONNECTS),
            (&self.mesh_dropped, &MESH_DROPPED),
            (&self.mesh_transfers, &TRANSFERS),
            (&self.frame_errors, &["unknown_command"]),
            (&self.mesh_refusals, &["auth_failed", "duplicate_site"]),
        ] {
            for label in labels {
                counter.with_label_values(&[label]).inc_by(0);
            }
        }
        for what in ["room", "link", "frame"] {
            self.producers_waiting.with_label_values(&[what]).set(0);
        }
        self.mesh_interest.with_label_values(&["remote"]).set(0);
    }
}
