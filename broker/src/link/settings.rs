//! What the control plane is told, made from the configuration.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::config::certificates;
use crate::config::file::LinkAuthMode;
use crate::mesh::config::{
    Address, Caps, Claim, LinkAuth, LinkConfig, MeshConfig, Secret, Secrets, SiteFacts, Timing,
};
use crate::mesh::ids::{Epoch, Instance, Sid};

/// The control plane's view of a configuration.
#[must_use]
pub fn mesh_config(config: &Config) -> MeshConfig {
    let (file, limits) = (&config.broker, &config.limits);
    let sid_of = |name: &str, id: Option<u16>| id.map_or_else(|| Sid::from_name(name), Sid);
    let sites: BTreeMap<String, Sid> = file
        .sites
        .iter()
        .map(|site| (site.name.clone(), sid_of(&site.name, site.id)))
        .collect();
    let sid = file.id.map(Sid).or_else(|| sites.get(&file.site).copied());
    let times = &limits.mesh_times;
    MeshConfig {
        sid: sid.unwrap_or_else(|| Sid::from_name(&file.site)),
        sites,
        denied_sites: file.denied_sites.iter().cloned().collect(),
        trust_domain: file
            .tls
            .as_ref()
            .map_or_else(|| "causeway".into(), |tls| tls.trust_domain.clone()),
        auth: match file.link_auth {
            LinkAuthMode::Password => LinkAuth::Password,
            LinkAuthMode::Mtls => LinkAuth::Mtls,
            LinkAuthMode::PasswordAndMtls => LinkAuth::Both,
        },
        tls: tls_number(config),
        links: file
            .links
            .iter()
            .map(|link| link_config(config, link))
            .collect(),
        reply_patterns: limits.reply_patterns.clone(),
        timing: Timing {
            handshake: times.handshake.duration(),
            sync: times.sync.duration(),
            redial_min: times.redial_min.duration(),
            redial_max: times.redial_max.duration(),
            refused_min: times.refused_min.duration(),
            refused_max: times.refused_max.duration(),
            lsa_refresh: times.lsa_refresh.duration(),
            limbo: limits.limbo_time.duration(),
            report_refresh: times.report_refresh.duration(),
            probe: times.probe_interval.duration(),
            renew_after: times.renew_after.duration(),
        },
        caps: Caps {
            databases: limits.databases,
            frame: u32::try_from(limits.frame).unwrap_or(u32::MAX),
            open_credit: limits.open_credit,
            ..Caps::default()
        },
        facts: SiteFacts {
            software: env!("CARGO_PKG_VERSION").to_owned(),
            spec_hash: file.spec_hash.clone().unwrap_or_default(),
            users_hash: file.users_hash.clone().unwrap_or_default(),
            config_hash: config.hash.clone(),
            certificate_ends: certificate_ends(config),
            ..SiteFacts::default()
        },
        ..MeshConfig::new(&file.network, &file.site)
    }
}

/// Stands for what links show and whom they trust: equal for equal files, 0 without any.
#[must_use]
pub fn tls_number(config: &Config) -> u64 {
    let Some(tls) = &config.broker.tls else {
        return 0;
    };
    let mut digest = Sha256::new();
    for path in [Some(&tls.certificate), tls.trust_bundle.as_ref()] {
        let file = path.and_then(|path| config.others.get(path));
        let bytes = file.map(Vec::as_slice).unwrap_or_default();
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    }
    let start = digest.finalize().first_chunk().copied();
    start.map_or(1, u64::from_be_bytes)
}

/// The end of the own certificate in Unix seconds; 0 without one.
fn certificate_ends(config: &Config) -> i64 {
    let tls = config.broker.tls.as_ref();
    let chain = tls.and_then(|tls| config.others.get(&tls.certificate));
    chain
        .and_then(|pem| certificates::end(pem))
        .unwrap_or_default()
}

fn link_config(config: &Config, link: &crate::config::file::Link) -> LinkConfig {
    let secret = config.secrets.links.get(&link.name);
    let bytes = |text: &String| Secret::new(text.as_bytes());
    LinkConfig {
        name: link.name.clone(),
        peer: link.peer.clone(),
        cost: u32::from(link.cost),
        addresses: link
            .addresses
            .iter()
            .map(|address| Address {
                host: address.host.clone(),
                port: address.port,
            })
            .collect(),
        heartbeat: link.heartbeat.duration(),
        user: secret
            .and_then(|secret| secret.user.clone())
            .unwrap_or_default(),
        secrets: Secrets {
            current: secret.map(|secret| bytes(&secret.current)),
            previous: secret
                .and_then(|secret| secret.previous.as_ref())
                .map(bytes),
        },
    }
}

/// Who claims the site. Without a store the claim begins with this process.
#[must_use]
pub fn claim(config: &Config, epoch: u64) -> Claim {
    let hex: String = config
        .broker
        .instance
        .chars()
        .filter(char::is_ascii_hexdigit)
        .collect();
    let instance = u128::from_str_radix(&hex, 16).unwrap_or(0).to_be_bytes();
    Claim {
        instance: Instance(instance),
        since: Epoch(epoch),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::broker::Broker;
    use crate::config::test_support;
    use crate::link::node::Node;

    fn with_window(window: &str) -> Config {
        let mut files = test_support::files();
        let text = String::from_utf8_lossy(&files.broker).replace(
            "addresses: [{host: b.example.com, port: 61618}]",
            &format!("window: {window}"),
        );
        files.broker = text.into_bytes();
        test_support::config(&files)
    }

    #[tokio::test]
    async fn a_link_has_its_own_window_and_takes_another_one_live() {
        let config = with_window("64Ki");
        let mesh = mesh_config(&config);
        let broker = Arc::new(Broker::new(Arc::new(config.clone()), 1, mesh.bid().0));
        let cancel = CancellationToken::new();
        let claim = claim(&config, 1);
        let node = Node::new(broker, &config, &mesh, claim, 1, cancel).expect("a node");
        let cap = || {
            let id = node.with_core(|core| core.link("a-b")).expect("a link");
            node.link(id).expect("its data").ring().cap()
        };
        assert_eq!(cap(), 64 << 10);
        let wider = with_window("1Mi");
        node.apply(&wider, &mesh_config(&wider)).expect("in force");
        assert_eq!(cap(), 1 << 20);
    }

    #[test]
    fn what_has_no_effect_is_no_key() {
        for (key, path) in [
            ("mesh: {spread: true}", "mesh"),
            (
                "listeners: {link: {bind: a, port: 1, transport: plain}}",
                "link",
            ),
        ] {
            let read = serde_yaml::from_str::<crate::config::file::BrokerFile>(&format!(
                "format: 1\nnetwork: n\nsite: a\ninstance: i\nsites: []\n{key}\n"
            ));
            let error = read.expect_err("an unknown key").to_string();
            assert!(error.contains("unknown field"), "{path}: {error}");
        }
    }
}
