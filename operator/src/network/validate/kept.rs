//! What users and links prove who they are with where their own Secret is gone or wrong: what was in force before.

use std::collections::BTreeMap;

use causeway_broker::config::file::{self, LinkAuthMode, SecretsFile, UsersFile};
use serde::Deserialize;

use super::Check;
use crate::model::valid::LinkSecret;
use crate::model::{Declared, SecretText};
use crate::names::{self, Part};
use crate::render;

/// What the sites here have in their files now.
#[derive(Default)]
pub(super) struct InForce {
    /// Verifiers by login name.
    users: BTreeMap<String, Vec<String>>,
    /// Links by name and the ends they join.
    links: BTreeMap<(String, [String; 2]), KeptLink>,
}

/// What a link is in force with.
#[derive(Clone)]
pub(super) enum KeptLink {
    /// Its password.
    Password(LinkSecret),
    /// The certificates of its ends, and no password.
    Certificates,
}

/// The part of `broker.yaml` that tells of links, whichever version wrote it.
#[derive(Deserialize)]
struct Links {
    #[serde(default)]
    link_auth: LinkAuthMode,
    #[serde(default)]
    links: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    name: String,
    peer: String,
}

impl Check<'_> {
    /// The verifiers of a user in the files that the sites here have now; nothing where it has none.
    ///
    /// A Secret that is lost or spoilt takes nobody's access: that is for `state: Suspended` and for removing the user.
    pub(super) fn kept(&mut self, username: &str) -> Option<Vec<String>> {
        self.in_force().users.get(username).cloned()
    }

    pub(super) fn in_force(&mut self) -> &InForce {
        let declared = self.declared;
        self.kept.get_or_insert_with(|| InForce::of(declared))
    }
}

impl InForce {
    fn of(declared: &Declared) -> Self {
        let network = declared.name();
        let mut found = Self::default();
        for site in declared.local_sites.iter().flatten() {
            let secret = names::site_part(network, site, Part::Config);
            if let Some(files) = declared.secrets.get(&secret) {
                found.add_users(files);
                found.add_links(site, files);
            }
        }
        found
    }

    /// What a link of this name has between these very ends: a password that was given to one site is none to be shown to
    /// another.
    pub(super) fn link(&self, name: &str, ends: [&str; 2]) -> Option<KeptLink> {
        self.links.get(&(name.to_owned(), pair(ends))).cloned()
    }

    fn add_users(&mut self, files: &BTreeMap<String, Vec<u8>>) {
        let Some(file) = read::<UsersFile>(files, render::USERS) else {
            return;
        };
        let users = file.users.into_iter();
        let proven = users.filter(|user| !user.verifiers.is_empty());
        self.users
            .extend(proven.map(|user| (user.name, user.verifiers)));
    }

    fn add_links(&mut self, site: &str, files: &BTreeMap<String, Vec<u8>>) {
        let Some(written) = read::<Links>(files, render::BROKER) else {
            return;
        };
        let secrets = read::<SecretsFile>(files, render::SECRETS);
        for link in written.links {
            let kept = match secrets.as_ref().and_then(|file| file.links.get(&link.name)) {
                _ if written.link_auth == LinkAuthMode::Mtls => KeptLink::Certificates,
                Some(secret) => KeptLink::Password(password(secret)),
                None => continue,
            };
            self.links
                .insert((link.name, pair([site, &link.peer])), kept);
        }
    }
}

fn read<T: for<'de> Deserialize<'de>>(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Option<T> {
    serde_yaml::from_slice(files.get(name)?).ok()
}

fn pair(mut ends: [&str; 2]) -> [String; 2] {
    ends.sort_unstable();
    ends.map(str::to_owned)
}

fn password(secret: &file::LinkSecret) -> LinkSecret {
    LinkSecret {
        user: secret.user.clone(),
        current: SecretText::new(&secret.current),
        previous: secret.previous.as_deref().map(SecretText::new),
    }
}
