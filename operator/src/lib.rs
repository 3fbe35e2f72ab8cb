//! The Causeway command: one document in, a network of brokers out.
//!
//! The way of the data: [`documents`] turns text into checked documents with positions, typed by [`api`];
//! [`network::validate`] turns them into a [`model::ValidNetwork`], behind which nobody reads what was
//! written again; [`render`] turns that and a [`model::Placement`] into each broker's configuration
//! directory. [`cli`] and the commands it calls are the only places that touch the machine.

pub mod api;
pub mod app;
pub mod authority;
pub mod bundle;
pub mod change;
pub mod cli;
pub mod client;
pub mod development;
pub mod documents;
pub mod dump;
pub mod finding;
pub mod http;
pub mod kube_io;
pub mod labels;
pub mod lint;
pub mod local;
pub mod metrics;
pub mod model;
pub mod names;
pub mod network;
pub mod render;
pub mod rights;
pub mod rule;
pub mod settings;
pub mod topology;
pub mod user;
