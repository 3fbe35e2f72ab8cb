//! Who gets a message: wildcard filters, local topic subscriptions, interest of other brokers.

pub mod filter_tree;
pub mod properties;
pub mod topics;

pub use filter_tree::FilterTree;
pub use topics::TopicTable;
