//! Links to other brokers: sockets, TLS and timers around the pure `mesh`.
//!
//! `node` owns the state machines and carries out what they ask for; `conn` holds what waits for
//! one connection; `io` dials, accepts, reads and writes. No rule of routing lives here.

pub mod conn;
pub mod custody;
pub mod data;
pub mod interest;
pub mod io;
mod monitors;
pub mod node;
mod remote;
pub mod settings;
pub mod status;
mod timers;
pub mod tls;
