//! Where certificates come from: the input holds all that `tls` names, or none of it.

use std::collections::BTreeMap;

use super::{Check, MissingSecrets};
use crate::api::network::{TRUST_DOMAIN, Tls, TlsSource};
use crate::api::shared::{BundleKind, BundleRef};
use crate::documents::Severity;
use crate::finding::{Finding, Subject};
use crate::model::valid::Material;
use crate::model::{SecretText, ValidTls};
use crate::names::{self, SiteName};

impl Check<'_> {
    pub(super) fn tls(&mut self) -> Option<ValidTls> {
        let tls = self.declared.network.spec.tls.as_ref()?;
        let material = match tls.source {
            TlsSource::Development => None,
            TlsSource::Secret => self.material(tls),
        };
        Some(ValidTls {
            trust_domain: tls
                .trust_domain
                .clone()
                .unwrap_or_else(|| TRUST_DOMAIN.to_owned()),
            accepts_clients: tls.client_trust_bundle_ref.is_some(),
            material,
        })
    }

    fn material(&mut self, tls: &Tls) -> Option<Material> {
        let mut absent = Vec::new();
        let mut sites = BTreeMap::new();
        for site in &self.declared.network.spec.sites {
            let template = tls.secret_name_template.as_deref();
            let secret = names::certificate_secret(template, self.declared.name(), &site.name);
            let chain = self
                .value(&secret, "tls.crt")
                .map(|chain| chain.expose().as_bytes().to_vec());
            match (chain, self.value(&secret, "tls.key")) {
                (Some(chain), Some(key)) => {
                    drop(sites.insert(SiteName::new(&site.name), (chain, key)))
                }
                _ => absent.push((
                    "spec.tls.source",
                    format!("Secret {secret} with tls.crt and tls.key"),
                )),
            }
        }
        let mut bundle = |reference: &Option<BundleRef>, path| {
            let reference = reference.as_ref()?;
            let found = self.bundle(reference);
            if found.is_none() {
                let BundleRef { kind, name, key } = reference;
                absent.push((path, format!("{kind:?} {name} with the key {key}")));
            }
            found
        };
        let trust_bundle = bundle(&tls.trust_bundle_ref, "spec.tls.trustBundleRef");
        let client_trust_bundle = bundle(
            &tls.client_trust_bundle_ref,
            "spec.tls.clientTrustBundleRef",
        );
        let has_none = sites.is_empty() && trust_bundle.is_none() && client_trust_bundle.is_none();
        if absent.is_empty() {
            return Some(Material {
                sites,
                trust_bundle,
                client_trust_bundle,
            });
        }
        if !has_none {
            self.incomplete(absent);
        }
        None
    }

    fn incomplete(&mut self, absent: Vec<(&'static str, String)>) {
        for (path, what) in absent {
            let mut finding = Finding::error(Subject::Network, path, format!("{what} is missing"))
                .with_help("give all of what spec.tls names, or none of it");
            if self.missing == MissingSecrets::Mark {
                finding.severity = Severity::Warning;
            }
            self.findings.push(finding);
        }
    }

    fn bundle(&self, reference: &BundleRef) -> Option<Vec<u8>> {
        match reference.kind {
            BundleKind::ConfigMap => self
                .declared
                .config_maps
                .get(&reference.name)?
                .get(&reference.key)
                .cloned(),
            BundleKind::Secret => {
                let text: SecretText = self.value(&reference.name, &reference.key)?;
                Some(text.expose().as_bytes().to_vec())
            }
        }
    }
}
