//! Sockets of clients: accept, read, write. What the bytes mean is decided elsewhere.

mod client;
pub mod connection;
mod foreign;
pub mod listener;
mod login;
pub mod outbound;
pub mod sink;
pub mod subscriber;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod unacked;
mod waiting;
