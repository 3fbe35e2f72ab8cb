//! Who may come in, and who may do what. Deny by default.

pub mod authn;
pub mod authz;
pub mod certificate;
pub mod identity;
pub mod password;
pub mod pattern;
pub mod throttle;

pub use authz::{Decision, Rules, Verb};
pub use identity::Identity;
