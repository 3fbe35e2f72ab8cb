//! The documents of users' files: text to typed objects, every problem at once with its place.

pub mod parse;
pub mod problem;
pub mod read;
pub mod schema_walk;
mod schemas;
pub mod tree;

pub use problem::{Problem, Severity, Source};
pub use read::{Documents, Object, read};
