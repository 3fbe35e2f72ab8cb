//! The harness of the end-to-end tests: it starts `causeway up`, speaks STOMP to its brokers and
//! drives real peers.
//!
//! Nothing here links the broker: what the tests see is what a user sees, processes, sockets and
//! files. A test whose peer is missing fails and prints the command that installs it. Every wait
//! has a deadline; where the product states a figure, the deadline is five times that figure and
//! what was seen is printed.

pub mod certificates;
pub mod client;
pub mod deliveries;
pub mod document;
pub mod events;
pub mod frame;
pub mod http;
pub mod kubernetes;
pub mod mcollective;
pub mod metrics;
pub mod network;
pub mod next_process;
pub mod pages;
pub mod ports;
pub mod process;
pub mod stranger;
pub mod traffic;
pub mod wait;
