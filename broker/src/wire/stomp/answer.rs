//! ACK and NACK.

use super::error::{Failure, Refusal};
use super::frame::FrameRef;
use super::session::Session;
use super::sink::{AckName, Answer, Sink};
use super::version::Version;

impl Session {
    pub(super) fn on_answer(
        &mut self,
        frame: &FrameRef<'_>,
        is_nack: bool,
        sink: &mut impl Sink,
    ) -> Result<(), Failure> {
        if is_nack && self.version == Version::V10 {
            return Err(Refusal::NoNack.into());
        }
        let answer = self.read_answer(frame, is_nack)?;
        let Some(id) = self.header(frame, "transaction")? else {
            return Ok(sink.answer(&answer, None)?);
        };
        self.count_frame(&id, sink)?;
        self.hold_answer(&id);
        Ok(sink.answer(&answer, Some(&id))?)
    }

    fn read_answer(&self, frame: &FrameRef<'_>, is_nack: bool) -> Result<Answer, Failure> {
        let header = if self.version == Version::V12 {
            "id"
        } else {
            "message-id"
        };
        let shown = self.header(frame, header)?;
        let name = match &shown {
            None => None,
            Some(text) if self.version == Version::V12 => token(text),
            Some(text) => self.message_name(frame, text)?,
        };
        let shown = shown.unwrap_or_default();
        match name {
            Some(name) => Ok(Answer {
                name,
                shown,
                is_nack,
            }),
            None => Err(Refusal::UnexpectedAck {
                command: if is_nack { "NACK" } else { "ACK" },
                id: shown,
            }
            .into()),
        }
    }

    /// 1.1 needs the subscription, 1.0 takes it when it is given.
    fn message_name(&self, frame: &FrameRef<'_>, id: &str) -> Result<Option<AckName>, Failure> {
        let number = match self.header(frame, "subscription")? {
            None if self.version == Version::V10 => None,
            None => return Ok(None),
            Some(subscription) => match self.by_id.get(&subscription) {
                Some(number) => Some(*number),
                None => return Ok(None),
            },
        };
        Ok(Some(AckName::MessageId(id.to_owned(), number)))
    }
}

/// Only what we wrote ourselves: no sign, no zeros in front.
fn token(text: &str) -> Option<AckName> {
    let is_ours = text.bytes().all(|byte| byte.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    let number = text.parse().ok()?;
    is_ours.then_some(AckName::Token(number))
}
