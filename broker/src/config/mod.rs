//! The configuration directory: what is written (`file`), what it means (`valid`), what changes
//! (`diff`), and the reading of it (`reload`).

mod check;
pub mod diff;
pub mod file;
pub mod reload;
pub mod units;
pub mod valid;

pub use check::Problem;
pub use valid::{Config, Files};
