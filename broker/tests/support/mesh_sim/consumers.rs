//! Clients of queues: producers, consumers that come, go and are slow, workers that answer, and
//! requesters that wait for the answer, perhaps at another broker.

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_broker::broker::remote::Wanted;
use causeway_broker::mesh::event::Event;
use causeway_broker::mesh::ids::Now;
use causeway_broker::model::{Destination, Kind, Message, destination};
use causeway_broker::queue::state::{ConsumerId, ConsumerOptions, DeadReason};
use causeway_broker::selector::{Conversion, Selector};

use causeway_broker::mesh::custody::{Event as Custody, QueueName};

use super::queue_oracle::{Plan, Step};
use super::queues::{SimQueue, number_of};
use super::world::{Sabotage, Task, World};

/// What a consumer selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// Everything.
    All,
    /// `k = 'value'`.
    Is(&'static str),
    /// The same, of the large ones: a summary says less than the selector.
    LargeIs(&'static str),
    /// `k` begins with the text: a summary says nothing.
    Begins(&'static str),
}

impl Pick {
    fn selector(self) -> Option<Selector> {
        let text = match self {
            Self::All => return None,
            Self::Is(value) => format!("k = '{value}'"),
            Self::LargeIs(value) => format!("k = '{value}' AND size = 'large'"),
            Self::Begins(text) => format!("k LIKE '{text}%'"),
        };
        Some(Selector::parse(&text, Conversion::Strict).expect("a selector"))
    }

    /// The same condition, written for nothing but to be obviously right.
    pub fn takes(self, key: Option<&str>, is_large: bool) -> bool {
        match self {
            Self::All => true,
            Self::Is(value) => key == Some(value),
            Self::LargeIs(value) => key == Some(value) && is_large,
            Self::Begins(text) => key.is_some_and(|key| key.starts_with(text)),
        }
    }
}

/// What a consumer does with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nothing.
    Plain,
    /// It answers.
    Worker,
    /// It made that request.
    Requester(usize),
}

/// What a consumer asks for.
#[derive(Debug, Clone)]
pub struct Asks {
    /// A queue, or a pattern of queues.
    pub filter: QueueName,
    /// Which messages.
    pub pick: Pick,
    /// How many at once, of each queue.
    pub prefetch: u32,
    /// How long it works on one at most.
    pub work: Duration,
    /// What for.
    pub role: Role,
}

/// A consumer.
#[derive(Debug)]
pub struct Consumer {
    /// The broker.
    pub at: usize,
    /// What it asked for.
    pub asks: Asks,
    /// Connected.
    pub is_there: bool,
    /// Since when.
    pub since: Now,
    /// When it went.
    pub left: Option<Now>,
    /// The process of its broker.
    pub since_life: u32,
    /// When it last had no room, by queue.
    pub full: BTreeMap<QueueName, Now>,
}

/// What is scheduled of queues.
#[derive(Debug)]
pub enum QueueTask {
    /// A client sends a message.
    Produce { at: usize, plan: Plan },
    /// A consumer comes and stays, or stays for so long.
    Come {
        at: usize,
        asks: Asks,
        stay: Option<Duration>,
    },
    /// A consumer goes.
    Go { consumer: usize },
    /// A requester reconnects at another broker.
    Move { consumer: usize, to: usize },
    /// A visitor leaves where it is, and comes to a broker.
    Visit {
        number: usize,
        at: Option<usize>,
        asks: Asks,
    },
    /// A consumer is done with a message.
    Ack {
        consumer: usize,
        name: QueueName,
        seq: u64,
        message: u64,
    },
    /// A client asks: it waits for so long, and changes its broker after a while.
    Ask {
        at: usize,
        plan: Plan,
        patience: Option<Duration>,
        moves: Option<(usize, Duration)>,
        owed: Option<&'static str>,
    },
    /// A client asks, and waits for so long for the answer under a topic.
    AskForTopic {
        at: usize,
        plan: Plan,
        patience: Duration,
    },
    /// The invariants that hold always.
    Check,
}

impl World {
    /// Does what was scheduled.
    pub fn queue_task(&mut self, task: QueueTask) {
        match task {
            QueueTask::Produce { at, plan } => self.send_to_queue(at, plan),
            QueueTask::Come { at, asks, stay } => {
                let came = self.consumer_comes(at, asks);
                if let (Some(consumer), Some(stay)) = (came, stay) {
                    self.after(stay, QueueTask::Go { consumer });
                }
            }
            QueueTask::Go { consumer } => self.consumer_goes(consumer),
            QueueTask::Move { consumer, to } => self.requester_moves(consumer, to),
            QueueTask::Visit { number, at, asks } => {
                if let Some(consumer) = self.queues.visitors.remove(&number) {
                    self.consumer_goes(consumer);
                }
                if let Some(consumer) = at.and_then(|at| self.consumer_comes(at, asks)) {
                    self.queues.visitors.insert(number, consumer);
                }
            }
            QueueTask::Ack {
                consumer,
                name,
                seq,
                message,
            } => self.acknowledge(consumer, &name, seq, message),
            QueueTask::Ask {
                at,
                plan,
                patience,
                moves,
                owed,
            } => self.ask(at, plan, patience, moves, owed),
            QueueTask::AskForTopic { at, plan, patience } => {
                self.ask_for_topic(at, plan, patience);
            }
            QueueTask::Check => self.check_queues(),
        }
    }

    /// Schedules something for so much later.
    pub fn after(&mut self, time: Duration, task: QueueTask) {
        self.clock.after(time, Task::Queue(task));
    }

    /// Makes a queue, unless it is there, and serves it to the consumers of patterns.
    pub fn make_queue(&mut self, at: usize, name: &QueueName) {
        let Some(keeping) = self.keeping(at) else {
            return;
        };
        if keeping.queues.contains_key(name) {
            return;
        }
        keeping.queues.insert(name.clone(), SimQueue::new());
        self.judge(at, name);
        for consumer in 0..self.queues.consumers.len() {
            let one = &self.queues.consumers[consumer];
            let is_pattern = destination::is_pattern(&one.asks.filter);
            if one.is_there && one.at == at && is_pattern && one.wants_queue(name) {
                self.attach(at, name, consumer);
            }
        }
    }

    fn attach(&mut self, at: usize, name: &QueueName, consumer: usize) {
        let asks = self.queues.consumers[consumer].asks.clone();
        let (selector, id) = (asks.pick.selector(), id_of(consumer));
        if let Some(own) = self.queue(at, name) {
            own.consumers.insert(id, selector.clone());
        }
        let options = ConsumerOptions {
            selector,
            capacity: asks.prefetch,
            priority: 0,
            is_exclusive: false,
            is_monitor: destination::is_pattern(&asks.filter)
                && self.sabotage != Some(Sabotage::Monitors),
        };
        self.apply(at, name, |queue, effects| {
            queue.subscribe(id, options, effects);
        });
    }

    /// A consumer comes; gives its number.
    pub fn consumer_comes(&mut self, at: usize, asks: Asks) -> Option<usize> {
        self.keeping(at)?;
        let life = self.life(at)?;
        let (now, consumer) = (self.clock.now(), self.queues.consumers.len());
        let filter = asks.filter.clone();
        self.queues.consumers.push(Consumer {
            at,
            asks,
            is_there: true,
            since: now,
            left: None,
            since_life: life,
            full: BTreeMap::new(),
        });
        self.oracle.note_consumer(now, consumer, true);
        if !destination::is_pattern(&filter) {
            self.make_queue(at, &filter);
        }
        for name in self.queues_of(consumer) {
            self.judge(at, &name);
            self.attach(at, &name, consumer);
        }
        self.tell_interest(at, consumer, true);
        self.settle_queues(at);
        Some(consumer)
    }

    fn queues_of(&mut self, consumer: usize) -> Vec<QueueName> {
        let at = self.queues.consumers[consumer].at;
        let Some(broker) = self.brokers[at].as_ref() else {
            return Vec::new();
        };
        let names = broker.keeping.iter().flat_map(|one| one.queues.keys());
        let one = &self.queues.consumers[consumer];
        names
            .filter(|name| one.wants_queue(name))
            .cloned()
            .collect()
    }

    fn tell_interest(&mut self, at: usize, consumer: usize, is_new: bool) {
        let asks = &self.queues.consumers[consumer].asks;
        let change = Wanted {
            filter: Destination::new(Kind::Queue, &asks.filter),
            selector: asks.pick.selector(),
            is_new,
        };
        if let Some(keeping) = self.keeping(at) {
            let change = keeping.local.change(&change);
            self.control(at, Event::Interest(vec![change]));
        }
    }

    /// A consumer goes; what it has not acknowledged is served to others.
    pub fn consumer_goes(&mut self, consumer: usize) {
        let one = &mut self.queues.consumers[consumer];
        if !std::mem::take(&mut one.is_there) {
            return;
        }
        let (at, now) = (one.at, self.clock.now());
        one.left = Some(now);
        self.oracle.note_consumer(now, consumer, false);
        self.queues.consumer_moved(consumer);
        for name in self.queues_of(consumer) {
            if let Some(own) = self.queue(at, &name) {
                own.consumers.remove(&id_of(consumer));
            }
            self.apply(at, &name, |queue, effects| {
                queue.unsubscribe(id_of(consumer), effects);
                queue.note_departure(now);
            });
        }
        self.tell_interest(at, consumer, false);
        self.withdraw_credit(at, consumer);
        self.check_promises();
        self.settle_queues(at);
    }

    fn withdraw_credit(&mut self, at: usize, consumer: usize) {
        if self.sabotage == Some(Sabotage::Promises) {
            return;
        }
        for name in self.queues_of(consumer) {
            let own = self.queue(at, &name);
            if own.is_some_and(|own| own.consumers.is_empty()) {
                self.custody(at, Custody::ConsumersGone(name));
            }
        }
    }

    /// A queue hands a message to a consumer.
    pub fn served(
        &mut self,
        at: usize,
        name: &QueueName,
        id: ConsumerId,
        seq: u64,
        message: &Message,
    ) {
        let now = self.clock.now();
        let consumer = usize::try_from(id.0).unwrap();
        let Some(number) = number_of(message) else {
            return;
        };
        let step = Step::Served {
            consumer,
            is_redelivered: message.redelivered,
        };
        self.oracle.note_step(now, number, at, step);
        self.judge_delivery(number, consumer, message.redelivered);
        self.judge_monitor(at, name, number, consumer);
        self.note_room(at, name, consumer);
        let work = self.queues.consumers[consumer].asks.work;
        let time = self.queues.random.up_to(work);
        let task = QueueTask::Ack {
            consumer,
            name: name.clone(),
            seq,
            message: number,
        };
        self.after(time, task);
    }

    fn note_room(&mut self, at: usize, name: &QueueName, consumer: usize) {
        let now = self.clock.now();
        let free = self
            .queue(at, name)
            .map(|own| own.queue.room(|id| id == id_of(consumer)).free);
        if free == Some(0) {
            let full = &mut self.queues.consumers[consumer].full;
            full.insert(name.clone(), now);
        }
    }

    fn acknowledge(&mut self, consumer: usize, name: &QueueName, seq: u64, message: u64) {
        let one = &self.queues.consumers[consumer];
        if !one.is_there {
            return;
        }
        let (at, role) = (one.at, one.asks.role);
        self.note_room(at, name, consumer);
        let is_held = self.apply(at, name, |queue, effects| {
            queue.ack(id_of(consumer), seq, effects)
        });
        if is_held != Some(true) {
            let what = format!("consumer {consumer} has it, and {at} does not know");
            self.oracle.fail("I12", Some(message), what);
            return;
        }
        let now = self.clock.now();
        self.oracle
            .note_step(now, message, at, Step::Acked { consumer });
        self.judge_ack(message, consumer);
        match role {
            Role::Plain => {}
            Role::Requester(request) => self.queues.requests[request].is_answered = true,
            Role::Worker => {
                let plan = &self.queues.oracle.record(message).plan;
                let (queue, topic) = (plan.reply_to.clone(), plan.reply_topic);
                if let Some(queue) = queue {
                    self.send_to_queue(at, Plan::to(queue));
                }
                if let Some(topic) = topic {
                    self.publish(at, topic, 20, false, Duration::ZERO);
                }
            }
        }
        self.settle_queues(at);
    }

    /// A message left its queue for the dead letters.
    pub fn dead(&mut self, at: usize, message: &Message, reason: DeadReason) {
        let now = self.clock.now();
        if let Some(number) = number_of(message) {
            self.oracle.note_step(now, number, at, Step::Dead(reason));
            self.judge_death(number, reason);
        }
    }
}

impl Consumer {
    /// True when its filter covers the queue.
    pub fn wants_queue(&self, name: &str) -> bool {
        super::oracle::matches(&self.asks.filter, name)
    }

    /// True when it would take a message of that plan.
    pub fn wants(&self, plan: &Plan) -> bool {
        self.wants_queue(&plan.queue) && self.asks.pick.takes(plan.key, plan.is_large)
    }
}

/// The number under which queues know a consumer.
pub fn id_of(consumer: usize) -> ConsumerId {
    ConsumerId(u64::try_from(consumer).unwrap())
}
