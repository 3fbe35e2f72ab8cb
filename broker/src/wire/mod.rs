//! Client protocols: codecs and sessions without sockets.

pub mod stomp;
