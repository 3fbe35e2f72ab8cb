//! The Secret with a broker's files, and the request for its certificate.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::SiteContext;
use super::site::object;
use crate::api::network::TlsSource;
use crate::labels;
use crate::model::ListenerKind;
use crate::model::observed::{ChildKey, ChildKind};
use crate::names::{self, Part};

/// Key of the Secret that is not mounted: where the hashes of passwords came from.
pub const CACHE: &str = "cache.json";
/// Bytes of a Secret's data; a Secret holds 1 MiB with its names.
pub const MAX_SECRET: usize = 960 * 1024;

impl SiteContext<'_> {
    pub(super) fn config_secret(&self) -> Result<(ChildKey, Value), serde_json::Error> {
        let name = names::site_part(self.network(), self.name.as_str(), Part::Config);
        let mut metadata = self.meta(name.clone());
        let hash = (
            labels::CONFIG_HASH.to_owned(),
            self.site.config_hash.clone(),
        );
        metadata.annotations = Some([hash].into());
        let files = self.site.files.iter();
        let mut data: BTreeMap<String, ByteString> = files
            .map(|(name, bytes)| (name.clone(), ByteString(bytes.clone())))
            .collect();
        data.insert(CACHE.to_owned(), ByteString(self.site.cache.clone()));
        let secret = Secret {
            metadata,
            data: Some(data),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        };
        object(ChildKind::Secret, name, &secret)
    }

    /// The request to cert-manager: the site's identity, and every name it is dialled by.
    pub(super) fn certificate(&self) -> Option<(ChildKey, Value)> {
        let tls = self.inputs.network.tls.as_ref()?;
        let issuer = self.inputs.network.cluster.issuer.as_ref()?;
        if tls.source != TlsSource::CertManager || !self.inputs.settings.has_cert_manager {
            return None;
        }
        let name = names::site_part(self.network(), self.name.as_str(), Part::Tls);
        let metadata = serde_json::to_value(self.meta(name.clone())).ok()?;
        let uri = names::site_uri(&tls.trust_domain, self.network(), self.name.as_str());
        let kind = ChildKind::Certificate;
        let value = json!({
            "apiVersion": kind.api_version(),
            "kind": kind.as_str(),
            "metadata": metadata,
            "spec": {
                "secretName": name,
                "issuerRef": {
                    "name": issuer.name,
                    "kind": issuer.kind.as_deref().unwrap_or("Issuer"),
                    "group": issuer.group.as_deref().unwrap_or("cert-manager.io"),
                },
                "uris": [uri],
                "dnsNames": self.dns_names(),
                "usages": ["server auth", "client auth"],
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            },
        });
        Some((ChildKey { kind, name }, value))
    }

    fn dns_names(&self) -> Vec<String> {
        let namespace = self.inputs.object.metadata.namespace.as_deref();
        let endpoint = self.valid.endpoint.as_ref();
        let mut names: Vec<String> = endpoint
            .map(|endpoint| endpoint.host.clone())
            .filter(|host| host.parse::<core::net::IpAddr>().is_err())
            .into_iter()
            .collect();
        let own = names::service_hosts(self.network(), self.name.as_str(), namespace);
        names.extend(own);
        names
    }
}

/// The part of a site that has the Service of a listener.
#[must_use]
pub const fn listener_part(kind: ListenerKind) -> Part {
    match kind {
        ListenerKind::Stomp => Part::Stomp,
        ListenerKind::StompTls => Part::StompTls,
        ListenerKind::Link => Part::Link,
        ListenerKind::Admin => Part::Admin,
    }
}
