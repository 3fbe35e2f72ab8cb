//! What a message is and where it goes: destinations, the borrowed view that the data path works
//! on, and the envelope, its canonical encoding.
//!
//! Pure: imports nothing of ours, no clock, no I/O.

pub mod destination;
pub mod envelope;
pub mod headers;
pub mod message;
pub mod temporary;

pub use destination::{Destination, Kind};
pub use envelope::EnvelopeError;
pub use headers::{HeaderBlock, HeaderBlockBuf};
pub use message::{Message, MessageView, ReplyTo};
