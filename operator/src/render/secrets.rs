//! `secrets.yaml`.

use causeway_broker::config::file::{FORMAT, LinkSecret, SecretsFile};

use crate::model::{ListenerKind, Placement, SecretText, ValidNetwork};
use crate::names::SiteName;

/// The file, with the links of one site.
pub(super) fn file(network: &ValidNetwork, site: &SiteName, placement: &Placement) -> SecretsFile {
    let needs_token = placement.ports.contains_key(&ListenerKind::Admin) && !placement.is_loopback;
    let links = network.links_of(site).filter_map(|(name, link, _)| {
        let secret = link.secret.as_ref()?;
        let written = LinkSecret {
            user: secret.user.clone(),
            current: secret.current.expose().to_owned(),
            previous: secret
                .previous
                .as_ref()
                .map(SecretText::expose)
                .map(str::to_owned),
        };
        Some((name.to_string(), written))
    });
    SecretsFile {
        format: FORMAT,
        admin_token: needs_token.then(|| placement.admin_token.clone()),
        links: links.collect(),
    }
}
