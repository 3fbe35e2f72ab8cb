//! How the home of a temporary destination is written into its name.
//!
//! A client at another broker sees the name with the home appended: `<name>~<26 characters of
//! Crockford base32>`. A send to such a name needs no state anywhere but at its home.

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const HOME_DIGITS: usize = 26;

/// Appends the home to a name.
pub fn push_home(name: &mut String, home: [u8; 16]) {
    name.push('~');
    let number = u128::from_be_bytes(home);
    for digit in (0..HOME_DIGITS).rev() {
        let index = usize::try_from((number >> (digit * 5)) & 31).unwrap_or(0);
        name.push(char::from(ALPHABET[index]));
    }
}

/// The local name and the home of a name that carries one.
#[must_use]
pub fn split_home(name: &str) -> Option<(&str, [u8; 16])> {
    let (local, home) = name.rsplit_once('~')?;
    if home.len() != HOME_DIGITS {
        return None;
    }
    let mut number = 0_u128;
    for (position, digit) in home.bytes().enumerate() {
        let value = ALPHABET.iter().position(|known| *known == digit)?;
        if position == 0 && value > 7 {
            return None;
        }
        number = number << 5 | value as u128;
    }
    Some((local, number.to_be_bytes()))
}

/// The name without a home.
#[must_use]
pub fn local_name(name: &str) -> &str {
    split_home(name).map_or(name, |(local, _)| local)
}

#[cfg(test)]
mod tests {
    use super::{local_name, push_home, split_home};

    #[test]
    fn the_home_comes_back_from_the_name() {
        for home in [[0; 16], [0xff; 16], *b"0123456789abcdef"] {
            let mut name = String::from("ID:ie-1:2");
            push_home(&mut name, home);
            assert_eq!(split_home(&name), Some(("ID:ie-1:2", home)));
            assert_eq!(local_name(&name), "ID:ie-1:2");
        }
        assert_eq!(split_home("a~b"), None);
        assert_eq!(local_name("a~b"), "a~b");
    }
}
