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

/// How many answers came to how many requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Messages that were sent.
    pub sent: u64,
    /// Messages that were to be sent.
    pub wanted: u64,
    /// Answers that came.
    pub answers: u64,
    /// Answers that each message asks for.
    pub replies: u64,
    /// How long each answer had.
    pub patience: Duration,
}

impl Outcome {
    /// What is to be said where not every answer came.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let expected = self.wanted.saturating_mul(self.replies);
        if self.answers >= expected {
            return None;
        }
        let seconds = self.patience.as_secs_f64();
        let unsent = self.wanted - self.sent;
        let rest = match unsent {
            0 => String::new(),
            1 => "; the message after it was not sent".to_owned(),
            several => format!("; the {several} messages after it were not sent"),
        };
        Some(match self.wanted {
            1 => format!(
                "{} of {expected} answers came within {seconds} s",
                self.answers
            ),
            _ => format!(
                "{} of {expected} answers came: message {} was not answered within {seconds} s{rest}",
                self.answers, self.sent
            ),
        })
    }
}

/// Sends, and hands every answer on. The first message that is not answered in time ends it: answers to later ones
/// could not be told from its own.
///
/// # Errors
/// The broker refuses, a receipt does not come in time, or the connection fails.
pub fn run(
    mut connection: Connection,
    publication: &Publication,
    mut answer: impl FnMut(&Frame, Duration),
) -> Result<Outcome, StompError> {
    let patience = publication.patience;
    let mut outcome = Outcome {
        sent: 0,
        wanted: publication.count,
        answers: 0,
        replies: publication.replies,
        patience,
    };
    if publication.replies > 0 {
        let subscribe = Frame::new("SUBSCRIBE")
            .with("id", "reply")
            .with("destination", REPLY)
            .with("ack", "auto");
        connection.send_and_wait(subscribe, patience)?;
    }
    'messages: for number in 1..=publication.count {
        let frame = frame(publication, number);
        let sent = Instant::now();
        match publication.receipts {
            true => connection.send_and_wait(frame, patience)?,
            false => connection.send(&frame)?,
        }
        outcome.sent = number;
        for _ in 0..publication.replies {
            let Some(reply) = connection.next(Some(sent + patience))? else {
                break 'messages;
            };
            answer(&reply, sent.elapsed());
            outcome.answers += 1;
        }
    }
    connection.close(patience)?;
    Ok(outcome)
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
    fn missing_answers_are_counted_and_what_was_not_sent_is_said() {
        let outcome = |sent, wanted, answers, replies| Outcome {
            sent,
            wanted,
            answers,
            replies,
            patience: Duration::from_secs(2),
        };
        assert_eq!(outcome(3, 3, 6, 2).missing(), None);
        assert_eq!(outcome(3, 3, 0, 0).missing(), None);
        assert_eq!(
            outcome(1, 1, 2, 3).missing().as_deref(),
            Some("2 of 3 answers came within 2 s")
        );
        assert_eq!(
            outcome(3, 5, 2, 1).missing().as_deref(),
            Some(
                "2 of 5 answers came: message 3 was not answered within 2 s; the 2 messages after it were not sent"
            )
        );
    }

    #[test]
    fn a_request_names_its_answer_queue() {
        let frame = frame(&publication(1, 1), 1);
        assert_eq!(frame.header("reply-to"), Some(REPLY));
        assert_eq!(frame.header("content-length"), Some("6"));
    }
}
