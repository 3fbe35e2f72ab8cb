//! From shapes to links, and from collectives to authorization; what the links make of the sites.

pub mod collectives;
pub mod cuts;
pub mod expand;
pub mod graph;
pub mod what_if;
