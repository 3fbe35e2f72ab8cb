//! One process of a site gives everything it keeps to the next one, and goes: a change that needs
//! another process then loses nothing, although nothing is stored. Rule: R26.
//!
//! The newer process dials the link port of its own site before it serves anybody. Both prove that
//! they have the site's admin token, bound to the TLS session. The older one closes its clients and
//! links, gives its queues and durable subscriptions, and is heard of no more; only then does the
//! newer one begin. Until the newer one says that it has everything, the older one keeps it and may
//! be asked again; if nobody asks, it serves again. The newer one begins when it hears that the older
//! one has nothing any more: of two that were given everything one only has it. If it does not hear
//! it, and finds nobody whom it could ask again, what it has may be elsewhere too, and is flagged
//! redelivered.

mod ask;
mod channel;
mod give;
mod greeting;
mod take;
#[cfg(test)]
mod tests;
mod words;

pub use give::{Claimant, Given, greet};
pub use greeting::Identity;
pub use take::{Refused, Taken, take};
pub use words::{DurableHead, Head, Holder, Parcel, QueueHead, Section};

/// What tells such a connection from a link, in the TLS handshake (RFC 7301).
pub const ALPN: &[u8] = b"causeway-handover/1";
