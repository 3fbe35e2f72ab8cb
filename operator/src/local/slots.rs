//! Which ports a site has. A site keeps its slot for as long as it is in the file, whatever happens to the others.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// First port of the first block where nothing else is said.
pub const BASE_PORT: u16 = 61_610;

/// Ports of one block.
const BLOCK: u32 = 10;

const ADMIN: u16 = 1;
const STOMP: u16 = 3;
const STOMP_TLS: u16 = 4;
const LINK: u16 = 8;

/// No block is left below 65536.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "site {site} would have the ports {first}-{last}, which do not exist: choose a smaller --base-port than {base}"
)]
pub struct OutOfPorts {
    /// The site that has no block.
    pub site: String,
    /// First port that it would have.
    pub first: u32,
    /// Last port that it would have.
    pub last: u32,
    /// The base port that was asked for.
    pub base: u16,
}

/// The ports of one site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    base: u16,
}

impl Ports {
    /// Health, metrics, status.
    #[must_use]
    pub const fn admin(self) -> u16 {
        self.base + ADMIN
    }

    /// STOMP.
    #[must_use]
    pub const fn stomp(self) -> u16 {
        self.base + STOMP
    }

    /// STOMP over TLS.
    #[must_use]
    pub const fn stomp_tls(self) -> u16 {
        self.base + STOMP_TLS
    }

    /// Links of other sites.
    #[must_use]
    pub const fn link(self) -> u16 {
        self.base + LINK
    }
}

/// Slots by site; kept in the state folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Slots {
    /// First port of slot 0.
    pub base_port: u16,
    /// The slot of each site.
    pub sites: BTreeMap<String, u16>,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            base_port: BASE_PORT,
            sites: BTreeMap::new(),
        }
    }
}

impl Slots {
    /// The slots for these sites: those that have one keep it, the others take the lowest free one in the order given.
    #[must_use]
    pub fn assign<'a>(&self, base_port: u16, sites: impl Iterator<Item = &'a str> + Clone) -> Self {
        let mut kept: BTreeMap<String, u16> = sites
            .clone()
            .filter_map(|site| Some((site.to_owned(), *self.sites.get(site)?)))
            .collect();
        for site in sites {
            if !kept.contains_key(site) {
                let free = (0..u16::MAX).find(|slot| kept.values().all(|taken| taken != slot));
                // 64 sites cannot take 65535 slots.
                kept.insert(site.to_owned(), free.unwrap_or(u16::MAX));
            }
        }
        Self {
            base_port,
            sites: kept,
        }
    }

    /// The ports of a site.
    ///
    /// # Errors
    /// Its block ends above 65535. A site without a slot is treated as the first one.
    pub fn ports(&self, site: &str) -> Result<Ports, OutOfPorts> {
        let slot = self.sites.get(site).copied().unwrap_or_default();
        let first = u32::from(self.base_port) + BLOCK * u32::from(slot);
        let last = first + BLOCK - 1;
        match (u16::try_from(first), u16::try_from(last)) {
            (Ok(base), Ok(_)) => Ok(Ports { base }),
            _ => Err(OutOfPorts {
                site: site.to_owned(),
                first,
                last,
                base: self.base_port,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assign(slots: &Slots, sites: &[&str]) -> Slots {
        slots.assign(slots.base_port, sites.iter().copied())
    }

    #[test]
    fn the_first_site_has_the_well_known_ports() {
        let slots = assign(&Slots::default(), &["ie", "uk"]);
        let ports = slots.ports("ie").expect("a block");
        assert_eq!((ports.admin(), ports.stomp()), (61_611, 61_613));
        assert_eq!((ports.stomp_tls(), ports.link()), (61_614, 61_618));
        assert_eq!(slots.ports("uk").expect("a block").stomp(), 61_623);
    }

    #[test]
    fn a_new_site_takes_the_lowest_free_slot_and_moves_nobody() {
        let first = assign(&Slots::default(), &["ie", "uk", "us"]);
        let without = assign(&first, &["us", "ie"]);
        assert_eq!(without.sites["us"], 2);
        let again = assign(&without, &["de", "us", "fr", "ie"]);
        assert_eq!(again.sites["ie"], 0);
        assert_eq!(again.sites["us"], 2);
        assert_eq!(again.sites["de"], 1);
        assert_eq!(again.sites["fr"], 3);
    }

    #[test]
    fn a_block_above_the_last_port_is_refused_by_name() {
        let slots = Slots::default().assign(65_520, ["a", "b"].into_iter());
        assert!(slots.ports("a").is_ok());
        let error = slots.ports("b").expect_err("no such ports").to_string();
        assert!(
            error.contains("site b") && error.contains("--base-port"),
            "{error}"
        );
    }
}
