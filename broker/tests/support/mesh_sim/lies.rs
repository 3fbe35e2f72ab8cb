//! The saboteur of the two-way check: a broker hears of every edge that one end alone lists as if
//! both ends listed it (R2). The rule itself is inside the core, so what the core hears is falsified.

use std::collections::BTreeMap;

use bytes::Bytes;
use causeway_broker::mesh::frame::FrameType;
use causeway_broker::mesh::messages::{HalfLink, Lsa, LsaFrame};
use prost::Message as _;

use super::world::{Sabotage, World};

type Claim = (Vec<u8>, u64);

/// What each process was really told, by process and claim.
#[derive(Debug, Default)]
pub struct Lies {
    /// What its issuer really said, by claim, epoch and version: whoever is told first is told by it.
    issued: BTreeMap<(Claim, u64, u64), Vec<HalfLink>>,
    truth: BTreeMap<(usize, u32), BTreeMap<Claim, Vec<HalfLink>>>,
}

fn claim(lsa: &Lsa) -> Claim {
    let first = lsa.instance.first_chunk().copied().unwrap_or_default();
    (lsa.bid.clone(), u64::from_be_bytes(first))
}

impl World {
    /// What the core of a broker is told when a control frame arrives.
    pub fn told(&mut self, at: usize, kind: FrameType, body: Bytes) -> Bytes {
        let is_lied_to = matches!(self.sabotage, Some(Sabotage::TwoWay | Sabotage::Hops));
        if !is_lied_to || kind != FrameType::Lsa {
            return body;
        }
        self.falsify(at, &body).unwrap_or(body)
    }

    fn falsify(&mut self, at: usize, body: &Bytes) -> Option<Bytes> {
        let mut frame = LsaFrame::decode(&body[..]).ok()?;
        let mut lsa = Lsa::decode(&frame.lsa[..]).ok()?;
        let own = claim(&lsa);
        let life = self.life(at)?;
        let version = (own.clone(), lsa.epoch, lsa.seq);
        let issued = self.lies.issued.entry(version);
        lsa.links = issued.or_insert(lsa.links).clone();
        let truth = self.lies.truth.entry((at, life)).or_default();
        truth.insert(own.clone(), lsa.links.clone());
        for ((peer, peer_instance8), links) in truth.iter() {
            let toward = links
                .iter()
                .filter(|half| (&half.peer, half.peer_instance8) == (&own.0, own.1));
            for half in toward {
                let is_listed = lsa
                    .links
                    .iter()
                    .any(|listed| listed.peer == *peer && listed.link == half.link);
                if !is_listed {
                    lsa.links.push(HalfLink {
                        peer: peer.clone(),
                        peer_instance8: *peer_instance8,
                        ..half.clone()
                    });
                }
            }
        }
        frame.lsa = lsa.encode_to_vec().into();
        Some(frame.encode_to_vec().into())
    }
}
