//! Links to other brokers: sockets, TLS and timers around the pure `mesh`.
//!
//! `node` owns the state machines, and `act` carries out what they ask for; `changes` puts another
//! configuration in force; `leave` and `succession` are how a broker goes. `conn` holds what waits
//! for one connection, `lasting` what a link keeps over connections; `io` dials, accepts, reads and
//! writes. No rule of routing lives here.

mod act;
pub mod certs;
mod changes;
pub mod conn;
pub mod custody;
pub mod data;
pub mod interest;
pub mod io;
pub mod lasting;
mod leave;
mod monitors;
pub mod node;
mod remote;
pub mod settings;
pub mod status;
mod succession;
mod timers;
pub mod tls;
