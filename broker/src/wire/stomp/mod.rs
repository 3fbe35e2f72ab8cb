//! STOMP 1.0, 1.1 and 1.2: frames in, frames out, and the session between them.
//!
//! Pure: bytes and times come in as arguments, what has to happen goes out through `Sink`.

mod answer;
pub mod client;
mod command;
#[cfg(test)]
mod conformance;
mod destination;
pub mod encode;
pub mod error;
mod first;
pub mod frame;
pub mod headers;
mod send;
pub mod session;
mod sink;
mod subscribe;
mod transaction;
pub mod version;

pub use command::MAX_COMMAND;
pub use destination::{MAX_PARTS, MAX_SEGMENTS, parts};
pub use error::{FrameError, Refusal};
pub use first::First;
pub use frame::{Decoded, Decoder, FrameRef, Limits};
pub use send::NO_PATTERN;
pub use session::{Session, Sink};
pub use version::Version;
