//! SUBSCRIBE and UNSUBSCRIBE.

use std::ops::RangeInclusive;

use super::encode::{self, Escaping};
use super::error::{Failure, FrameError, Refusal};
use super::frame::FrameRef;
use super::session::Session;
use super::sink::Sink;
use super::version::Version;
use crate::model::Kind;

/// Messages in flight at one consumer.
const MAX_PREFETCH: i64 = 32_767;

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
    pub(super) durable_name: Option<String>,
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
    /// Wants what the topic has kept, if it keeps anything.
    pub is_retroactive: bool,
    /// Messages of a topic held for it while it is slow, before the oldest is dropped; `None` =
    /// the default of the destination.
    pub pending_limit: Option<u32>,
    /// Consumer priority.
    pub priority: i8,
    /// The version that MESSAGE frames are written for.
    pub version: Version,
}

/// The `activemq.` headers of a SUBSCRIBE that are honoured.
#[derive(Debug)]
struct Options {
    prefetch: Option<u32>,
    priority: i8,
    pending_limit: Option<u32>,
    durable_name: Option<String>,
    no_local: bool,
    is_exclusive: bool,
    is_retroactive: bool,
}

impl Session {
    pub(super) fn on_subscribe(
        &mut self,
        frame: &FrameRef<'_>,
        receipt: Option<&str>,
        sink: &mut impl Sink,
    ) -> Result<(), Failure> {
        let Some(destination) = self.header(frame, "destination")? else {
            return Err(Refusal::NoDestination("SUBSCRIBE").into());
        };
        let destination = destination.trim();
        let id = self.header(frame, "id")?;
        self.check_id(id.as_deref())?;
        let options = self.options(frame)?;
        let selector = self.header(frame, "selector")?;
        let mode = match self.header(frame, "ack")?.as_deref() {
            None | Some("auto") => AckMode::Auto,
            Some("client") => AckMode::Client,
            Some("client-individual") => AckMode::Individual,
            // Who misspells a mode wants to acknowledge, and would lose messages by `auto`.
            Some(other) => {
                let allowed = "auto, client or client-individual";
                return Err(Refusal::bad_header("ack", other, allowed).into());
            }
        };
        let is_browser = self.version != Version::V10 && self.flag(frame, "browser")?;
        let parts = self.parts(destination, sink)?;
        self.check_durable(options.durable_name.as_deref(), &parts, is_browser)?;
        let subscribe = Subscribe {
            number: self.next_subscription,
            id: id.as_deref(),
            parts: &parts,
            destination,
            mode,
            selector: selector.as_deref().filter(|text| !text.trim().is_empty()),
            is_browser,
            prefetch: options.prefetch,
            durable_name: options.durable_name.as_deref(),
            no_local: options.no_local,
            is_exclusive: options.is_exclusive,
            is_retroactive: options.is_retroactive,
            pending_limit: options.pending_limit,
            priority: options.priority,
            version: self.version,
        };
        let mut bytes = Vec::new();
        if let Some(receipt) = receipt {
            encode::receipt(receipt, Escaping::from(self.version), &mut bytes);
        }
        sink.subscribe(&subscribe, &bytes)?;
        self.note_subscription(Subscription {
            id,
            destination: destination.to_owned(),
            durable_name: options.durable_name,
        });
        Ok(())
    }

    fn options(&self, frame: &FrameRef<'_>) -> Result<Options, Failure> {
        const PREFETCH: &str = "activemq.prefetchSize";
        const PRIORITY: &str = "activemq.priority";
        const PENDING: &str = "activemq.maximumPendingMessageLimit";
        let prefetch = self.integer(frame, PREFETCH, 0..=MAX_PREFETCH, "0 to 32767")?;
        let priority = self.integer(frame, PRIORITY, -128..=127, "-128 to 127")?;
        let allowed = "-1 to 4294967295, and -1 is no limit";
        let pending = self.integer(frame, PENDING, -1..=i64::from(u32::MAX), allowed)?;
        Ok(Options {
            // STOMP has no pull: a window of 0 would never deliver anything.
            prefetch: prefetch.and_then(|value| u32::try_from(value.max(1)).ok()),
            priority: priority.map_or(0, |value| i8::try_from(value).unwrap_or(0)),
            pending_limit: pending.and_then(|value| u32::try_from(value).ok()),
            durable_name: self.header(frame, "activemq.subscriptionName")?,
            no_local: self.flag(frame, "activemq.noLocal")?,
            is_exclusive: self.flag(frame, "activemq.exclusive")?,
            is_retroactive: self.flag(frame, "activemq.retroactive")?,
        })
    }

