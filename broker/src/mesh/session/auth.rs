//! Proof of a link's password (3.2): four steps, bound to the TLS session, the password never on
//! the wire, both ends proved.

use aws_lc_rs::hmac;

use crate::mesh::config::{Secret, Secrets};
use crate::mesh::session::Credential;

/// Bytes of a nonce.
pub const NONCE_LEN: usize = 32;

/// Whose proof it is, so that one cannot be sent back as the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The end that dialled.
    Dialler,
    /// The end that accepted.
    Acceptor,
}

impl Side {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Dialler => b"dialler",
            Self::Acceptor => b"acceptor",
        }
    }
}

/// The bodies of the first two steps as they travelled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exchange {
    /// Body of step 1.
    pub first: Vec<u8>,
    /// Body of step 2.
    pub second: Vec<u8>,
}

impl Exchange {
    /// The proof of one side. `binding` is the exporter value of the TLS session, absent on plain
    /// TCP.
    #[must_use]
    pub fn proof(&self, side: Side, secret: &Secret, binding: Option<&[u8; 32]>) -> Vec<u8> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.bytes());
        hmac::sign(&key, &self.text(side, binding))
            .as_ref()
            .to_vec()
    }

    /// Compares in constant time.
    #[must_use]
    pub fn is_proof(
        &self,
        side: Side,
        secret: &Secret,
        binding: Option<&[u8; 32]>,
        proof: &[u8],
    ) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.bytes());
        hmac::verify(&key, &self.text(side, binding), proof).is_ok()
    }

    /// The password that a dialler proved: the current one is tried first.
    #[must_use]
    pub fn proved(
        &self,
        secrets: &Secrets,
        binding: Option<&[u8; 32]>,
        proof: &[u8],
    ) -> Option<(Secret, Credential)> {
        let current = secrets
            .current
            .iter()
            .map(|secret| (secret, Credential::Current));
        let previous = secrets
            .previous
            .iter()
            .map(|secret| (secret, Credential::Previous));
        current
            .chain(previous)
            .find(|(secret, _)| self.is_proof(Side::Dialler, secret, binding, proof))
            .map(|(secret, credential)| (secret.clone(), credential))
    }

    fn text(&self, side: Side, binding: Option<&[u8; 32]>) -> Vec<u8> {
        let binding = binding.map_or(&[][..], |binding| &binding[..]);
        [side.label(), binding, &self.first, &self.second].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::{Exchange, Side};
    use crate::mesh::config::{Secret, Secrets};
    use crate::mesh::session::Credential;

    fn exchange() -> Exchange {
        Exchange {
            first: b"one".to_vec(),
            second: b"two".to_vec(),
        }
    }

    #[test]
    fn a_proof_holds_for_one_side_one_password_and_one_tls_session_only() {
        let (secret, other) = (Secret::new(b"right"), Secret::new(b"wrong"));
        let proof = exchange().proof(Side::Dialler, &secret, Some(&[1; 32]));
        let holds = |side, secret, binding: Option<&[u8; 32]>| {
            exchange().is_proof(side, secret, binding, &proof)
        };
        assert!(holds(Side::Dialler, &secret, Some(&[1; 32])));
        assert!(!holds(Side::Acceptor, &secret, Some(&[1; 32])));
        assert!(!holds(Side::Dialler, &other, Some(&[1; 32])));
        assert!(!holds(Side::Dialler, &secret, Some(&[2; 32])));
        assert!(!holds(Side::Dialler, &secret, None));
        assert!(!Exchange::default().is_proof(Side::Dialler, &secret, Some(&[1; 32]), &proof));
    }

    #[test]
    fn the_proof_is_the_hmac_of_the_design() {
        // HMAC-SHA-256("key", "dialler" "onetwo"), from another implementation.
        let proof = exchange().proof(Side::Dialler, &Secret::new(b"key"), None);
        let text: String = proof.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            text,
            "558981f80d41b432821a96db022eee29dd7dd8c57e01724bbd2fa391f162cd1a"
        );
    }

    #[test]
    fn the_password_that_was_proved_is_named() {
        let (new, old) = (Secret::new(b"new"), Secret::new(b"old"));
        let secrets = Secrets {
            current: Some(new.clone()),
            previous: Some(old.clone()),
        };
        for (secret, credential) in [(new, Credential::Current), (old, Credential::Previous)] {
            let proof = exchange().proof(Side::Dialler, &secret, None);
            assert_eq!(
                exchange().proved(&secrets, None, &proof),
                Some((secret, credential))
            );
        }
        assert_eq!(exchange().proved(&secrets, None, &[0; 32]), None);
        assert_eq!(exchange().proved(&Secrets::default(), None, &[0; 32]), None);
    }
}
