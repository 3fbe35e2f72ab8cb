//! Three machines under random schedules: frames are lost, doubled and late, brokers are
//! unreachable for a while or crash. Every message is delivered once, or again with the flag.

use std::collections::BTreeMap;

use super::*;

/// Brokers of the network.
const NODES: usize = 3;
const QUEUE: &str = "work";
/// Time of one step.
const STEP: Duration = Duration::from_millis(10);

struct Lcg(u64);

impl Lcg {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A message in the queue of a broker.
#[derive(Clone)]
struct Kept {
    offer: Offer,
    is_away: bool,
}

struct Node {
    custody: Custody,
    queue: BTreeMap<u64, Kept>,
    next_token: u64,
    epoch: u64,
    has_consumer: bool,
    /// How often a consumer may take a message in this step.
    free: u32,
    rev: u32,
}

/// What is under way.
enum Packet {
    Transfer(TransferHead, Bytes),
    Routed(Bid, Body),
}

struct Net {
    nodes: Vec<Node>,
    packets: Vec<(u64, usize, Packet)>,
    cut: [[bool; NODES]; NODES],
    random: Lcg,
    step: u64,
    loss: u64,
    /// Message to its deliveries: was it flagged?
    delivered: BTreeMap<u64, Vec<bool>>,
    /// Owned by a broker when it crashed, or in its consumers' hands.
    lost_in_crash: Vec<u64>,
}

fn bid(node: usize) -> Bid {
    Bid([u8::try_from(node).unwrap() + 1; 16])
}

fn node_of(bid: Bid) -> usize {
    usize::from(bid.0[0]) - 1
}

fn id_of(envelope: &Bytes) -> u64 {
    u64::from_be_bytes(envelope[..8].try_into().unwrap())
}

impl Net {
    fn new(seed: u64, loss: u64) -> Self {
        let node = |number| Node {
            custody: Custody::new(config(bid(number), 1), at(0)),
            queue: BTreeMap::new(),
            next_token: 1,
            epoch: 1,
            has_consumer: number > 0,
            free: 0,
            rev: 0,
        };
        let mut net = Self {
            nodes: (0..NODES).map(node).collect(),
            packets: Vec::new(),
            cut: [[false; NODES]; NODES],
            random: Lcg(seed),
            step: 0,
            loss,
            delivered: BTreeMap::new(),
            lost_in_crash: Vec::new(),
        };
        net.tell_reachability();
        net
    }

    fn now(&self) -> Now {
        Now(0).plus(STEP * u32::try_from(self.step).unwrap())
    }

    fn publish(&mut self, at: usize, id: u64) {
        let mut offer = message(0);
        (offer.envelope, offer.idle_since) =
            (Bytes::copy_from_slice(&id.to_be_bytes()), self.now());
        self.delivered.insert(id, Vec::new());
        self.keep(at, offer);
    }

    fn keep(&mut self, at: usize, mut offer: Offer) {
        let node = &mut self.nodes[at];
        offer.token = node.next_token;
        node.next_token += 1;
        node.queue.insert(
            offer.token,
            Kept {
                offer,
                is_away: false,
            },
        );
    }

    fn tell_reachability(&mut self) {
        for (a, b) in (0..NODES).flat_map(|a| (0..NODES).map(move |b| (a, b))) {
            if a != b {
                let epoch = Epoch(self.nodes[b].epoch);
                let is_reachable = !self.cut[a][b];
                self.handle(
                    a,
                    Event::Peer {
                        bid: bid(b),
                        epoch,
                        is_reachable,
                    },
                );
            }
        }
    }

    fn handle(&mut self, at: usize, event: Event<'_>) {
        let mut out = Effects::new();
        let now = self.now();
        self.nodes[at].custody.handle(event, now, &mut out);
        self.act(at, out);
    }

