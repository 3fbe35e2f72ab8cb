//! Queues: `state` decides, a cell per queue carries the decision out.
//!
//! A queue is a value behind its own mutex whose sections are short and never wait. The task that
//! publishes or acknowledges applies its command itself and appends to the consumers' outbounds; no
//! task owns queues, so nothing has to be woken for a message (`docs/architecture.md`).

pub mod cell;
mod dispatch;
#[cfg(test)]
mod group_tests;
mod groups;
pub mod handover;
pub mod monitors;
mod remote;
mod scan;
pub mod state;
#[cfg(test)]
mod tests;
mod types;

pub use cell::{Enqueued, Forwarded, QueueCell, Work};
pub use scan::{Look, TURN};
