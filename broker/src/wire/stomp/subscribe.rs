//! SUBSCRIBE, and the parts of destinations.

use super::encode::{self, Escaping};
use super::error::{FrameError, Refusal};
use super::frame::FrameRef;
use super::session::{Session, Sink};
use super::version::Version;
use crate::model::Kind;

/// Parts of a composite destination.
const MAX_PARTS: usize = 32;
/// Segments of a name.
const MAX_SEGMENTS: usize = 64;

/// When a message counts as consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckMode {
    /// When it was written.
    Auto,
    /// When it or a later one is acknowledged.
    Client,
    /// When it is acknowledged.
    Individual,
}

/// A live subscription, as its session knows it.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) id: Option<String>,
    pub(super) destination: String,
}

/// A SUBSCRIBE whose form is right.
#[derive(Debug)]
pub struct Subscribe<'a> {
    /// The session's number for it.
    pub number: u32,
    /// What the client calls it.
    pub id: Option<&'a str>,
    /// Each part of the destination, patterns included.
    pub parts: &'a [(Kind, String)],
    /// The destination as the client wrote it.
    pub destination: &'a str,
    /// When messages count as consumed.
    pub mode: AckMode,
    /// Selector text.
    pub selector: Option<&'a str>,
    /// Only look at what is there.
    pub is_browser: bool,
    /// Messages in flight; `None` = the default of the destination.
    pub prefetch: Option<u32>,
    /// Name of a durable subscription.
    pub durable_name: Option<&'a str>,
    /// Leave out what this connection sends.
    pub no_local: bool,
    /// Nobody else is served.
    pub is_exclusive: bool,
    /// Consumer priority.
    pub priority: i8,
    /// The version that MESSAGE frames are written for.
    pub version: Version,
}

impl Session {
    pub(super) fn on_subscribe(
        &mut self,
        frame: &FrameRef<'_>,
        receipt: Option<&str>,
        sink: &mut impl Sink,
    ) -> Result<(), FrameError> {
        if let Err(refusal) = self.try_subscribe(frame, receipt, sink)? {
            self.refuse(&refusal, receipt, sink);
        }
        Ok(())
    }

