//! Who may ask for a hand-over: a process of the same site and claim that has its admin token.

use super::words::{Claim, Holder, Word};
use crate::config::Config;
use crate::mesh::config::Secret;
use crate::mesh::session::auth::{Exchange, Side};

/// What both processes know.
#[derive(Debug, Clone)]
pub struct Identity {
    network: String,
    site: String,
    instance: String,
    token: Secret,
}

/// Why nothing is given or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// Another network, site or claim.
    #[error("it runs another network, site or instance")]
    OtherSite,
    /// Nothing can be proved to it.
    #[error("the older process has no admin token")]
    NoToken,
    /// The proof is wrong.
    #[error("it has another admin token")]
    OtherToken,
}

impl Identity {
    /// Of a configuration; `None` without an admin token, which is what is proved.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let token = config.secrets.admin_token.as_ref()?;
        Some(Self {
            network: config.broker.network.clone(),
            site: config.broker.site.clone(),
            instance: config.broker.instance.clone(),
            token: Secret::new(token.as_bytes()),
        })
    }

    /// First word of the newer process.
    #[must_use]
    pub fn claim(&self, nonce: [u8; 32]) -> Claim {
        Claim {
            network: self.network.clone(),
            site: self.site.clone(),
            instance: self.instance.clone(),
            nonce: nonce.to_vec(),
        }
    }

    /// Answer of the older process.
    ///
    /// # Errors
    /// Somebody else asks.
    pub fn answer(
        &self,
        claim: &Claim,
        mut holder: Holder,
        binding: Option<&[u8; 32]>,
    ) -> Result<Holder, Stranger> {
        let nonce = [0; 32];
        let own = self.claim(nonce);
        let is_same = (&own.network, &own.site, &own.instance)
            == (&claim.network, &claim.site, &claim.instance);
        if !is_same || claim.nonce.len() != nonce.len() {
            return Err(Stranger::OtherSite);
        }
        holder.proof = exchange(claim, &holder).proof(Side::Acceptor, &self.token, binding);
        Ok(holder)
    }

    /// Proof of the newer process, after it checked that of the older one.
    ///
    /// # Errors
    /// Somebody else answered.
    pub fn prove(
        &self,
        claim: &Claim,
        holder: &Holder,
        binding: Option<&[u8; 32]>,
    ) -> Result<Vec<u8>, Stranger> {
        let exchange = exchange(claim, holder);
        if !exchange.is_proof(Side::Acceptor, &self.token, binding, &holder.proof) {
            return Err(Stranger::OtherToken);
        }
        Ok(exchange.proof(Side::Dialler, &self.token, binding))
    }

    /// Checks the proof of the newer process.
    ///
    /// # Errors
    /// It has another token.
    pub fn check(
        &self,
        claim: &Claim,
        holder: &Holder,
        binding: Option<&[u8; 32]>,
        proof: &[u8],
    ) -> Result<(), Stranger> {
        exchange(claim, holder)
            .is_proof(Side::Dialler, &self.token, binding, proof)
            .then_some(())
            .ok_or(Stranger::OtherToken)
    }
}

/// The words that a proof is over: the answer counts without the proof in it.
fn exchange(claim: &Claim, holder: &Holder) -> Exchange {
    let holder = Holder {
        proof: Vec::new(),
        ..holder.clone()
    };
    Exchange {
        first: Word::Claim(claim.clone()).into_bytes(),
        second: Word::Holder(holder).into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(site: &str, token: &str) -> Identity {
        Identity {
            network: "mcollective".to_owned(),
            site: site.to_owned(),
            instance: "instance".to_owned(),
            token: Secret::new(token.as_bytes()),
        }
    }

    fn holder() -> Holder {
        Holder {
            epoch: 7,
            nonce: vec![2; 32],
            address: "192.0.2.1:61618".to_owned(),
            proof: Vec::new(),
        }
    }

    #[test]
    fn two_processes_of_a_site_believe_each_other() {
        let site = identity("ie", "token");
        let (claim, binding) = (site.claim([1; 32]), Some(&[3; 32]));
        let holder = site.answer(&claim, holder(), binding).expect("an answer");
        let proof = site.prove(&claim, &holder, binding).expect("a proof");
        assert_eq!(site.check(&claim, &holder, binding, &proof), Ok(()));
    }

    #[test]
    fn another_site_or_a_nonce_that_is_none_gets_no_answer() {
        let (ie, uk) = (identity("ie", "token"), identity("uk", "token"));
        let refused = |claim: &Claim| ie.answer(claim, holder(), None).err();
        assert_eq!(refused(&uk.claim([1; 32])), Some(Stranger::OtherSite));
        let mut short = ie.claim([1; 32]);
        short.nonce.pop();
        assert_eq!(refused(&short), Some(Stranger::OtherSite));
    }

    #[test]
    fn a_proof_is_worth_nothing_with_another_token_session_or_answer() {
        let (site, other) = (identity("ie", "token"), identity("ie", "another"));
        let (claim, binding) = (site.claim([1; 32]), Some(&[3; 32]));
        let answered = site.answer(&claim, holder(), binding).expect("an answer");
        let wrong = other.prove(&claim, &answered, binding).err();
        assert_eq!(wrong, Some(Stranger::OtherToken));
        let relayed = site.prove(&claim, &answered, Some(&[4; 32])).err();
        assert_eq!(relayed, Some(Stranger::OtherToken));
        let proof = site.prove(&claim, &answered, binding).expect("a proof");
        let elsewhere = Holder {
            address: "198.51.100.1:61618".to_owned(),
            ..answered.clone()
        };
        let checked = site.check(&claim, &elsewhere, binding, &proof);
        assert_eq!(checked, Err(Stranger::OtherToken));
        // What the older process proved does not prove the newer one.
        let echoed = site.check(&claim, &answered, binding, &answered.proof);
        assert_eq!(echoed, Err(Stranger::OtherToken));
    }
}
