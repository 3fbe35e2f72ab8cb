//! Where certificates come from: the input holds all that `tls` names, or none of it. What it holds can be used.

use std::collections::BTreeMap;

use causeway_broker::config::certificates::{self, CertificateError, PairError};

use super::cluster::certificate_secret;
use super::{Check, MissingSecrets};
use crate::api::condition::Reason;
use crate::api::network::{LinkAuthMode, TRUST_DOMAIN, Tls, TlsSource};
use crate::api::shared::{BundleKind, BundleRef};
use crate::documents::Severity;
use crate::finding::{Finding, Subject};
use crate::model::valid::Material;
use crate::model::{SecretText, ValidTls};
use crate::names::SiteName;
use crate::rule::Rule;

const CLIENT_ROOTS: &str = "spec.tls.clientTrustBundleRef";

/// What the input lacks: where it is named, and what it is.
type Absent = Vec<(&'static str, String)>;

impl Check<'_> {
    pub(super) fn tls(&mut self) -> Option<ValidTls> {
        let tls = self.declared.network.spec.tls.as_ref()?;
        let client_roots = tls.client_trust_bundle_ref.as_ref();
        let client_trust_bundle = client_roots.and_then(|reference| self.bundle(reference));
        let material = match tls.source {
            TlsSource::Development => {
                self.development_sites();
                if let Some(reference) = client_roots.filter(|_| client_trust_bundle.is_none()) {
                    self.development_roots(reference);
                }
                None
            }
            TlsSource::Secret | TlsSource::CertManager => {
                self.material(tls, client_trust_bundle.is_some())
            }
        };
        Some(ValidTls {
            source: tls.source,
            has_roots: match &self.declared.local_sites {
                Some(_) => self.mounts_roots(tls),
                None => material
                    .as_ref()
                    .is_none_or(|material| material.trust_bundle.is_some()),
            },
            trust_domain: tls
                .trust_domain
                .clone()
                .unwrap_or_else(|| TRUST_DOMAIN.to_owned()),
            accepts_clients: client_roots.is_some(),
            client_trust_bundle,
            material,
        })
    }

    /// The key of a development authority leaves no cluster, so no site of the network may run in another.
    fn development_sites(&mut self) {
        let sites = self.declared.network.spec.sites.iter();
        let elsewhere: Vec<&str> = sites
            .map(|site| site.name.as_str())
            .filter(|site| !self.declared.is_local(site))
            .collect();
        if elsewhere.is_empty() {
            return;
        }
        let reason = format!(
            "the development authority is for networks of one cluster, and these sites run elsewhere: {}",
            elsewhere.join(", ")
        );
        let help = "take certificates from cert-manager (source: CertManager) or from Secrets (source: Secret)";
        let finding = Finding::error(Subject::Network, "spec.tls.source", reason).with_help(help);
        let finding = finding.because(Reason::DevelopmentCAUnsafe);
        self.findings.push(finding.called(Rule::DevelopmentCa));
    }

    /// Nobody has to make roots of clients to try something out; but whoever meant others has to know. A pod waits for
    /// what it mounts.
    fn development_roots(&mut self, reference: &BundleRef) {
        if self.declared.local_sites.is_some() {
            return self.awaited(vec![(CLIENT_ROOTS, described(reference))]);
        }
        let reason = format!(
            "{} is missing: client certificates have to end at the development authority",
            described(reference)
        );
        let help = "add it to the files, or make client certificates with ca/ca.crt and ca/ca.key of the state folder";
        let finding = Finding::warning(Subject::Network, CLIENT_ROOTS, reason).with_help(help);
        self.findings.push(finding.called(Rule::UnknownReference));
    }

    fn material(&mut self, tls: &Tls, has_client_roots: bool) -> Option<Material> {
        let mut absent = Absent::new();
        let sites = self.pairs(tls, &mut absent);
        let roots = tls.trust_bundle_ref.as_ref();
        let trust_bundle = roots.and_then(|reference| self.bundle(reference));
        if let Some(reference) = roots.filter(|_| trust_bundle.is_none()) {
            absent.push(("spec.tls.trustBundleRef", described(reference)));
        }
        let client_roots = tls.client_trust_bundle_ref.as_ref();
        if let Some(reference) = client_roots.filter(|_| !has_client_roots) {
            absent.push((CLIENT_ROOTS, described(reference)));
        }
        let has_none = sites.is_empty() && trust_bundle.is_none() && !has_client_roots;
        if absent.is_empty() {
            return Some(Material {
                sites,
                trust_bundle,
            });
        }
        if !has_none || self.declared.local_sites.is_some() {
            self.incomplete(absent);
        }
        None
    }

    /// Chain and key of each site.
    fn pairs(
        &mut self,
        tls: &Tls,
        absent: &mut Absent,
    ) -> BTreeMap<SiteName, (Vec<u8>, SecretText)> {
        let mut sites = BTreeMap::new();
        for site in &self.declared.network.spec.sites {
            if !self.declared.is_local(&site.name) {
                continue;
            }
            let secret = certificate_secret(tls, self.declared.name(), &site.name);
            let chain = self.value(&secret, "tls.crt");
            let (Some(chain), Some(key)) = (chain, self.value(&secret, "tls.key")) else {
                let what = format!("Secret {secret} with tls.crt and tls.key");
                absent.push(("spec.tls.source", what));
                continue;
            };
            let chain = chain.expose().as_bytes().to_vec();
            for error in certificates::check_pair(&chain, key.expose().as_bytes()) {
                let (key, error) = match error {
                    PairError::Certificate(error) => ("tls.crt", error),
                    PairError::Key(error) => ("tls.key", error),
                };
                self.unusable(Subject::Secret(secret.clone()), key, error);
            }
            sites.insert(SiteName::new(&site.name), (chain, key));
        }
        sites
    }

    /// A key of a Secret or a ConfigMap that no broker could start with. Several sites may share it.
    fn unusable(&mut self, subject: Subject, key: &str, error: CertificateError) {
        let mut finding = Finding::error(subject, key, error.to_string());
        if self.declared.local_sites.is_some() {
            // A broker keeps the pair it has, and everything else of the network goes on.
            finding.severity = Severity::Warning;
            finding = finding.because(Reason::PairMalformed);
        }
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn incomplete(&mut self, absent: Absent) {
        if self.declared.local_sites.is_some() {
            return self.awaited(absent);
        }
        for (path, what) in absent {
            let mut finding = Finding::error(Subject::Network, path, format!("{what} is missing"))
                .with_help("give all of what spec.tls names, or none of it");
            if self.missing == MissingSecrets::Mark {
                finding.severity = Severity::Warning;
            }
            self.findings.push(finding.called(Rule::UnknownReference));
        }
    }

    /// In a cluster certificates come when they come: a pod waits for what it mounts, and a broker that runs goes on
    /// with those it has.
    fn awaited(&mut self, absent: Absent) {
        for (path, what) in absent {
            let is_bundle = path != "spec.tls.source";
            let tls = self.declared.network.spec.tls.as_ref();
            let cause = match tls.map(|tls| tls.source) {
                _ if is_bundle => Reason::ReferenceNotFound,
                Some(TlsSource::CertManager) => Reason::WaitingForCertificate,
                _ => Reason::SecretNotFound,
            };
            let of_it = |(object, _): &(&String, &String)| what.starts_with(&format!("{object} "));
            let (cause, reason) = match self.declared.unread.iter().find(of_it) {
                Some((_, words)) => {
                    let reason = format!("{what} cannot be read: {words}");
                    (Reason::Forbidden, reason)
                }
                None => (cause, format!("{what} is missing")),
            };
            let finding = Finding::warning(Subject::Network, path, reason);
            let finding = finding.because(cause).called(Rule::UnknownReference);
            self.findings.push(finding);
        }
    }

    /// Whether pods mount roots of the other sites.
    fn mounts_roots(&self, tls: &Tls) -> bool {
        let mode = self
            .declared
            .network
            .spec
            .link_auth
            .unwrap_or_default()
            .mode;
        tls.source == TlsSource::Development
            || tls.trust_bundle_ref.is_some()
            || mode != LinkAuthMode::Password
    }

    /// A bundle of the input, checked.
    fn bundle(&mut self, reference: &BundleRef) -> Option<Vec<u8>> {
        let BundleRef { kind, name, key } = reference;
        let (found, subject) = match kind {
            BundleKind::ConfigMap => {
                let data = self.declared.config_maps.get(name)?;
                (data.get(key)?.clone(), Subject::ConfigMap(name.clone()))
            }
            BundleKind::Secret => {
                let text = self.value(name, key)?;
                let bytes = text.expose().as_bytes().to_vec();
                (bytes, Subject::Secret(name.clone()))
            }
        };
        if let Err(error) = certificates::check_roots(&found) {
            self.unusable(subject, key, error);
        }
        Some(found)
    }
}

fn described(reference: &BundleRef) -> String {
    let BundleRef { kind, name, key } = reference;
    format!("{kind:?} {name} with the key {key}")
}
