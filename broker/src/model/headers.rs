//! Application headers as one block of length-prefixed pairs: built once where a message enters,
//! copied whole into envelopes, walked without allocation.
//!
//! Each pair is `u16 name length, u16 value length, name, value`, big-endian, UTF-8.

/// Headers of one message, borrowed. Values of a block that came over a link are not trusted:
/// the walk ends at the first pair that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeaderBlock<'a>(&'a [u8]);

impl<'a> HeaderBlock<'a> {
    /// A block over bytes that `HeaderBlockBuf` or an envelope holds.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The encoded pairs.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// True when every pair fits and is UTF-8; checked once where a block comes from outside.
    #[must_use]
    pub fn is_well_formed(self) -> bool {
        let mut rest = self.0;
        while !rest.is_empty() {
            match split_pair(rest) {
                Some((_, _, next)) => rest = next,
                None => return false,
            }
        }
        true
    }

    /// The pairs in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (name, value, next) = split_pair(rest)?;
            rest = next;
            Some((name, value))
        })
    }

    /// The value of the first header of that name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

fn split_pair(bytes: &[u8]) -> Option<(&str, &str, &[u8])> {
    let (lengths, rest) = bytes.split_at_checked(4)?;
    let name_length = usize::from(u16::from_be_bytes([lengths[0], lengths[1]]));
    let value_length = usize::from(u16::from_be_bytes([lengths[2], lengths[3]]));
    let (name, rest) = rest.split_at_checked(name_length)?;
    let (value, rest) = rest.split_at_checked(value_length)?;
    Some((
        std::str::from_utf8(name).ok()?,
        std::str::from_utf8(value).ok()?,
        rest,
    ))
}

/// Builds a block; kept and cleared between messages, so that a steady stream allocates nothing.
#[derive(Debug, Default)]
pub struct HeaderBlockBuf(Vec<u8>);

impl HeaderBlockBuf {
    /// Forgets the pairs and keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Appends a pair. False, and nothing appended, when a part is longer than 65,535 bytes.
    pub fn push(&mut self, name: &str, value: &str) -> bool {
        let (Ok(name_length), Ok(value_length)) =
            (u16::try_from(name.len()), u16::try_from(value.len()))
        else {
            return false;
        };
        self.0.extend_from_slice(&name_length.to_be_bytes());
        self.0.extend_from_slice(&value_length.to_be_bytes());
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(value.as_bytes());
        true
    }

    /// The block built so far.
    #[must_use]
    pub fn block(&self) -> HeaderBlock<'_> {
        HeaderBlock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{HeaderBlock, HeaderBlockBuf};

    #[test]
    fn pairs_come_back_in_order() {
        let mut buffer = HeaderBlockBuf::default();
        assert!(buffer.push("a", "1"));
        assert!(buffer.push("empty", ""));
        let pairs: Vec<_> = buffer.block().iter().collect();
        assert_eq!(pairs, [("a", "1"), ("empty", "")]);
        assert_eq!(buffer.block().get("empty"), Some(""));
    }

    #[test]
    fn a_cut_block_is_not_well_formed() {
        let mut buffer = HeaderBlockBuf::default();
        assert!(buffer.push("name", "value"));
        let bytes = buffer.block().as_bytes();
        for end in 1..bytes.len() {
            assert!(
                !HeaderBlock::new(&bytes[..end]).is_well_formed(),
                "cut at {end}"
            );
        }
        assert!(!buffer.push("x", &"v".repeat(65_536)));
    }
}
