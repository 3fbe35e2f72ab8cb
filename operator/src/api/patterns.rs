//! The patterns of the schema, each with the function that decides it and the words that explain it, so
//! that checking a document needs no regular expressions.

/// Pattern of a name of a site (N2).
pub const SITE: &str = "^[a-z0-9]+(-[a-z0-9]+)*$";
/// Pattern of a name of a link.
pub const LINK: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// Pattern of a pattern of destinations (N16).
pub const DESTINATIONS: &str = r"^((\*|[^\s,.*>]+)\.)*(\*|>|[^\s,.*>]+)$";
/// Pattern of one segment of a destination.
pub const SEGMENT: &str = r"^[^\s,.*>]+$";
/// Pattern of a duration.
pub const DURATION: &str = "^[0-9]+(ms|s|m|h|d)$";
/// Pattern of a size.
pub const SIZE: &str = "^[0-9]+(Ki|Mi|Gi)?$";
/// Pattern of a trust domain.
pub const DOMAIN: &str = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$";
/// Pattern of the name of an object of the cluster: it leads to no other path.
pub const OBJECT: &str = DOMAIN;
/// Pattern of a login name.
pub const USERNAME: &str = r"^[^\x00-\x1f\x7f]+$";

/// Pattern of an image's digest.
pub const DIGEST: &str = "^sha256:[0-9a-f]{64}$";

/// A pattern with its meaning.
pub struct Known {
    /// As in the schema.
    pub pattern: &'static str,
    /// What a matching text is, after "must be".
    pub words: &'static str,
    /// Whether a text matches.
    pub matches: fn(&str) -> bool,
}

/// Every pattern of the schema.
pub const ALL: [Known; 9] = [
    Known {
        pattern: SITE,
        words: "lower-case letters and digits, in parts joined by single hyphens",
        matches: is_site,
    },
    Known {
        pattern: LINK,
        words: "lower-case letters, digits and hyphens, with no hyphen at either end",
        matches: |text| is_edged(text, "-"),
    },
    Known {
        pattern: DESTINATIONS,
        words: "names joined by dots, where * stands for one and > at the end for the rest",
        matches: is_destinations,
    },
    Known {
        pattern: SEGMENT,
        words: "one name without dots, commas, spaces, * or >",
        matches: is_segment,
    },
    Known {
        pattern: DURATION,
        words: "a number and one of ms, s, m, h, d",
        matches: |text| is_quantity(text, &["ms", "s", "m", "h", "d"]),
    },
    Known {
        pattern: SIZE,
        words: "a number of bytes, or a number and one of Ki, Mi, Gi",
        matches: |text| is_quantity(text, &["Ki", "Mi", "Gi", ""]),
    },
    Known {
        pattern: DOMAIN,
        words: "lower-case letters, digits, dots and hyphens, with a letter or digit at both ends",
        matches: |text| is_edged(text, "-."),
    },
    Known {
        pattern: USERNAME,
        words: "text without control characters",
        matches: |text| !text.is_empty() && !text.chars().any(|letter| letter.is_ascii_control()),
    },
    Known {
        pattern: DIGEST,
        words: "sha256: and 64 hexadecimal digits",
        matches: is_digest,
    },
];

/// Whether a text can be the name of an object of the cluster. The schema says so, too; a definition that is older does not.
#[must_use]
pub fn is_object(text: &str) -> bool {
    is_edged(text, "-.")
}

/// The meaning of a pattern of the schema.
#[must_use]
pub fn find(pattern: &str) -> Option<&'static Known> {
    ALL.iter().find(|known| known.pattern == pattern)
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        hex.len() == 64 && hex.bytes().all(is_hex)
    })
}

fn is_lower(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter.is_ascii_digit()
}

fn is_site(text: &str) -> bool {
    text.split('-')
        .all(|part| !part.is_empty() && part.chars().all(is_lower))
}

/// Letters and digits at both ends, those and `inside` between.
fn is_edged(text: &str, inside: &str) -> bool {
    text.starts_with(is_lower)
        && text.ends_with(is_lower)
        && text
            .chars()
            .all(|letter| is_lower(letter) || inside.contains(letter))
}

fn is_segment(text: &str) -> bool {
    !text.is_empty()
        && !text
            .chars()
            .any(|letter| letter.is_whitespace() || ",.*>".contains(letter))
}

fn is_destinations(text: &str) -> bool {
    let (init, last) = text.rsplit_once('.').unwrap_or(("", text));
    let is_name = |part: &str| part == "*" || is_segment(part);
    (last == ">" || is_name(last)) && (!text.contains('.') || init.split('.').all(is_name))
}

fn is_quantity(text: &str, units: &[&str]) -> bool {
    units.iter().any(|unit| {
        text.strip_suffix(unit).is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}
