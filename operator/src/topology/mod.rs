//! From shapes to links, and from collectives to authorization.

pub mod collectives;
pub mod expand;
