//! Where certificates come from: the input holds all that `tls` names, or none of it. What it holds can be used.

use std::collections::BTreeMap;

use causeway_broker::config::certificates::{self, CertificateError, PairError};

use super::{Check, MissingSecrets};
use crate::api::network::{TRUST_DOMAIN, Tls, TlsSource};
use crate::api::shared::{BundleKind, BundleRef};
use crate::documents::Severity;
use crate::finding::{Finding, Subject};
use crate::model::valid::Material;
use crate::model::{SecretText, ValidTls};
use crate::names::{self, SiteName};

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
                if let Some(reference) = client_roots.filter(|_| client_trust_bundle.is_none()) {
                    self.development_roots(reference);
                }
                None
            }
            TlsSource::Secret => self.material(tls, client_trust_bundle.is_some()),
        };
        Some(ValidTls {
            trust_domain: tls
                .trust_domain
                .clone()
                .unwrap_or_else(|| TRUST_DOMAIN.to_owned()),
            accepts_clients: client_roots.is_some(),
            client_trust_bundle,
            material,
        })
    }

    /// Nobody has to make roots of clients to try something out; but whoever meant others has to know.
    fn development_roots(&mut self, reference: &BundleRef) {
        let reason = format!(
            "{} is missing: client certificates have to end at the development authority",
            described(reference)
        );
        let help = "add it to the files, or make client certificates with ca/ca.crt and ca/ca.key of the state folder";
        let finding = Finding::warning(Subject::Network, CLIENT_ROOTS, reason).with_help(help);
        self.findings.push(finding);
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
        if !has_none {
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
            let template = tls.secret_name_template.as_deref();
            let secret = names::certificate_secret(template, self.declared.name(), &site.name);
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
        let finding = Finding::error(subject, key, error.to_string());
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    fn incomplete(&mut self, absent: Absent) {
        for (path, what) in absent {
            let mut finding = Finding::error(Subject::Network, path, format!("{what} is missing"))
                .with_help("give all of what spec.tls names, or none of it");
            if self.missing == MissingSecrets::Mark {
                finding.severity = Severity::Warning;
            }
            self.findings.push(finding);
        }
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
