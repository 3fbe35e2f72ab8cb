//! Transfers on the wire, and what requests teach, as `link::data` does it.

use std::time::Duration;

use bytes::Bytes;
use causeway_broker::mesh::custody::{Credit, Event};
use causeway_broker::mesh::forward::DSet;
use causeway_broker::mesh::frame::{
    FwdFrame, PayloadKind, TF_RELIABLE, TRANSFER_HEAD_LEN, TransferHead,
};
use causeway_broker::mesh::ids::Bid;
use causeway_broker::mesh::ring::{Queued, Source};
use causeway_broker::model::{Kind, MessageView, ReplyTo, envelope};

use super::world::{Sabotage, World};

impl World {
    /// Sends a transfer.
    pub fn send_transfer(&mut self, at: usize, head: &TransferHead, message: &Bytes, ttl_ms: u32) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_ref() else {
            return;
        };
        let routes = broker.routes.clone();
        let Some(site) = routes.site(head.to) else {
            return;
        };
        self.issue_interest(at);
        let Some(mut tail_head) = self.tail_head(at, PayloadKind::Transfer, TF_RELIABLE) else {
            return;
        };
        tail_head.ttl_ms = ttl_ms;
        let tail = tail_head.with_payload(&[&head.encode(), message]);
        let frame = Queued::own(DSet::of(site.sid), tail_head, tail, now);
        self.place(at, &routes, frame, Source::Client);
    }

    /// A transfer came over a link.
    pub fn deliver_transfer(&mut self, at: usize, frame: &FwdFrame) {
        let now = self.clock.now();
        let age_ms = u64::from(frame.head.age_ms);
        let left = match frame.tail_head.ttl_ms {
            0 => None,
            ttl => Some(Duration::from_millis(u64::from(ttl).saturating_sub(age_ms))),
        };
        let payload = frame.payload();
        let Ok(head) = TransferHead::received(frame) else {
            let what = "a transfer does not decode".to_owned();
            return self.oracle.fail("transfer", None, what);
        };
        let envelope = payload.slice(TRANSFER_HEAD_LEN..);
        if let Ok(view) = envelope::decode(&envelope) {
            self.learn(at, &view, left);
        }
        let expires = left.map(|left| now.plus(left));
        if self.sabotage == Some(Sabotage::Repeats) && !self.queues.first(at, &head) {
            // A receiver that does not know what it had.
            let manner = (Credit::Granted, head.moves + 1, false);
            let _ = self.arrived(at, envelope.clone(), expires, manner);
        }
        self.custody(
            at,
            Event::Transfer {
                head,
                envelope,
                expires,
            },
        );
    }

    fn learn(&mut self, at: usize, view: &MessageView<'_>, lifetime: Option<Duration>) {
        if let (Some(ReplyTo::Destination(kind, name)), Some(home)) =
            (view.reply_to, view.reply_home)
        {
            self.teach(at, kind, name, Bid(home), lifetime);
        }
    }

    /// Notes where answers are awaited.
    pub fn teach(
        &mut self,
        at: usize,
        kind: Kind,
        name: &str,
        bid: Bid,
        lifetime: Option<Duration>,
    ) {
        let now = self.clock.now();
        if let Some(keeping) = self.keeping(at) {
            keeping.replies.teach(kind.code(), name, bid, lifetime, now);
            if kind == Kind::Queue {
                self.judge(at, &name.into());
                self.settle_queues(at);
            }
        }
    }

    /// Adds the brokers that await answers under a topic name.
    pub fn add_reply_sids(&mut self, at: usize, topic: &str, sids: &mut Vec<u16>) {
        let (now, sabotage) = (self.clock.now(), self.sabotage);
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let Some(keeping) = broker.keeping.as_mut() else {
            return;
        };
        if sabotage == Some(Sabotage::Addition) && !sids.is_empty() {
            return;
        }
        let routes = &broker.routes;
        keeping
            .replies
            .visit(Kind::Topic.code(), topic, now, |bid| {
                if let Some(site) = routes.site(bid)
                    && !sids.contains(&site.sid.0)
                {
                    sids.push(site.sid.0);
                }
                true
            });
    }
}
