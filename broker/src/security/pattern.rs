//! Patterns of rights: dotted names with ActiveMQ's wildcards.

/// True when a pattern matches every name that `wanted` can mean.
#[must_use]
pub fn covers(pattern: &str, wanted: &str) -> bool {
    let mut own = pattern.split('.');
    let mut other = wanted.split('.');
    loop {
        match (own.next(), other.next()) {
            (Some(">"), _) | (None, None) => return true,
            (_, Some(">")) => return false,
            (Some("*"), Some(_)) => {}
            (Some(segment), Some(name)) if segment == name && name != "*" => {}
            _ => return false,
        }
    }
}

/// True for dotted segments without blanks and commas, where `>` stands last if at all.
#[must_use]
pub fn is_valid_pattern(pattern: &str) -> bool {
    let mut segments = pattern.split('.').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let is_wild = segment == "*" || (segment == ">" && is_last);
        let is_name = !segment.is_empty()
            && !segment
                .contains(|character: char| character.is_whitespace() || ",*>".contains(character));
        if !is_wild && !is_name {
            return false;
        }
    }
    pattern.len() <= 255
}

#[cfg(test)]
mod tests {
    use super::{covers, is_valid_pattern};
    use crate::model::destination;

    #[test]
    fn covering_means_matching_every_name() {
        let patterns = ["a.b", "a.*", "a.>", ">", "*.b", "*", "a.*.c", "*.>"];
        let names = ["a", "b", "a.b", "a.c", "b.b", "a.b.c", "a.x.c", "z.z.z"];
        for one in patterns {
            for other in patterns {
                if covers(one, other) {
                    for name in names
                        .iter()
                        .filter(|name| destination::matches(other, name))
                    {
                        assert!(
                            destination::matches(one, name),
                            "{one} covers {other} but not {name}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn patterns_are_checked() {
        for good in ["a", "a.b", "a.*", ">", "a.>", "*.x.>"] {
            assert!(is_valid_pattern(good), "{good}");
        }
        for bad in ["", "a..b", ">.a", "a.b*", "a b", "a,b", "a.>.b"] {
            assert!(!is_valid_pattern(bad), "{bad}");
        }
    }
}
