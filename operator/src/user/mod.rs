//! The controller of BrokerUsers: what was decided about a user when its network was (`view`), kept between the two
//! controllers (`decided`) → the Secret of a generated password (`password`) → status. It never asks a broker and reads
//! no Secret but those it makes, so that thousands of users cost one status each.

pub mod controller;
pub mod decided;
pub mod events;
pub mod keeper;
pub mod ownership;
pub mod password;
pub mod status;
pub mod view;
