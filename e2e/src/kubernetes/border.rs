//! What joins two clusters: a cable between their namespaces, and the routes over it.

use std::net::Ipv4Addr;

use anyhow::Result;

use super::address::Addresses;
use super::namespace::{Namespace, ip};

/// One end of the cable.
#[derive(Debug)]
struct End {
    namespace: String,
    device: String,
    /// Its own address.
    address: Ipv4Addr,
    /// What is behind the other end.
    beyond: Vec<String>,
}

/// Joins two clusters until it is dropped.
#[derive(Debug)]
pub struct Border {
    ends: [End; 2],
}

impl Border {
    pub(super) fn make(sides: [(&Namespace, &Addresses); 2]) -> Result<Self> {
        let [(here, ours), (there, theirs)] = sides;
        let end = |namespace: &Namespace, other: &Addresses, last: u8| End {
            namespace: namespace.name().to_owned(),
            device: format!("to-cluster{}", other.number),
            address: Ipv4Addr::new(10, 255, ours.number * 16 + theirs.number, last),
            beyond: other.reachable(),
        };
        let ends = [end(here, theirs, 1), end(there, ours, 2)];
        let [a, b] = &ends;
        let cable = format!(
            "link add {} netns {} type veth peer name {} netns {}",
            a.device, a.namespace, b.device, b.namespace
        );
        ip(&cable.split(' ').collect::<Vec<_>>())?;
        let border = Self { ends };
        for end in &border.ends {
            end.ip(&format!(
                "address add {}/30 dev {}",
                end.address, end.device
            ))?;
        }
        border.heal()?;
        Ok(border)
    }

    /// Nothing passes any more, in either direction.
    ///
    /// # Errors
    /// The cable is not there.
    pub fn cut(&self) -> Result<()> {
        self.ends
            .iter()
            .try_for_each(|end| end.ip(&format!("link set {} down", end.device)))
    }

    /// Everything passes again.
    ///
    /// # Errors
    /// The cable is not there.
    pub fn heal(&self) -> Result<()> {
        for end in &self.ends {
            end.ip(&format!("link set {} up", end.device))?;
        }
        let [a, b] = &self.ends;
        // A device that goes down takes its routes with it.
        for (end, gateway) in [(a, b.address), (b, a.address)] {
            for range in &end.beyond {
                end.ip(&format!("route replace {range} via {gateway}"))?;
            }
        }
        Ok(())
    }
}

impl End {
    fn ip(&self, arguments: &str) -> Result<()> {
        let mut all = vec!["-n", &self.namespace];
        all.extend(arguments.split(' '));
        ip(&all)
    }
}

impl Drop for Border {
    fn drop(&mut self) {
        // It is gone already where one of the clusters is.
        let [end, _] = &self.ends;
        let _ = end.ip(&format!("link delete {}", end.device));
    }
}
