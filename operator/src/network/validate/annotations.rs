//! Annotations of ours on the objects of users: one that is misspelt is heeded by nobody, and would be so in silence.

use crate::api::condition::Reason;
use crate::documents::schema_walk::nearest;
use crate::documents::tree::field_path;
use crate::finding::{Finding, Subject};
use crate::labels;

use super::Check;

/// Those that a BrokerNetwork may have; a BrokerUser has none.
const OF_NETWORK: [&str; 2] = [labels::RECONCILE, labels::ALLOW_SITE_REMOVAL];
/// The values of [`labels::RECONCILE`].
const RECONCILE: [&str; 1] = [labels::PAUSED];

impl Check<'_> {
    pub(super) fn annotations(&mut self) {
        let declared = self.declared;
        let annotations = declared.network.metadata.annotations.iter().flatten();
        for (key, value) in annotations.filter(|(key, _)| labels::is_ours(key)) {
            self.annotation_of_network(key, value);
        }
        for (user, annotations) in &declared.annotations {
            for key in annotations.keys().filter(|key| labels::is_ours(key)) {
                let help = OF_NETWORK
                    .contains(&key.as_str())
                    .then(|| "it is one for a BrokerNetwork".to_owned());
                let subject = Subject::User(user.clone());
                self.ignored(subject, key, "is no annotation of a BrokerUser", help);
            }
        }
    }

    fn annotation_of_network(&mut self, key: &str, value: &str) {
        let subject = Subject::Network;
        match key {
            labels::RECONCILE if RECONCILE.contains(&value) => {}
            labels::RECONCILE => {
                let reason = format!("{value:?} is no value of it");
                let help = meant(value, &RECONCILE);
                self.ignored(subject, key, &reason, help);
            }
            labels::ALLOW_SITE_REMOVAL => self.removals(key, value),
            _ => {
                let known = OF_NETWORK.map(labels::own_part);
                let help = nearest(labels::own_part(key), known.into_iter());
                let help = help.map(|near| format!("did you mean {}{near}?", labels::PREFIX));
                self.ignored(subject, key, "is no annotation of a BrokerNetwork", help);
            }
        }
    }

    /// Sites that are to be let go and that the network does not have.
    fn removals(&mut self, key: &str, value: &str) {
        let sites = &self.declared.network.spec.sites;
        let names: Vec<&str> = sites.iter().map(|site| site.name.as_str()).collect();
        for site in labels::listed(value).filter(|site| !names.contains(site)) {
            let reason = format!("the network has no site {site}");
            self.ignored(Subject::Network, key, &reason, meant(site, &names));
        }
    }

    fn ignored(&mut self, subject: Subject, key: &str, reason: &str, help: Option<String>) {
        let path = field_path("metadata.annotations", key);
        let reason = format!("{reason}, so it is ignored");
        let mut finding =
            Finding::warning(subject, path, reason).because(Reason::AnnotationIgnored);
        finding.help = help;
        self.findings.push(finding);
    }
}

fn meant(written: &str, known: &[&str]) -> Option<String> {
    let near = nearest(written, known.iter().copied())?;
    Some(format!("did you mean {near}?"))
}
