//! Who may come in, and who may do what. Deny by default.

pub mod authn;
pub mod authz;
pub mod password;
pub mod throttle;

pub use authz::{Identity, Rules, Verb};
