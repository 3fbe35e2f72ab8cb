//! Destinations as clients write them: prefixes, composites, temporary names.

use super::error::{Refusal, shorten};
use super::session::Session;
use super::sink::Sink;
use crate::model::Kind;

/// Parts of a composite destination.
pub const MAX_PARTS: usize = 32;
/// Segments of a name.
pub const MAX_SEGMENTS: usize = 64;

impl Session {
    /// The parts of a destination header, each once, temporary names resolved.
    pub(super) fn parts(
        &self,
        destination: &str,
        sink: &mut impl Sink,
    ) -> Result<Vec<(Kind, String)>, Refusal> {
        let (kind, rest) = self.split(destination)?;
        if kind.is_temporary() {
            check_name(rest)?;
            let name = if is_remote(destination) {
                rest.to_owned()
            } else {
                sink.temporary(kind, rest)?
            };
            return Ok(vec![(kind, name)]);
        }
        composite(destination, kind, rest)
    }

    /// The kind and the rest of a trimmed destination of allowed length.
    pub(super) fn split<'a>(&self, destination: &'a str) -> Result<(Kind, &'a str), Refusal> {
        if destination.len() > self.settings.destination_length {
            let shown = shorten(destination);
            return Err(Refusal::BadName(shown, "the name is too long"));
        }
        split_prefix(destination).ok_or_else(|| Refusal::IllegalDestination(destination.to_owned()))
    }
}

/// The parts of a destination as a client writes it, such as `/queue/a,topic://b`, each once. A temporary one has the
/// name that its connection gave it.
///
/// # Errors
/// It has no kind, or a name that is none.
pub fn parts(destination: &str) -> Result<Vec<(Kind, String)>, Refusal> {
    let (kind, rest) = split_prefix(destination)
        .ok_or_else(|| Refusal::IllegalDestination(destination.to_owned()))?;
    if kind.is_temporary() {
        check_name(rest)?;
        return Ok(vec![(kind, rest.to_owned())]);
    }
    composite(destination, kind, rest)
}

fn composite(destination: &str, kind: Kind, rest: &str) -> Result<Vec<(Kind, String)>, Refusal> {
    let mut parts = Vec::with_capacity(1);
    for (index, part) in rest.split(',').enumerate() {
        if index >= MAX_PARTS {
            return Err(Refusal::BadName(shorten(destination), "more than 32 parts"));
        }
        let (kind, name) = split_scheme(part.trim()).unwrap_or((kind, part.trim()));
        check_name(name)?;
        let is_known = |(other, known): &(Kind, String)| *other == kind && known == name;
        if !parts.iter().any(is_known) {
            parts.push((kind, name.to_owned()));
        }
    }
    Ok(parts)
}

/// The kind that the prefix tells, and the rest.
pub(super) fn split_prefix(destination: &str) -> Option<(Kind, &str)> {
    const PREFIXES: [(&str, Kind); 6] = [
        ("/queue/", Kind::Queue),
        ("/topic/", Kind::Topic),
        ("/temp-queue/", Kind::TempQueue),
        ("/temp-topic/", Kind::TempTopic),
        ("/remote-temp-queue/", Kind::TempQueue),
        ("/remote-temp-topic/", Kind::TempTopic),
    ];
    PREFIXES
        .iter()
        .find_map(|(prefix, kind)| Some((*kind, destination.strip_prefix(prefix)?)))
}

/// True when a temporary destination is written with the name that everybody but its owner uses.
pub(super) fn is_remote(destination: &str) -> bool {
    destination.starts_with("/remote-")
}

/// True for a name that stands for one destination just as it is written: no list, no wildcard,
/// no type of its own.
pub(super) fn is_plain(name: &str) -> bool {
    memchr::memchr3(b',', b'*', b'>', name.as_bytes()).is_none() && split_scheme(name).is_none()
}

/// Checks one name, without prefix.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let problem = if name.is_empty() {
        "the name is empty"
    } else if memchr::memchr_iter(b'.', name.as_bytes()).count() >= MAX_SEGMENTS {
        "more than 64 segments"
    } else if name.split('.').any(str::is_empty) {
        "a segment of the name is empty: no dot at either end, and no two together"
    } else {
        return Ok(());
    };
    Err(Refusal::BadName(shorten(name), problem))
}

/// Elements of a composite may name their own type.
fn split_scheme(part: &str) -> Option<(Kind, &str)> {
    let queue = part
        .strip_prefix("queue://")
        .map(|name| (Kind::Queue, name));
    queue.or_else(|| Some((Kind::Topic, part.strip_prefix("topic://")?)))
}
