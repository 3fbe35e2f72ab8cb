//! The controller of BrokerNetworks: fetch → validate → plan → build → apply → status, one file each. The pure steps
//! serve the command line as well.

pub mod again;
pub mod apply;
pub mod assemble;
pub mod authority;
pub mod build;
pub mod context;
pub mod controller;
pub mod credentials;
pub mod error;
pub mod fetch;
pub mod hashing;
pub mod issue;
pub mod keys;
pub mod load;
pub mod named;
pub mod nudge;
pub mod placement;
pub mod plan;
pub mod probe;
pub mod references;
pub mod report;
pub mod status;
pub mod unreadable;
pub mod validate;
