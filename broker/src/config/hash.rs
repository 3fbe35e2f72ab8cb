//! `configHash`: which configuration a broker runs, in 16 hexadecimal digits.

use sha2::{Digest, Sha256};

/// Hex of the first 8 bytes of SHA-256 over files given as name and content in the order of their
/// names, each as name length, name, length, bytes. Lengths are big-endian u64, so no two sets of
/// files run together to the same input.
#[must_use]
pub fn config_hash(files: &[(&str, &[u8])]) -> String {
    let mut hasher = Sha256::new();
    for (name, bytes) in files {
        for part in [name.as_bytes(), bytes] {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
    }
    hasher
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::config_hash;

    #[test]
    fn the_hash_is_that_of_lengths_names_and_bytes() {
        // printf '\0\0\0\0\0\0\0\001a\0\0\0\0\0\0\0\002bc' | sha256sum
        assert_eq!(config_hash(&[("a", b"bc")]), "3fafa1cf2f19a7c1");
    }

    #[test]
    fn a_byte_that_moves_from_one_file_to_the_next_changes_the_hash() {
        let one = config_hash(&[("a", b"xy"), ("b", b"z")]);
        let other = config_hash(&[("a", b"x"), ("b", b"yz")]);
        assert_ne!(one, other);
    }
}
