//! A network of brokers in one thread and virtual time.

pub mod agreement;
pub mod broker;
pub mod changes;
pub mod clock;
pub mod consumers;
pub mod data;
pub mod faults;
pub mod flow;
pub mod inspect;
pub mod lies;
pub mod network;
pub mod oracle;
pub mod producers;
pub mod queue_checks;
pub mod queue_events;
pub mod queue_oracle;
pub mod queue_runs;
pub mod queues;
pub mod scenario;
pub mod shrink;
pub mod streams;
pub mod topology;
pub mod transfers;
pub mod trials;
pub mod watch;
pub mod world;
