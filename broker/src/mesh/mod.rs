//! The mesh: what makes many brokers one server. Pure state machines; sockets and timers are
//! somebody else's.
//!
//! *Control* is [`core::Mesh`]: sessions with neighbours, the replicated map ([`lsdb`], [`spf`]),
//! the replicated interest ([`interest`]) and the site reports. It publishes immutable
//! [`routes::Routes`]. *Data* ([`forward`], [`window`], [`ring`], [`limbo`], [`replies`]) works on
//! that snapshot and never asks control. [`custody`] moves queue messages between owners.
//!
//! Promises: a (message, broker) pair is in one place at a time; what one broker wants is known to
//! all others one flood later; links and routes recover without help.

pub mod config;
pub mod core;
pub mod custody;
pub mod event;
pub mod forward;
pub mod frame;
pub mod ids;
pub mod interest;
pub mod limbo;
pub mod lsdb;
pub mod messages;
pub mod policy;
pub mod random;
pub mod replies;
pub mod report;
pub mod ring;
pub mod routes;
pub mod session;
pub mod spf;
pub mod status;
pub mod window;
