//! Clients that send: producers, and requesters that wait for an answer.

use std::sync::Arc;
use std::time::Duration;

use causeway_broker::mesh::custody::QueueName;
use causeway_broker::model::headers::HeaderBlockBuf;
use causeway_broker::model::{Kind, Message, MessageView, ReplyTo};

use super::consumers::{Asks, Pick, QueueTask, Role};
use super::queue_oracle::{Plan, Step};
use super::queues::present;
use super::world::World;

/// Topics for answers; each is used once in a run.
const REPLY_TOPICS: [&str; 24] = [
    "app.reply.t0",
    "app.reply.t1",
    "app.reply.t2",
    "app.reply.t3",
    "app.reply.t4",
    "app.reply.t5",
    "app.reply.t6",
    "app.reply.t7",
    "app.reply.t8",
    "app.reply.t9",
    "app.reply.t10",
    "app.reply.t11",
    "app.reply.t12",
    "app.reply.t13",
    "app.reply.t14",
    "app.reply.t15",
    "app.reply.t16",
    "app.reply.t17",
    "app.reply.t18",
    "app.reply.t19",
    "app.reply.t20",
    "app.reply.t21",
    "app.reply.t22",
    "app.reply.t23",
];

/// A request and its answer.
#[derive(Debug)]
pub struct Request {
    /// Where the answer is wanted.
    pub reply_to: QueueName,
    /// The requester at its last place: a consumer, or a subscriber of the topic.
    pub consumer: usize,
    /// The topic, if it is one.
    pub topic: Option<&'static str>,
    /// The answer came.
    pub is_answered: bool,
    /// The invariant that is broken without an answer, if any.
    pub owed: Option<&'static str>,
}

impl World {
    /// A requester reconnects at another broker.
    pub fn requester_moves(&mut self, consumer: usize, to: usize) {
        let asks = self.queues.consumers[consumer].asks.clone();
        let role = asks.role;
        self.consumer_goes(consumer);
        if let (Some(new), Role::Requester(request)) = (self.consumer_comes(to, asks), role) {
            self.queues.requests[request].consumer = new;
        }
    }

    /// A client sends a message to a queue.
    pub fn send_to_queue(&mut self, at: usize, plan: Plan) {
        let now = self.clock.now();
        if self.keeping(at).is_none() {
            return;
        }
        let (name, reply_to) = (plan.queue.clone(), plan.reply_to.clone());
        let is_awaited = reply_to.is_some_and(|reply_to| self.awaits_reply(at, &reply_to))
            || plan
                .reply_topic
                .is_some_and(|name| self.awaits_topic(at, name));
        let number = self.queues.oracle.produce(plan, now);
        self.oracle.note_step(now, number, at, Step::Produced);
        let own_bid = self.brokers[at].as_ref().map(|one| one.routes.bid().0);
        let plan = &self.queues.oracle.record(number).plan;
        let mut headers = HeaderBlockBuf::default();
        if let Some(key) = plan.key {
            headers.push("k", key);
        }
        if plan.is_large {
            headers.push("size", "large");
        }
        let (id, body) = (number.to_string(), vec![0x5a; plan.len]);
        let message = Message::from_view(&MessageView {
            persistent: plan.is_persistent,
            expires_ms: plan
                .ttl
                .map_or(0, |ttl| present(now).expires_ms(Some(now.plus(ttl)))),
            reply_to: plan
                .reply_to
                .as_deref()
                .map(|name| ReplyTo::Destination(Kind::Queue, name))
                .or(plan
                    .reply_topic
                    .map(|name| ReplyTo::Destination(Kind::Topic, name))),
            reply_home: own_bid.filter(|_| is_awaited),
            headers: headers.block(),
            ..MessageView::new(Kind::Queue, &name, &id, &body)
        });
        self.make_queue(at, &name);
        self.apply(at, &name, |queue, effects| queue.enqueue(message, effects));
        self.settle_queues(at);
    }

    fn awaits_reply(&mut self, at: usize, name: &QueueName) -> bool {
        let is_awaited = self
            .queue(at, name)
            .is_some_and(|own| own.queue.literal_consumers() > 0);
        if is_awaited && let Some(broker) = self.brokers[at].as_ref() {
            let own = broker.routes.bid();
            self.teach(at, Kind::Queue, name, own, None);
        }
        is_awaited
    }

    /// A client asks and waits for the answer in a queue of its own.
    pub fn ask(
        &mut self,
        at: usize,
        mut plan: Plan,
        patience: Option<Duration>,
        moves: Option<(usize, Duration)>,
        owed: Option<&'static str>,
    ) {
        let request = self.queues.requests.len();
        // Who stays may wait in a queue that is not called like one for answers. Where it moved to
        // nobody would know what the queue is for.
        let word = if moves.is_none() && request.is_multiple_of(4) {
            "answer"
        } else {
            "reply"
        };
        let reply_to: QueueName = Arc::from(format!("app.{word}.{request}"));
        let asks = Asks {
            filter: reply_to.clone(),
            pick: Pick::All,
            prefetch: 10,
            work: Duration::from_millis(1),
            role: Role::Requester(request),
        };
        let Some(consumer) = self.consumer_comes(at, asks) else {
            return;
        };
        self.queues.requests.push(Request {
            reply_to: reply_to.clone(),
            consumer,
            topic: None,
            is_answered: false,
            owed,
        });
        plan.reply_to = Some(reply_to);
        self.send_to_queue(at, plan);
        if let Some(patience) = patience {
            self.after(patience, QueueTask::Go { consumer });
        }
        if let Some((to, time)) = moves {
            self.after(time, QueueTask::Move { consumer, to });
        }
    }

    fn awaits_topic(&mut self, at: usize, name: &'static str) -> bool {
        let mut subscribers = self.oracle.subscribers.iter();
        let is_awaited = subscribers.any(|one| one.is_there && one.at == at && one.filter == name);
        if is_awaited && let Some(broker) = self.brokers[at].as_ref() {
            let own = broker.routes.bid();
            self.teach(at, Kind::Topic, name, own, None);
        }
        is_awaited
    }

    /// A client asks and waits for the answer under a topic, so shortly that nobody hears of it.
    pub fn ask_for_topic(&mut self, at: usize, mut plan: Plan, patience: Duration) {
        let topic = REPLY_TOPICS.get(self.queues.topics).copied();
        let Some(topic) = topic.filter(|_| self.keeping(at).is_some()) else {
            return;
        };
        self.queues.topics += 1;
        let subscriber = self.oracle.subscribers.len();
        self.come(at, topic, Some(patience));
        self.queues.requests.push(Request {
            reply_to: Arc::from(topic),
            consumer: subscriber,
            topic: Some(topic),
            is_answered: false,
            owed: Some("I10"),
        });
        plan.reply_topic = Some(topic);
        self.send_to_queue(at, plan);
    }

    /// True when the answer came.
    pub fn is_answered(&self, request: &Request) -> bool {
        let Some(topic) = request.topic else {
            return request.is_answered;
        };
        let mut got = self.oracle.subscribers[request.consumer].got.iter();
        got.any(|number| {
            let message = self.oracle.messages.get(usize::try_from(*number).unwrap());
            message.is_some_and(|message| message.topic == topic)
        })
    }
}