    fn flag(&self, frame: &FrameRef<'_>, name: &str) -> Result<bool, FrameError> {
        let value = self.header(frame, name)?;
        Ok(value.is_some_and(|value| value.trim().eq_ignore_ascii_case("true")))
    }

    /// A header that is a whole number in that range, which `allowed` tells the client.
    fn integer(
        &self,
        frame: &FrameRef<'_>,
        name: &'static str,
        range: RangeInclusive<i64>,
        allowed: &'static str,
    ) -> Result<Option<i64>, Failure> {
        let Some(value) = self.header(frame, name)? else {
            return Ok(None);
        };
        match value.trim().parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(Refusal::bad_header(name, &value, allowed).into()),
        }
    }

    pub(super) fn on_unsubscribe(
        &mut self,
        frame: &FrameRef<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), Failure> {
        let durable_name = self.header(frame, "activemq.subscriptionName")?;
        let number = self
            .named_subscription(frame)?
            .or_else(|| self.durable_subscription(durable_name.as_deref()?));
        if let Some(number) = number {
            if let Some(subscription) = self.subscriptions.remove(&number)
                && let Some(id) = subscription.id
            {
                self.by_id.remove(&id);
            }
            sink.unsubscribe(number);
        }
        match durable_name {
            Some(name) => {
                // Clients of ActiveMQ set both equal, because it ignores the client id at times.
                let client_id = self.client_id.as_deref().unwrap_or(&name);
                Ok(sink.delete_durable(client_id, &name)?)
            }
            None if number.is_none() => Err(Refusal::NoSubscription.into()),
            None => Ok(()),
        }
    }

    fn durable_subscription(&self, name: &str) -> Option<u32> {
        let mut known = self.subscriptions.iter();
        let found = known.find(|(_, known)| known.durable_name.as_deref() == Some(name))?;
        Some(*found.0)
    }

    /// The subscription that an UNSUBSCRIBE means: by id, in 1.0 also by destination.
    fn named_subscription(&self, frame: &FrameRef<'_>) -> Result<Option<u32>, FrameError> {
        if let Some(id) = self.header(frame, "id")? {
            return Ok(self.by_id.get(&id).copied());
        }
        if self.version != Version::V10 {
            return Ok(None);
        }
        let Some(destination) = self.header(frame, "destination")? else {
            return Ok(None);
        };
        let mut known = self.subscriptions.iter();
        let found = known.find(|(_, known)| known.destination == destination);
        Ok(found.map(|(number, _)| *number))
    }

    fn note_subscription(&mut self, subscription: Subscription) {
        let number = self.next_subscription;
        self.next_subscription += 1;
        if let Some(id) = &subscription.id {
            self.by_id.insert(id.clone(), number);
        }
        self.subscriptions.insert(number, subscription);
    }

    fn check_id(&self, id: Option<&str>) -> Result<(), Refusal> {
        match id {
            None if self.version != Version::V10 => {
                return Err(Refusal::MissingHeader("SUBSCRIBE", "id"));
            }
            Some(id) if self.is_too_long(id) => {
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

    fn check_durable(
        &self,
        name: Option<&str>,
        parts: &[(Kind, String)],
        is_browser: bool,
    ) -> Result<(), Refusal> {
        let Some(name) = name else {
            return Ok(());
        };
        if name.is_empty() || is_browser {
            return Err(Refusal::InvalidSubscription(
                "a durable subscription has a name and is no browser",
            ));
        }
        if self.is_too_long(name) {
            return Err(Refusal::IdTooLong("activemq.subscriptionName"));
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
}
