//! The checks of a HELLO that need no map (3.3): who speaks, and over which link.

use crate::mesh::config::MeshConfig;
use crate::mesh::ids::{Bid, ClaimId, Epoch, Instance, Sid};
use crate::mesh::messages::{Hello, Reason};
use crate::mesh::session::Peer;

/// The protocol version spoken.
pub(in crate::mesh) const PROTOCOL: u32 = 1;
/// Capabilities of this release: none.
pub(in crate::mesh) const CAPS: u64 = 0;

/// What a REFUSE says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mesh) struct Refusal {
    pub(in crate::mesh) reason: Reason,
    pub(in crate::mesh) detail: String,
    pub(in crate::mesh) epoch_seen: Epoch,
}

impl Refusal {
    pub(in crate::mesh) fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            epoch_seen: Epoch(0),
        }
    }
}

/// Which site was proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mesh) enum Proved {
    /// The peer of the link whose password was proved.
    Site(String),
    /// The name in a certificate.
    Certificate(String),
}

/// Checks 1 to 5, in their order. `dialled` is the site this end wanted.
pub(in crate::mesh) fn judge(
    hello: &Hello,
    config: &MeshConfig,
    proved: &Proved,
    dialled: Option<&str>,
) -> Result<Peer, Refusal> {
    if hello.proto_min > PROTOCOL || hello.proto_max < PROTOCOL {
        let detail = format!("this broker speaks {PROTOCOL}");
        return Err(Refusal::new(Reason::VersionMismatch, detail));
    }
    if hello.network != config.network {
        let detail = format!("this is network {}", config.network);
        return Err(Refusal::new(Reason::NetworkMismatch, detail));
    }
    let peer = identify(hello, config, proved, dialled)?;
    if config.denied_sites.contains(&hello.site) {
        return Err(Refusal::new(
            Reason::DeniedSite,
            format!("site {} is denied", hello.site),
        ));
    }
    if !config.sites.contains_key(&hello.site) {
        let detail = format!("site {} is not in the network", hello.site);
        return Err(Refusal::new(Reason::UnknownPeer, detail));
    }
    Ok(peer)
}

fn identify(
    hello: &Hello,
    config: &MeshConfig,
    proved: &Proved,
    dialled: Option<&str>,
) -> Result<Peer, Refusal> {
    let unknown = |detail: String| Refusal::new(Reason::UnknownPeer, detail);
    let is_proved = match proved {
        Proved::Site(site) => *site == hello.site,
        Proved::Certificate(name) => *name == config.identity(&hello.site),
    };
    if !is_proved {
        return Err(unknown(format!("site {} was not proved", hello.site)));
    }
    if dialled.is_some_and(|dialled| dialled != hello.site) {
        return Err(unknown(format!("site {} answered", hello.site)));
    }
    let bid =
        Bid::from_slice(&hello.bid).filter(|bid| *bid == Bid::derive(&config.network, &hello.site));
    let bid = bid.ok_or_else(|| unknown(format!("broker id is not that of {}", hello.site)))?;
    let instance = Instance::from_slice(&hello.instance)
        .ok_or_else(|| unknown("instance is no claim id".to_owned()))?;
    let sid = u16::try_from(hello.sid).ok().filter(|sid| *sid != 0);
    let sid = sid.ok_or_else(|| unknown(format!("{} is no short id", hello.sid)))?;
    Ok(Peer {
        id: ClaimId {
            bid,
            instance8: instance.instance8(),
        },
        epoch: Epoch(hello.epoch),
        sid: Sid(sid),
        spec_hash: hello.spec_hash.clone(),
        live_conn: hello.live_conn,
        renews: hello.renew,
        max_frame: hello.max_frame,
        caps: hello.caps & CAPS,
    })
}
