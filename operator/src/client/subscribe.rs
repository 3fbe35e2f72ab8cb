//! `causeway sub`: receive messages, acknowledge them, stop after a number or a time.

use std::time::{Duration, Instant};

use causeway_broker::wire::stomp::client::Frame;

use super::connection::{Connection, StompError};

/// What is received.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The destination, as STOMP writes it.
    pub destination: String,
    /// The selector.
    pub selector: Option<String>,
    /// `auto`, `client` or `client-individual`.
    pub ack: &'static str,
    /// Return every message instead of acknowledging it.
    pub nacks: bool,
    /// Further headers of the subscription.
    pub headers: Vec<(String, String)>,
    /// Stop after so many messages.
    pub count: Option<u64>,
    /// Stop after so long without one.
    pub patience: Option<Duration>,
    /// Answer requests: send the body back to `reply-to`.
    pub echoes: bool,
}

/// How long the broker has for a receipt.
const RECEIPT: Duration = Duration::from_secs(10);

/// Receives, and hands every message on until one is not taken; true if as many came as were asked for, or any where no number was.
///
/// # Errors
/// The broker refuses, or the connection fails.
pub fn run(
    mut connection: Connection,
    subscription: &Subscription,
    mut message: impl FnMut(&Frame) -> bool,
) -> Result<bool, StompError> {
    connection.send_and_wait(subscribe(subscription), RECEIPT)?;
    let wanted = subscription.count.unwrap_or(1);
    let mut received = 0;
    while subscription.count.is_none_or(|count| received < count) {
        let deadline = subscription
            .patience
            .map(|patience| Instant::now() + patience);
        let Some(frame) = connection.next(deadline)? else {
            break;
        };
        if frame.command != "MESSAGE" {
            continue;
        }
        received += 1;
        // Nobody reads on: what was not shown is not acknowledged.
        if !message(&frame) {
            return Ok(true);
        }
        if subscription.echoes
            && let Some(reply) = answer(&frame)
        {
            connection.send(&reply)?;
        }
        if let Some(acknowledgement) = acknowledgement(subscription, &frame) {
            connection.send(&acknowledgement)?;
        }
    }
    connection.close(RECEIPT)?;
    Ok(received >= wanted)
}

fn subscribe(subscription: &Subscription) -> Frame {
    let mut frame = Frame::new("SUBSCRIBE")
        .with("id", "0")
        .with("destination", &subscription.destination)
        .with("ack", subscription.ack);
    if let Some(selector) = &subscription.selector {
        frame = frame.with("selector", selector);
    }
    for (name, value) in &subscription.headers {
        frame = frame.with(name, value);
    }
    frame
}

fn acknowledgement(subscription: &Subscription, message: &Frame) -> Option<Frame> {
    let token = message.header("ack")?;
    let command = if subscription.nacks { "NACK" } else { "ACK" };
    Some(Frame::new(command).with("id", token))
}

fn answer(request: &Frame) -> Option<Frame> {
    let length = request.body.len().to_string();
    let mut frame = Frame::new("SEND").with("destination", request.header("reply-to")?);
    if let Some(correlation) = request.header("correlation-id") {
        frame = frame.with("correlation-id", correlation);
    }
    Some(
        frame
            .with("content-length", &length)
            .with_body(&request.body),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_to_where_the_request_asks_for_it() {
        let request = Frame::new("MESSAGE")
            .with("reply-to", "/remote-temp-queue/x")
            .with("correlation-id", "7")
            .with_body(b"hi");
        let reply = answer(&request).expect("a reply");
        assert_eq!(reply.header("destination"), Some("/remote-temp-queue/x"));
        assert_eq!(reply.header("correlation-id"), Some("7"));
        assert_eq!(reply.body, b"hi");
        assert_eq!(answer(&Frame::new("MESSAGE")), None);
    }
}
