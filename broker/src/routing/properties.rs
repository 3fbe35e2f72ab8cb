//! How selectors read a message: JMS names, then the application's headers.

use std::cell::OnceCell;

use crate::model::{HeaderBlock, MessageView, ReplyTo};
use crate::selector::{Properties, Value};

/// A message as a selector sees it (`JMSPriority`, `JMSDestination`, …, then properties).
#[derive(Debug)]
pub struct MessageProperties<'a> {
    view: &'a MessageView<'a>,
    /// Text forms, made when a selector asks for them.
    destination: OnceCell<String>,
    reply_to: OnceCell<Option<String>>,
}

impl<'a> MessageProperties<'a> {
    /// A reader over `view`.
    #[must_use]
    pub const fn new(view: &'a MessageView<'a>) -> Self {
        Self {
            view,
            destination: OnceCell::new(),
            reply_to: OnceCell::new(),
        }
    }

    fn destination(&self) -> &str {
        self.destination
            .get_or_init(|| match self.view.original_destination {
                Some(original) => original.to_owned(),
                None => format!("{}{}", self.view.kind.scheme(), self.view.name),
            })
    }

    fn reply_to(&self) -> Option<&str> {
        let text = || match self.view.reply_to? {
            ReplyTo::Destination(kind, name) => Some(format!("{}{name}", kind.scheme())),
            ReplyTo::Text(text) => Some(text.to_owned()),
        };
        self.reply_to.get_or_init(text).as_deref()
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
            "JMSDestination" => Value::Str(self.destination()),
            "JMSReplyTo" => self.reply_to().map_or(Value::Null, Value::Str),
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

#[cfg(test)]
mod tests {
    use super::MessageProperties;
    use crate::model::{Kind, MessageView, ReplyTo};
    use crate::selector::{Properties, Value};

    #[test]
    fn destinations_are_read_in_their_jms_form() {
        let view = MessageView {
            reply_to: Some(ReplyTo::Destination(Kind::Topic, "r")),
            ..MessageView::new(Kind::Queue, "q", "ID:1", b"")
        };
        let properties = MessageProperties::new(&view);
        assert_eq!(properties.value("JMSDestination"), Value::Str("queue://q"));
        assert_eq!(properties.value("JMSReplyTo"), Value::Str("topic://r"));
        assert_eq!(properties.value("JMSType"), Value::Null);
    }
}
