//! Where a class of messages may go (R21). The write right is checked where a message enters, the
//! read right where it is delivered; neither is asked on the way.

/// The class of every message while there are no traffic rules.
pub const CLASS: u16 = 0;

/// True when a list of forbidden classes, as it stands in an LSA, leaves the class alone.
#[must_use]
pub fn is_open(denied: &[u32], class: u16) -> bool {
    !denied.contains(&u32::from(class))
}

#[cfg(test)]
mod tests {
    use super::{CLASS, is_open};

    #[test]
    fn a_class_is_kept_off_what_denies_it_and_nothing_else() {
        assert!(is_open(&[], CLASS) && is_open(&[7], CLASS));
        assert!(!is_open(&[7, 0], CLASS));
    }
}
