//! The two custom resources as Rust types, their CEL rules and their default constants; no other logic.

pub mod cluster;
pub mod condition;
pub mod crd;
pub mod fields;
pub mod link;
pub mod network;
pub mod patterns;
pub mod shared;
pub mod site;
pub mod status;
pub mod user;

pub use network::{BrokerNetwork, BrokerNetworkSpec};
pub use user::{BrokerUser, BrokerUserSpec};

/// API group of both kinds.
pub const GROUP: &str = "causeway.dev";
/// Version of both kinds.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of both kinds.
pub const API_VERSION: &str = "causeway.dev/v1alpha1";
