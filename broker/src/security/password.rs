//! Password hashes: Argon2id as PHC strings.

use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Memory of a hash in KiB, at most.
pub const MAX_MEMORY_KIB: u32 = 64 << 10;
/// Passes of a hash, at most.
pub const MAX_PASSES: u32 = 4;
/// Lanes of a hash, at most.
pub const MAX_LANES: u32 = 4;
/// Bytes of a password.
pub const MAX_SECRET: usize = 1024;

/// Why a verifier cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// Not a PHC string.
    #[error("a verifier is not a PHC string ($argon2id$…)")]
    NotPhc,
    /// Another algorithm.
    #[error("a verifier is not argon2id")]
    NotArgon2id,
    /// One login would cost too much.
    #[error("a verifier asks for more than m=65536, t=4, p=4")]
    TooCostly,
    /// The hash could not be computed.
    #[error("the password cannot be hashed")]
    Failed,
}

/// Checks that a verifier can be used.
///
/// # Errors
/// It is not an Argon2id hash, or one beyond the caps.
pub fn check_hash(text: &str) -> Result<(), HashError> {
    let hash = PasswordHash::new(text).map_err(|_| HashError::NotPhc)?;
    if hash.algorithm.as_str() != "argon2id" {
        return Err(HashError::NotArgon2id);
    }
    let params = Params::try_from(&hash).map_err(|_| HashError::NotPhc)?;
    if params.m_cost() > MAX_MEMORY_KIB
        || params.t_cost() > MAX_PASSES
        || params.p_cost() > MAX_LANES
    {
        return Err(HashError::TooCostly);
    }
    Ok(())
}

/// True when the password fits the hash. Costs what the hash says.
#[must_use]
pub fn verify(password: &str, text: &str) -> bool {
    if password.is_empty() || password.len() > MAX_SECRET || check_hash(text).is_err() {
        return false;
    }
    PasswordHash::new(text).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

/// Hashes a password with the usual cost: 19 MiB, two passes, one lane.
///
/// # Errors
/// The password cannot be hashed (too long).
pub fn hash(password: &str, salt: &[u8; 16]) -> Result<String, HashError> {
    let params = Params::new(19_456, 2, 1, Some(32)).map_err(|_| HashError::Failed)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut output = [0; 32];
    argon2
        .hash_password_into(password.as_bytes(), salt, &mut output)
        .map_err(|_| HashError::Failed)?;
    let (salt, output) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output));
    Ok(format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${output}"))
}

/// Verified for unknown users, so that time does not tell who exists. Salt and hash are random:
/// nobody knows a password that fits.
pub const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bqHwMZSvTypyzc/QoK8Mhw$nD/AaMeBzKNFXBerWjnQjzfTG+xTFUZpuNftKb/oJTk";

#[cfg(test)]
mod tests {
    use super::{DUMMY, HashError, check_hash, hash, verify};

    #[test]
    fn a_hash_verifies_its_password_and_no_other() {
        let made = hash("pI1jweRV", b"0123456789abcdef");
        let Ok(text) = made else { panic!("{made:?}") };
        assert_eq!(check_hash(&text), Ok(()));
        assert!(verify("pI1jweRV", &text));
        assert!(!verify("pI1jweRv", &text));
        assert!(!verify("", &text));
    }

    #[test]
    fn what_unknown_users_are_verified_against_costs_what_a_usual_hash_does() {
        assert_eq!(check_hash(DUMMY), Ok(()));
        assert!(DUMMY.contains("$m=19456,t=2,p=1$"));
    }

    #[test]
    fn costly_and_foreign_hashes_are_refused() {
        let rows = [
            (
                "$argon2id$v=19$m=65537,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                HashError::TooCostly,
            ),
            (
                "$argon2i$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
                HashError::NotArgon2id,
            ),
            ("pI1jweRV", HashError::NotPhc),
        ];
        for (text, expected) in rows {
            assert_eq!(check_hash(text), Err(expected), "{text}");
        }
    }
}
