//! What the commands `pub`, `sub`, `probe` and `status` do: a small STOMP client, and a reader of `/status`.

pub mod connection;
pub mod http;
pub mod locate;
pub mod password;
pub mod probe;
pub mod publish;
pub mod status;
pub mod subscribe;
pub mod target;
pub mod view;

pub use connection::{Connection, StompError};
pub use target::Target;
