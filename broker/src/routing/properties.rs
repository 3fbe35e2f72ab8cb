//! How selectors read a message: JMS names, then the application's headers.

use crate::model::{HeaderBlock, MessageView, ReplyTo};
use crate::selector::{Properties, Value};

/// A message as a selector sees it (`JMSPriority`, `JMSDestination`, …, then properties).
#[derive(Debug)]
pub struct MessageProperties<'a> {
    view: &'a MessageView<'a>,
    destination: Option<String>,
    reply_to: Option<String>,
}

impl<'a> MessageProperties<'a> {
    /// A reader over `view`.
    #[must_use]
    pub const fn new(view: &'a MessageView<'a>) -> Self {
        Self {
            view,
            destination: None,
            reply_to: None,
        }
    }

    /// Makes `JMSDestination` and `JMSReplyTo` readable. Only asked for when a selector names them,
    /// since their text form has to be built.
    #[must_use]
    pub fn with_destination_texts(mut self) -> Self {
        self.destination = Some(match self.view.original_destination {
            Some(original) => original.to_owned(),
            None => format!("{}{}", self.view.kind.scheme(), self.view.name),
        });
        self.reply_to = self.view.reply_to.map(|reply_to| match reply_to {
            ReplyTo::Destination(kind, name) => format!("{}{name}", kind.scheme()),
            ReplyTo::Text(text) => text.to_owned(),
        });
        self
    }

    fn jms_value(&self, name: &str) -> Option<Value<'_>> {
        let view = self.view;
        let text = |part: Option<&'a str>| part.map_or(Value::Null, Value::Str);
        Some(match name {
            "JMSType" => text(view.jms_type),
            "JMSMessageID" => Value::Str(view.id),
            "JMSCorrelationID" => text(view.correlation_id),
            "JMSPriority" => Value::Int(i32::from(view.priority)),
            "JMSTimestamp" => Value::Long(view.timestamp_ms),
            "JMSExpiration" => Value::Long(view.expires_ms),
            "JMSRedelivered" => Value::Bool(view.redelivered),
            "JMSXDeliveryCount" => Value::Int(i32::from(view.redeliveries) + 1),
            "JMSXUserID" => text(view.user),
            "JMSDeliveryMode" => Value::Str(if view.persistent {
                "PERSISTENT"
            } else {
                "NON_PERSISTENT"
            }),
            "JMSDestination" => self.destination.as_deref().map_or(Value::Null, Value::Str),
            "JMSReplyTo" => self.reply_to.as_deref().map_or(Value::Null, Value::Str),
            "JMSXGroupSeq" => integer(view.headers, name),
            _ => return None,
        })
    }
}

fn integer<'a>(headers: HeaderBlock<'a>, name: &str) -> Value<'a> {
    headers
        .get(name)
        .and_then(|text| text.parse().ok())
        .map_or(Value::Null, Value::Int)
}

impl Properties for MessageProperties<'_> {
    fn value(&self, name: &str) -> Value<'_> {
        if name.starts_with("JMS")
            && let Some(value) = self.jms_value(name)
        {
            return value;
        }
        self.view.headers.get(name).map_or(Value::Null, Value::Str)
    }
}
