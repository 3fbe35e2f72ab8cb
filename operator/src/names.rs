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

/// The Secret of a link's password where the link names none.
#[must_use]
pub fn link_secret(network: &str, link: &str) -> String {
    format!("{network}-link-{link}")
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