    fn act(&mut self, at: usize, effects: Effects) {
        for effect in effects {
            match effect {
                Effect::Forward { head, envelope, .. } => {
                    self.send(at, node_of(head.to), || {
                        Packet::Transfer(head, envelope.clone())
                    });
                }
                Effect::Route { to, body } => {
                    self.send(at, node_of(to), || Packet::Routed(bid(at), body.clone()));
                }
                Effect::Arrived {
                    id,
                    envelope,
                    moves,
                    is_redelivered,
                    credit,
                    ..
                } => {
                    let offer = Offer {
                        envelope,
                        moves,
                        is_redelivered,
                        ..message(0)
                    };
                    self.arrived(at, id, offer, credit);
                }
                Effect::CreditWanted(request) => {
                    let node = &self.nodes[at];
                    let room = match node.has_consumer {
                        true => room(node.free, 2),
                        false => room(0, 0),
                    };
                    self.handle(at, Event::Grant { request, room });
                }
                Effect::Gone { token, .. } => {
                    self.nodes[at].queue.remove(&token);
                }
                Effect::Recall { token, .. } => {
                    let queue = &mut self.nodes[at].queue;
                    if queue.get(&token).is_some_and(|kept| !kept.is_away) {
                        queue.remove(&token);
                    }
                }
                Effect::Returned(returned) => self.returned(at, returned),
                Effect::Look(_) | Effect::Wake | Effect::DropParked { .. } => {}
            }
        }
    }

    fn returned(&mut self, at: usize, returned: Returned) {
        let kept = self.nodes[at].queue.get_mut(&returned.token).unwrap();
        assert!(kept.is_away);
        kept.is_away = false;
        kept.offer.refusals = returned.refusals;
        kept.offer.is_redelivered |= returned.is_redelivered;
    }

    fn arrived(&mut self, at: usize, id: TransferId, mut offer: Offer, credit: Credit) {
        let node = &self.nodes[at];
        let refused = match (node.has_consumer, node.free, credit) {
            (false, ..) => Some(Refusal::NoConsumer),
            (true, 0, Credit::Standing) => Some(Refusal::NoCredit),
            _ => None,
        };
        if refused.is_none() {
            offer.idle_since = self.now();
            self.keep(at, offer);
        }
        self.handle(at, Event::Outcomes(&[Outcome { id, refused }]));
    }

    fn send(&mut self, from: usize, to: usize, packet: impl Fn() -> Packet) {
        let copies = match self.random.below(100) {
            roll if roll < self.loss => 0,
            roll if roll < 2 * self.loss => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let delay = 1 + self.random.below(8) * self.random.below(4);
            if !self.cut[from][to] {
                self.packets.push((self.step + delay, to, packet()));
            }
        }
    }

    fn crash(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let owned = node.queue.values().map(|kept| id_of(&kept.offer.envelope));
        self.lost_in_crash.extend(owned);
        node.queue.clear();
        node.epoch += 1;
        let now = Now(0).plus(STEP * u32::try_from(self.step).unwrap());
        node.custody = Custody::new(config(bid(at), node.epoch), now);
        self.tell_reachability();
    }

    fn run_step(&mut self) {
        self.step += 1;
        let due: Vec<_> = self
            .packets
            .extract_if(.., |packet| packet.0 <= self.step)
            .collect();
        for (_, to, packet) in due {
            match packet {
                Packet::Transfer(head, envelope) => {
                    self.handle(
                        to,
                        Event::Transfer {
                            head,
                            envelope,
                            expires: None,
                        },
                    );
                }
                Packet::Routed(from, body) => self.handle(to, Event::Routed { from, body }),
            }
        }
        for at in 0..NODES {
            let now = self.now();
            if self.nodes[at].custody.deadline() <= now {
                self.handle(at, Event::Tick);
                assert!(self.nodes[at].custody.deadline() > now);
            }
            self.nodes[at].free = 2;
            self.handle(at, Event::Room(QUEUE.into()));
            self.serve(at);
        }
    }

    /// Local consumers first, then everybody else (R15).
    fn serve(&mut self, at: usize) {
        let tokens: Vec<u64> = self.nodes[at].queue.keys().copied().collect();
        for token in tokens {
            let node = &mut self.nodes[at];
            if node.queue[&token].is_away {
                continue;
            }
            if node.has_consumer && node.free > 0 {
                node.free -= 1;
                let offer = node.queue.remove(&token).unwrap().offer;
                let deliveries = self.delivered.get_mut(&id_of(&offer.envelope)).unwrap();
                deliveries.push(offer.is_redelivered);
                continue;
            }
            self.offer(at, token);
        }
    }

