//! The configuration directory: what is written (`file`), what it means (`valid`), what changes
//! (`diff`), and the reading of it (`reload`).

pub mod certificates;
mod check;
pub mod diff;
pub mod file;
pub mod hash;
pub mod limits;
mod parse;
mod problem;
pub mod reload;
#[cfg(test)]
pub(crate) mod test_support;
pub mod units;
pub mod valid;

pub use problem::Problem;
pub use valid::{Config, Files};
