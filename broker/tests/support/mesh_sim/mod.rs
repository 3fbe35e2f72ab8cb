//! A network of brokers in one thread and virtual time.

pub mod broker;
pub mod clock;
pub mod data;
pub mod faults;
pub mod inspect;
pub mod network;
pub mod oracle;
pub mod scenario;
pub mod streams;
pub mod topology;
pub mod world;