    fn try_subscribe(
        &mut self,
        frame: &FrameRef<'_>,
        receipt: Option<&str>,
        sink: &mut impl Sink,
    ) -> Result<Result<(), Refusal>, FrameError> {
        let Some(destination) = self.header(frame, "destination")? else {
            return Ok(Err(Refusal::NoDestination("SUBSCRIBE")));
        };
        let destination = destination.trim();
        let id = self.header(frame, "id")?;
        if let Err(refusal) = self.check_id(id.as_deref()) {
            return Ok(Err(refusal));
        }
        let parts = match self.parts(destination, sink) {
            Ok(parts) => parts,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let flag = |name: &str| -> Result<bool, FrameError> {
            Ok(self
                .header(frame, name)?
                .is_some_and(|value| value.eq_ignore_ascii_case("true")))
        };
        let number_of = |name: &str| -> Result<Option<i64>, FrameError> {
            Ok(self
                .header(frame, name)?
                .map(|value| value.trim().parse().unwrap_or(i64::MIN)))
        };
        let (prefetch, priority) = (
            number_of("activemq.prefetchSize")?,
            number_of("activemq.priority")?,
        );
        if prefetch.is_some_and(|value| !(0..=i64::from(u32::MAX)).contains(&value)) {
            return Ok(Err(Refusal::BadHeader("activemq.prefetchSize")));
        }
        if priority.is_some_and(|value| !(-128..=127).contains(&value)) {
            return Ok(Err(Refusal::BadHeader("activemq.priority")));
        }
        let mode = match self.header(frame, "ack")?.as_deref() {
            Some("client") => AckMode::Client,
            Some("client-individual") => AckMode::Individual,
            _ => AckMode::Auto,
        };
        let selector = self.header(frame, "selector")?;
        let durable_name = self.header(frame, "activemq.subscriptionName")?;
        if let Err(refusal) = self.check_durable(durable_name.as_deref(), &parts) {
            return Ok(Err(refusal));
        }
        let subscribe = Subscribe {
            number: self.next_subscription,
            id: id.as_deref(),
            parts: &parts,
            destination,
            mode,
            selector: selector.as_deref().filter(|text| !text.trim().is_empty()),
            is_browser: self.version != Version::V10 && flag("browser")?,
            // STOMP has no pull: a window of 0 would never deliver anything.
            prefetch: prefetch.and_then(|value| u32::try_from(value.max(1)).ok()),
            durable_name: durable_name.as_deref(),
            no_local: flag("activemq.noLocal")?,
            is_exclusive: flag("activemq.exclusive")?,
            priority: priority
                .and_then(|value| i8::try_from(value).ok())
                .unwrap_or(0),
            version: self.version,
        };
        let mut bytes = Vec::new();
        if let Some(receipt) = receipt {
            encode::receipt(receipt, Escaping::from(self.version), &mut bytes);
        }
        let outcome = sink.subscribe(&subscribe, &bytes);
        if outcome.is_ok() {
            self.note_subscription(id, destination);
        }
        Ok(outcome)
    }

    fn note_subscription(&mut self, id: Option<String>, destination: &str) {
        let number = self.next_subscription;
        self.next_subscription += 1;
        if let Some(id) = &id {
            self.by_id.insert(id.clone(), number);
        }
        let subscription = Subscription {
            id,
            destination: destination.to_owned(),
        };
        self.subscriptions.insert(number, subscription);
    }

    fn check_id(&self, id: Option<&str>) -> Result<(), Refusal> {
        match id {
            None if self.version != Version::V10 => {
                return Err(Refusal::MissingHeader("SUBSCRIBE", "id"));
            }
            Some(id) if id.len() > self.settings.id_length => {
                return Err(Refusal::IdTooLong("id"));
            }
            Some(id) if self.by_id.contains_key(id) => {
                return Err(Refusal::DuplicateSubscription(id.to_owned()));
            }
            _ => {}
        }
        if self.subscriptions.len() >= self.settings.subscriptions {
            return Err(Refusal::TooManySubscriptions);
        }
        Ok(())
    }

    fn check_durable(&self, name: Option<&str>, parts: &[(Kind, String)]) -> Result<(), Refusal> {
        if name.is_none() {
            return Ok(());
        }
        if parts.iter().any(|(kind, _)| *kind != Kind::Topic) {
            return Err(Refusal::InvalidSubscription(
                "cannot durably subscribe to a Queue destination!",
            ));
        }
        if self.client_id.is_none() {
            return Err(Refusal::InvalidSubscription(
                "a durable subscription needs a client-id",
            ));
        }
        Ok(())
    }

    /// The parts of a destination header, temporary names resolved.
    pub(super) fn parts(
        &self,
        destination: &str,
        sink: &mut impl Sink,
    ) -> Result<Vec<(Kind, String)>, Refusal> {
        let destination = destination.trim();
        if destination.len() > self.settings.destination_length {
            return Err(Refusal::BadName(
                shorten(destination),
                "the name is too long",
            ));
        }
        let (kind, rest) = split_prefix(destination)
            .ok_or_else(|| Refusal::IllegalDestination(destination.to_owned()))?;
        if kind.is_temporary() {
            let name = if destination.starts_with("/remote-") {
                rest.to_owned()
            } else {
                check_name(rest)?;
                sink.temporary(kind, rest)
            };
            return Ok(vec![(kind, name)]);
        }
        let mut parts = Vec::with_capacity(1);
        for (index, part) in rest.split(',').enumerate() {
            if index >= MAX_PARTS {
                return Err(Refusal::BadName(shorten(destination), "more than 32 parts"));
            }
            let part = part.trim();
            let (kind, name) = match (part.strip_prefix("queue://"), part.strip_prefix("topic://"))
            {
                (Some(name), _) => (Kind::Queue, name),
                (_, Some(name)) => (Kind::Topic, name),
                _ => (kind, part),
            };
            check_name(name)?;
            parts.push((kind, name.to_owned()));
        }
        Ok(parts)
    }
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

/// Checks one name, without prefix.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let problem = if name.is_empty() {
        "the name is empty"
    } else if name.split('.').count() > MAX_SEGMENTS {
        "more than 64 segments"
    } else {
        return Ok(());
    };
    Err(Refusal::BadName(shorten(name), problem))
}

fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}
