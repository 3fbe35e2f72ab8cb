//! STOMP 1.0, 1.1 and 1.2: frames in, frames out, and the session between them.
//!
//! Pure: bytes and times come in as arguments, what has to happen goes out through `Sink`.

pub mod client;
pub mod encode;
pub mod error;
pub mod frame;
pub mod headers;
pub mod session;
mod subscribe;
#[cfg(test)]
mod tests;
mod transaction;
pub mod version;

pub use error::{FrameError, Refusal};
pub use frame::{Decoded, Decoder, FrameRef, Limits};
pub use session::{Session, Sink};
pub use version::Version;
