//! A valid network to what the objects of each local site are built from: files, their hash, and where the site runs.

use std::collections::{BTreeMap, BTreeSet};

use causeway_broker::config::Files;
use causeway_broker::config::hash::config_hash;
use uuid::Uuid;

use super::build::{SiteInputs, TemplateInputs};
use super::credentials::HashCache;
use super::error::Error;
use super::keys::Keys;
use super::placement::{self, Ground};
use crate::api::condition::Reason;
use crate::api::shared::{BundleKind, BundleRef};
use crate::finding::{Finding, Subject};
use crate::model::cluster::Mounts;
use crate::model::{Declared, ValidNetwork};
use crate::names::SiteName;
use crate::network::build::MAX_SECRET;
use crate::render::{self, SiteFiles};

/// What the sites are assembled from.
pub struct Inputs<'a> {
    /// The network.
    pub network: &'a ValidNetwork,
    /// The sites that run here.
    pub local: &'a BTreeSet<SiteName>,
    /// Uid of the object.
    pub uid: &'a str,
    /// What was made once.
    pub keys: &'a Keys,
    /// Hashes of passwords.
    pub hashes: &'a HashCache,
    /// `cache.json`.
    pub cache: &'a [u8],
}

/// A site whose template is not decided yet.
#[derive(Debug, Clone)]
pub struct Assembled {
    /// The broker's files.
    pub files: SiteFiles,
    /// Their hash.
    pub config_hash: String,
    /// Where the site runs.
    pub placement: crate::model::Placement,
}

/// Renders every local site and reads the files as the broker will.
///
/// # Errors
/// A site cannot be rendered.
pub fn assemble(
    inputs: &Inputs<'_>,
) -> Result<(BTreeMap<SiteName, Assembled>, Vec<Finding>), Error> {
    let claimant = Uuid::parse_str(inputs.uid).unwrap_or_default();
    let mut sites = BTreeMap::new();
    let mut findings = Vec::new();
    for name in inputs.local {
        let token = inputs.keys.tokens.get(name.as_str());
        let ground = Ground {
            claimant,
            admin_token: token.map(String::as_str).unwrap_or_default(),
            local: inputs.local,
        };
        let Some(placement) = placement::operated(inputs.network, name, ground) else {
            continue;
        };
        let files =
            render::render(inputs.network, name, &placement, inputs.hashes).map_err(|cause| {
                Error::Render {
                    site: name.to_string(),
                    cause: cause.to_string(),
                }
            })?;
        findings.extend(refusals(name, &files));
        findings.extend(oversized(name, &files, inputs.cache));
        let hashed: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
            .collect();
        let assembled = Assembled {
            config_hash: config_hash(&hashed),
            files,
            placement,
        };
        sites.insert(name.clone(), assembled);
    }
    Ok((sites, findings))
}

/// What the objects are built from, once the plan has chosen templates.
#[must_use]
pub fn with_templates(
    sites: BTreeMap<SiteName, Assembled>,
    mut templates: BTreeMap<SiteName, TemplateInputs>,
    cache: &[u8],
) -> BTreeMap<SiteName, SiteInputs> {
    let sites = sites.into_iter().filter_map(|(name, site)| {
        let inputs = SiteInputs {
            files: site.files,
            config_hash: site.config_hash,
            placement: site.placement,
            template: templates.remove(&name)?,
            cache: cache.to_vec(),
        };
        Some((name, inputs))
    });
    sites.collect()
}

/// Hash of the certificates that each site's pod mounts, where all of them are there.
#[must_use]
pub fn all_certificates(
    sites: &BTreeMap<SiteName, SiteInputs>,
    declared: &Declared,
) -> BTreeMap<SiteName, String> {
    let hashes = sites.iter().filter_map(|(name, site)| {
        let mounts = &site.template.restart.placement.mounts;
        Some((name.clone(), certificates(mounts, declared)?))
    });
    hashes.collect()
}

/// Hash of the certificates that a pod mounts, as its broker tells it; nothing where one of them is not there.
#[must_use]
pub fn certificates(mounts: &Mounts, declared: &Declared) -> Option<String> {
    let mut files = Files::default();
    let mut add = |path: &str, bytes: Option<&Vec<u8>>| {
        let bytes = bytes.cloned()?;
        files.others.insert(path.to_owned(), bytes);
        Some(())
    };
    if let Some(name) = &mounts.certificate {
        let pair = declared.secrets.get(name)?;
        add(render::CERTIFICATE, pair.get("tls.crt"))?;
        add(render::KEY, pair.get("tls.key"))?;
    }
    let bundles = [
        (&mounts.trust_bundle, render::TRUST_BUNDLE),
        (&mounts.client_trust_bundle, render::CLIENT_TRUST_BUNDLE),
    ];
    for (reference, path) in bundles {
        let Some(BundleRef { kind, name, key }) = reference else {
            continue;
        };
        let objects = match kind {
            BundleKind::Secret => &declared.secrets,
            BundleKind::ConfigMap => &declared.config_maps,
        };
        add(path, objects.get(name)?.get(key))?;
    }
    Some(files.certificates_hash())
}

fn refusals(site: &SiteName, files: &SiteFiles) -> Vec<Finding> {
    // Certificates are mounted beside the files and are not looked at here.
    let problems = render::check(files, &render::unknown_certificates()).err();
    let own = problems
        .into_iter()
        .flatten()
        .filter(|problem| !problem.path.starts_with("tls."));
    own.map(|problem| {
        let reason = format!(
            "the broker of {site} would refuse {} {}: {}",
            problem.file, problem.path, problem.reason
        );
        Finding::error(Subject::Network, "spec", reason).because(Reason::ConfigRejected)
    })
    .collect()
}

fn oversized(site: &SiteName, files: &SiteFiles, cache: &[u8]) -> Option<Finding> {
    let size = files.values().map(Vec::len).sum::<usize>() + cache.len();
    (size > MAX_SECRET).then(|| {
        let reason = format!("the files of {site} have {size} bytes; a Secret holds {MAX_SECRET}");
        Finding::error(Subject::Network, "spec", reason).because(Reason::ConfigTooLarge)
    })
}
