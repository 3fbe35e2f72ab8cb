//! What the commands `pub`, `sub`, `probe`, `status`, `plan --cluster` and `dump` do: a small STOMP client, readers of
//! `/status` and of a cluster's objects, and what they tell as tables.

pub mod cluster;
pub mod connection;
pub mod declared;
pub mod describe;
pub mod http;
pub mod locate;
pub mod operators;
pub mod password;
pub mod probe;
pub mod publish;
pub mod status;
pub mod subscribe;
pub mod target;
pub mod view;

pub use connection::{Connection, StompError};
pub use target::Target;
