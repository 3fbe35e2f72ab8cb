//! `?since=REVISION&wait=TIME` of `/status`: answer when something is other than in that revision, at the latest after
//! that time.

use std::time::Duration;

use crate::config::units::Span;

/// The longest time that an answer is held back.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// The revision.
    #[error("since is the revision of an earlier answer, a number")]
    Since,
    /// The time.
    #[error("wait is a time such as 25s, or a number of seconds")]
    Wait,
}

/// When `/status` is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Question {
    /// What the asker knows; nothing: the answer does not wait.
    pub since: Option<u64>,
    /// How long the answer may wait.
    pub wait: Duration,
}

impl Question {
    /// Reads the part of the address behind its question mark. What is not known is passed over.
    ///
    /// # Errors
    /// A value makes no sense.
    pub fn parse(query: &str) -> Result<Self, QuestionError> {
        let mut question = Self::default();
        for pair in query.split('&') {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("since", value) => {
                    let revision = value.parse().map_err(|_| QuestionError::Since)?;
                    question.since = Some(revision);
                }
                ("wait", value) => question.wait = wait(value)?.min(LONGEST_WAIT),
                _ => {}
            }
        }
        Ok(question)
    }
}

fn wait(value: &str) -> Result<Duration, QuestionError> {
    if let Ok(seconds) = value.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let span: Span = value.parse().map_err(|_| QuestionError::Wait)?;
    Ok(span.duration())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_names_a_revision_and_a_time() {
        let question = |since, seconds| {
            let wait = Duration::from_secs(seconds);
            Ok(Question { since, wait })
        };
        assert_eq!(Question::parse(""), question(None, 0));
        assert_eq!(Question::parse("since=7&wait=25s"), question(Some(7), 25));
        assert_eq!(Question::parse("wait=2&since=7&x"), question(Some(7), 2));
        assert_eq!(Question::parse("since=7"), question(Some(7), 0));
    }

    #[test]
    fn a_wait_is_bounded_and_nonsense_is_refused() {
        let longest = Question::parse("since=1&wait=1h").map(|question| question.wait);
        assert_eq!(longest, Ok(LONGEST_WAIT));
        let endless = Question::parse("since=1&wait=18446744073709551615");
        assert_eq!(endless.map(|question| question.wait), Ok(LONGEST_WAIT));
        assert_eq!(Question::parse("since=x"), Err(QuestionError::Since));
        assert_eq!(Question::parse("since"), Err(QuestionError::Since));
        assert_eq!(Question::parse("wait=-1"), Err(QuestionError::Wait));
    }
}
