//! The objects that a network and its users name, as far as the sites of this cluster need them.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::network::{BrokerNetworkSpec, LinkAuthMode, TlsSource};
use crate::api::shared::{BundleKind, BundleRef};
use crate::api::user::{BrokerUserSpec, CredentialKind};
use crate::names::{self, Part};
use crate::topology::expand;

/// Names of objects, all in the namespace of the network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct References {
    /// Secrets.
    pub secrets: BTreeSet<String>,
    /// Those of them that a link or a listener alone hangs on, and that are not the operator's own.
    pub of_one: BTreeSet<String>,
    /// ConfigMaps.
    pub config_maps: BTreeSet<String>,
}

/// Everything that is named; `local` are the sites of this cluster.
#[must_use]
pub fn references(
    name: &str,
    spec: &BrokerNetworkSpec,
    users: &BTreeMap<String, BrokerUserSpec>,
    local: &BTreeSet<String>,
) -> References {
    let mut found = all(name, spec, users, local);
    found.secrets.extend(found.of_one.iter().cloned());
    let own = own(name, local);
    found.of_one.retain(|secret| !own.contains(secret));
    found
}

fn all(
    name: &str,
    spec: &BrokerNetworkSpec,
    users: &BTreeMap<String, BrokerUserSpec>,
    local: &BTreeSet<String>,
) -> References {
    let mut found = References::default();
    if local.is_empty() {
        return found;
    }
    found.of_one.extend(links(name, spec, local));
    found
        .secrets
        .extend(users.iter().filter_map(|(name, user)| password(name, user)));
    found.secrets.insert(names::network_keys(name));
    for site in local {
        for part in [Part::Keys, Part::Config] {
            found.secrets.insert(names::site_part(name, site, part));
        }
    }
    let Some(tls) = &spec.tls else {
        return found;
    };
    if tls.source == TlsSource::Development {
        found.secrets.insert(names::development_authority(name));
    }
    let template = tls
        .secret_name_template
        .as_deref()
        .filter(|_| tls.source == TlsSource::Secret);
    for site in local {
        found
            .of_one
            .insert(names::certificate_secret(template, name, site));
    }
    for bundle in [&tls.trust_bundle_ref, &tls.client_trust_bundle_ref]
        .into_iter()
        .flatten()
    {
        note(&mut found, bundle);
    }
    found
}

/// The Secrets that are made here: nothing goes on while one of these cannot be read.
fn own(network: &str, local: &BTreeSet<String>) -> BTreeSet<String> {
    let of_site = |site: &String| {
        let parts = [Part::Keys, Part::Config];
        parts.map(|part| names::site_part(network, site, part))
    };
    let mut own: BTreeSet<String> = local.iter().flat_map(of_site).collect();
    own.insert(names::network_keys(network));
    own.insert(names::development_authority(network));
    own
}

fn note(found: &mut References, bundle: &BundleRef) {
    let names = match bundle.kind {
        BundleKind::ConfigMap => &mut found.config_maps,
        BundleKind::Secret => &mut found.of_one,
    };
    names.insert(bundle.name.clone());
}

/// Passwords of the links of local sites.
fn links(name: &str, spec: &BrokerNetworkSpec, local: &BTreeSet<String>) -> Vec<String> {
    if spec.link_auth.unwrap_or_default().mode == LinkAuthMode::Mtls {
        return Vec::new();
    }
    let (all, _) = expand::links(spec);
    let own = all
        .iter()
        .filter(|link| local.contains(&link.pair.0) || local.contains(&link.pair.1));
    own.map(|link| {
        let written = link
            .written
            .and_then(|index| spec.links.as_ref()?.get(index));
        let named = written.and_then(|link| link.credentials.as_ref());
        match named {
            Some(credentials) => credentials.secret_ref.name.clone(),
            None => names::link_secret(name, &link.name),
        }
    })
    .collect()
}

fn password(name: &str, user: &BrokerUserSpec) -> Option<String> {
    match user.credentials.kind {
        CredentialKind::Certificate => None,
        CredentialKind::Generated => Some(names::generated_secret(name)),
        CredentialKind::Password | CredentialKind::PasswordHash => {
            let reference = user.credentials.secret_ref.as_ref()?;
            Some(reference.name.clone())
        }
    }
}
