//! Names: newtypes for what the documents name, and every name that is derived from them.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// A name that has been checked.
            #[must_use]
            pub fn new(text: &str) -> Self {
                Self(text.into())
            }

            /// Its text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name! {
    /// Name of a network: its identity everywhere (P15).
    NetworkName
}
name! {
    /// Name of a site.
    SiteName
}
name! {
    /// Name of a link.
    LinkName
}

/// The parts of a site that have objects of their own. Of one kind of object none ends in another: `x-y` beside `y` would
/// make site `S`, part `x-y`, equal to site `S-x`, part `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Secret with what is made once.
    Keys,
    /// Secret with the broker's files.
    Config,
    /// Secret, and Certificate, with the site's certificate.
    Tls,
    /// Service of the STOMP listener.
    Stomp,
    /// Service of the listener for STOMP over TLS.
    StompTls,
    /// Service of the link listener.
    Link,
    /// Service of the admin listener.
    Admin,
    /// Service where a pod that starts finds the one that serves.
    Handover,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 8] = [
        Self::Keys,
        Self::Config,
        Self::Tls,
        Self::Stomp,
        Self::StompTls,
        Self::Link,
        Self::Admin,
        Self::Handover,
    ];

    /// As names end in it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Config => "config",
            Self::Tls => "tls",
            Self::Stomp => "stomp",
            Self::StompTls => "stomp-tls",
            Self::Link => "link",
            Self::Admin => "admin",
            Self::Handover => "handover",
        }
    }
}

/// The name of what a site has one of: ServiceAccount, Deployment, NetworkPolicy, PodDisruptionBudget. Neither name
/// holds two hyphens in a row (N1, N2), so no two pairs have the same.
#[must_use]
pub fn site_object(network: &str, site: &str) -> String {
    format!("{network}--{site}")
}

/// The name of a part of a site.
#[must_use]
pub fn site_part(network: &str, site: &str, part: Part) -> String {
    part_of(&site_object(network, site), part)
}

/// The name of a part of the site whose own objects have this name.
#[must_use]
pub fn part_of(object: &str, part: Part) -> String {
    format!("{object}-{}", part.as_str())
}

/// The Secret with what is made once for a network in a cluster.
#[must_use]
pub fn network_keys(network: &str) -> String {
    format!("{network}-keys")
}

/// The Secret with the development authority of a network.
#[must_use]
pub fn development_authority(network: &str) -> String {
    format!("{network}-dev-ca")
}

/// The host names of a site's Services of clients and links: short, and with their namespace.
#[must_use]
pub fn service_hosts(network: &str, site: &str, namespace: Option<&str>) -> Vec<String> {
    let parts = [Part::Stomp, Part::StompTls, Part::Link];
    let services = parts.map(|part| site_part(network, site, part));
    let hosts = services.into_iter().flat_map(|service| {
        let long = namespace.map(|namespace| format!("{service}.{namespace}.svc"));
        core::iter::once(service).chain(long)
    });
    hosts.collect()
}

/// The Secret of a link's password where the link names none.
#[must_use]
pub fn link_secret(network: &str, link: &str) -> String {
    format!("{network}-link-{link}")
}

/// The Secret of a user's generated password.
#[must_use]
pub fn generated_secret(user: &str) -> String {
    format!("{user}-credentials")
}

/// The user whose generated password a Secret of this name would hold.
#[must_use]
pub fn user_of_secret(secret: &str) -> Option<&str> {
    secret.strip_suffix("-credentials")
}

/// The Secret of a site's certificate, from the template of the network.
#[must_use]
pub fn certificate_secret(template: Option<&str>, network: &str, site: &str) -> String {
    template
        .unwrap_or("{network}--{site}-tls")
        .replace("{network}", network)
        .replace("{site}", site)
}

/// The name of a link that follows from a shape: it does not depend on the order of the ends, and no two
/// pairs have the same.
#[must_use]
pub fn generated_link(one: &str, other: &str) -> String {
    let (first, second) = if one <= other {
        (one, other)
    } else {
        (other, one)
    };
    let separator = if first.contains('-') || second.contains('-') {
        "--"
    } else {
        "-"
    };
    format!("{first}{separator}{second}")
}

/// The id of a claim of a site (P2): the same for every start of a broker, different for every claimant.
#[must_use]
pub fn instance(claimant: Uuid, site: &str) -> Uuid {
    Uuid::new_v5(&claimant, site.as_bytes())
}

/// The claimant of files that are rendered without a cluster or a state folder.
#[must_use]
pub fn offline_claimant(network: &str) -> Uuid {
    Uuid::new_v5(&Uuid::nil(), network.as_bytes())
}

/// The identity of a site in certificates (an exact URI).
#[must_use]
pub fn site_uri(trust_domain: &str, network: &str, site: &str) -> String {
    format!("spiffe://{trust_domain}/network/{network}/site/{site}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_link_names_do_not_depend_on_the_order_of_the_ends() {
        assert_eq!(generated_link("uk", "ie"), "ie-uk");
        assert_eq!(generated_link("a-b", "c"), "a-b--c");
        assert_ne!(generated_link("a-b", "c"), generated_link("a", "b-c"));
    }
}
