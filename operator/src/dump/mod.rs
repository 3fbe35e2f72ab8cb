//! `causeway dump`: everything that somebody needs who is to help and cannot look himself, without any secret.
//!
//! A part that cannot be had is named with the reason, and the rest goes on. Of Secrets only names and sizes of keys are
//! kept; whatever else is written has every value of theirs replaced that is known here.

pub mod bundle;
pub mod cluster;
pub mod local;
pub mod page;
mod pods;
pub mod redact;

pub use bundle::{Bundle, BundleError, Place, Summary};
