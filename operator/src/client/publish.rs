//! `causeway pub`: send messages, wait for receipts or for answers.

use std::time::{Duration, Instant};

use causeway_broker::wire::stomp::client::Frame;

use super::connection::{Connection, StompError};

/// The answer queue of a request.
const REPLY: &str = "/temp-queue/reply";

/// What is sent.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The destination, as STOMP writes it.
    pub destination: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The body; `{n}` stands for the number of the message if there are several.
    pub body: Vec<u8>,
    /// How many times.
    pub count: u64,
    /// Wait for a receipt after each message, not only at the end.
    pub receipts: bool,
    /// Wait for so many answers to each message.
    pub replies: u64,
    /// How long to wait for a receipt or an answer.
    pub patience: Duration,
}

/// Sends, and hands every answer on.
///
/// # Errors
/// The broker refuses, an answer does not come in time, or the connection fails.
pub fn run(
    mut connection: Connection,
    publication: &Publication,
    mut answer: impl FnMut(&Frame, Duration),
) -> Result<(), StompError> {
    let patience = publication.patience;
    if publication.replies > 0 {
        let subscribe = Frame::new("SUBSCRIBE")
            .with("id", "reply")
            .with("destination", REPLY)
            .with("ack", "auto");
        connection.send_and_wait(subscribe, patience)?;
    }
    for number in 1..=publication.count {
        let frame = frame(publication, number);
        let sent = Instant::now();
        match publication.receipts {
            true => connection.send_and_wait(frame, patience)?,
            false => connection.send(&frame)?,
        }
        for _ in 0..publication.replies {
            let reply = connection.next(Some(sent + patience))?;
            let reply = reply.ok_or(StompError::Timeout(patience))?;
            answer(&reply, sent.elapsed());
        }
    }
    connection.close(patience)
}

fn frame(publication: &Publication, number: u64) -> Frame {
    let mut frame = Frame::new("SEND").with("destination", &publication.destination);
    for (name, value) in &publication.headers {
        frame = frame.with(name, value);
    }
    if publication.replies > 0 {
        frame = frame.with("reply-to", REPLY);
    }
    let body = match publication.count {
        1 => publication.body.clone(),
        _ => numbered(&publication.body, number),
    };
    let length = body.len().to_string();
    frame.with("content-length", &length).with_body(&body)
}

fn numbered(body: &[u8], number: u64) -> Vec<u8> {
    match std::str::from_utf8(body) {
        Ok(text) => text.replace("{n}", &number.to_string()).into_bytes(),
        Err(_) => body.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publication(count: u64, replies: u64) -> Publication {
        Publication {
            destination: "/queue/a".to_owned(),
            headers: vec![("x".to_owned(), "1".to_owned())],
            body: b"no {n}".to_vec(),
            count,
            receipts: false,
            replies,
            patience: Duration::from_secs(1),
        }
    }

    #[test]
    fn several_messages_are_numbered_and_one_is_sent_as_it_is() {
        assert_eq!(frame(&publication(1, 0), 1).body, b"no {n}");
        assert_eq!(frame(&publication(3, 0), 2).body, b"no 2");
    }

    #[test]
    fn a_request_names_its_answer_queue() {
        let frame = frame(&publication(1, 1), 1);
        assert_eq!(frame.header("reply-to"), Some(REPLY));
        assert_eq!(frame.header("content-length"), Some("6"));
    }
}