    fn offer(&mut self, at: usize, token: u64) {
        let candidates: Vec<Candidate> = (0..NODES)
            .filter(|other| *other != at && self.nodes[*other].has_consumer)
            .map(|other| Candidate {
                epoch: Epoch(self.nodes[other].epoch),
                rev: self.nodes[other].rev,
                ..entry_of(bid(other))
            })
            .collect();
        let (now, mut out) = (self.now(), Effects::new());
        let node = &mut self.nodes[at];
        let offer = node.queue[&token].offer.clone();
        let placement = node.custody.offer(&offer, &candidates, now, &mut out);
        if let Some(kept) = node.queue.get_mut(&token) {
            kept.is_away = matches!(placement, Placement::Sent(_));
        }
        self.act(at, out);
    }

    /// Heals everything and lets it come to rest.
    fn settle(&mut self) {
        self.loss = 0;
        self.cut = [[false; NODES]; NODES];
        self.tell_reachability();
        for node in &mut self.nodes {
            node.has_consumer = true;
            node.rev += 1;
        }
        for _ in 0..4000 {
            self.run_step();
        }
    }

    /// Consumers move, links break and heal.
    fn disturb(&mut self) {
        match self.random.below(60) {
            0 => {
                let (a, b) = (self.pick(), self.pick());
                self.cut[a][b] ^= true;
                self.cut[b][a] = self.cut[a][b];
                self.tell_reachability();
            }
            1 => {
                let at = self.pick();
                let node = &mut self.nodes[at];
                node.has_consumer ^= true;
                node.rev += 1;
                if !node.has_consumer {
                    self.handle(at, Event::ConsumersGone(QUEUE.into()));
                }
            }
            2 => {
                let at = self.pick();
                self.handle(at, Event::Generation);
            }
            _ => {}
        }
    }

    fn pick(&mut self) -> usize {
        usize::try_from(self.random.below(3)).unwrap()
    }
}

/// Publishes 200 messages at random brokers; `each` runs before each step.
fn run(seed: u64, loss: u64, mut each: impl FnMut(&mut Net)) -> Net {
    let mut net = Net::new(seed, loss);
    for id in 0..200 {
        let at = net.pick();
        net.publish(at, id);
        for _ in 0..5 {
            each(&mut net);
            net.run_step();
        }
    }
    net.settle();
    for (at, node) in net.nodes.iter().enumerate() {
        assert!(
            node.queue.is_empty(),
            "seed {seed}: broker {at} keeps {}",
            node.queue.len()
        );
    }
    net
}

#[test]
fn on_a_quiet_network_every_message_is_delivered_once_and_unflagged() {
    for seed in 0..20 {
        let net = run(seed, 0, |_| {});
        for (id, deliveries) in &net.delivered {
            assert_eq!(deliveries, &[false], "seed {seed}, message {id}");
        }
    }
}

#[test]
fn lost_and_doubled_frames_neither_lose_nor_double_a_message() {
    for seed in 0..20 {
        let net = run(seed, 15, |_| {});
        for (id, deliveries) in &net.delivered {
            let first_time = deliveries.iter().filter(|is_flagged| !**is_flagged).count();
            assert!(!deliveries.is_empty(), "seed {seed}, message {id} lost");
            assert!(first_time <= 1, "seed {seed}, message {id}: {deliveries:?}");
        }
    }
}

#[test]
fn cuts_and_moving_consumers_lose_nothing_and_flag_what_they_double() {
    let mut doubled = 0;
    for seed in 0..60 {
        let net = run(seed, 10, Net::disturb);
        for (id, deliveries) in &net.delivered {
            let first_time = deliveries.iter().filter(|is_flagged| !**is_flagged).count();
            assert!(!deliveries.is_empty(), "seed {seed}, message {id} lost");
            assert!(first_time <= 1, "seed {seed}, message {id}: {deliveries:?}");
            doubled += deliveries.len() - 1;
        }
    }
    println!("{doubled} messages were delivered again, flagged");
}

#[test]
fn a_crash_loses_only_what_the_crashed_broker_owned() {
    for seed in 0..40 {
        let net = run(seed, 10, |net| {
            net.disturb();
            if net.random.below(300) == 0 {
                let at = net.pick();
                net.crash(at);
            }
        });
        for (id, deliveries) in &net.delivered {
            let first_time = deliveries.iter().filter(|is_flagged| !**is_flagged).count();
            let is_excused = net.lost_in_crash.contains(id);
            assert!(
                !deliveries.is_empty() || is_excused,
                "seed {seed}, message {id} lost"
            );
            assert!(
                first_time <= 1 || is_excused,
                "seed {seed}, message {id}: {deliveries:?}"
            );
        }
    }
}
