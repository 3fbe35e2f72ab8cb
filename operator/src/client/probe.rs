//! `causeway probe`: is a broker there, and how long does a message take?

use std::time::{Duration, Instant};

use causeway_broker::wire::stomp::client::Frame;

use super::connection::{Connection, StompError};

/// A destination that belongs to the connection and needs no right of its own.
pub const OWN: &str = "/temp-queue/probe";

/// Round-trip times of messages that the broker sent back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Times {
    /// One per message, in order.
    pub all: Vec<Duration>,
}

impl Times {
    /// The shortest, the median and the longest.
    #[must_use]
    pub fn summary(&self) -> Option<(Duration, Duration, Duration)> {
        let mut sorted = self.all.clone();
        sorted.sort();
        let median = sorted.get(sorted.len() / 2)?;
        Some((*sorted.first()?, *median, *sorted.last()?))
    }
}

/// Subscribes, sends and receives, one message after the other.
///
/// # Errors
/// The broker refuses, a message does not come back in time, or the connection fails.
pub fn run(
    mut connection: Connection,
    destination: &str,
    count: u64,
    patience: Duration,
) -> Result<Times, StompError> {
    // Others may use the destination too: only our own messages count.
    let mark = format!("{}-{:?}", std::process::id(), Instant::now());
    let subscribe = Frame::new("SUBSCRIBE")
        .with("id", "probe")
        .with("destination", destination)
        .with("ack", "auto");
    connection.send_and_wait(subscribe, patience)?;
    let mut times = Times::default();
    for number in 0..count {
        let body = format!("{mark} {number}").into_bytes();
        let length = body.len().to_string();
        let frame = Frame::new("SEND")
            .with("destination", destination)
            .with("content-length", &length)
            .with_body(&body);
        let sent = Instant::now();
        connection.send(&frame)?;
        loop {
            let received = connection.next(Some(sent + patience))?;
            let received = received.ok_or(StompError::Timeout(patience))?;
            if received.body == body {
                break;
            }
        }
        times.all.push(sent.elapsed());
    }
    connection.close(patience)?;
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_summed_up_whatever_their_order() {
        let all = [5, 1, 3].map(Duration::from_millis).to_vec();
        let [one, three, five] = [1, 3, 5].map(Duration::from_millis);
        assert_eq!(Times { all }.summary(), Some((one, three, five)));
        assert_eq!(Times::default().summary(), None);
    }
}
