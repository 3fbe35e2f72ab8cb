//! `causeway-broker`: a STOMP broker whose links make many brokers one server.
//!
//! Data flows one way: bytes → frame → session → rights and match → {local subscribers, queue,
//! links} → bytes. What decides is pure (`model`, `selector`, `routing`, `queue::state`, `wire`,
//! `mesh`); what acts is thin (`net`, `link`, `admin`, `app`). The map is `docs/architecture.md`.

pub mod admin;
pub mod app;
pub mod broker;
pub mod cli;
pub mod clock;
pub mod config;
pub mod handover;
pub mod link;
pub mod lost;
pub mod mesh;
pub mod metrics;
pub mod model;
pub mod net;
pub mod queue;
pub mod routing;
pub mod security;
pub mod selector;
pub mod telemetry;
pub mod wire;
