//! From what was written to what is valid, and where that runs.

pub mod credentials;
pub mod load;
pub mod placement;
pub mod validate;
