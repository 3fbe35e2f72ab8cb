//! What goes wrong: resets, silence in one or both directions, flapping, partitions, crashes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::oracle::Note;
use super::topology::below;
use super::world::{Task, World};

/// A fault.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection of a link is reset; with `is_void` everything on the way is lost.
    Reset { a: usize, b: usize, is_void: bool },
    /// Nothing moves over a link any more in one direction or both, and nobody is told.
    Silence {
        a: usize,
        b: usize,
        is_one_way: bool,
    },
    /// A link is reset so many times, every 200 ms.
    Flap { a: usize, b: usize, times: u32 },
    /// Nothing moves between these brokers and the others.
    Partition { part: BTreeSet<usize> },
    /// A process is killed and started again at the end; with `is_silent` its host is gone too.
    Crash { at: usize, is_silent: bool },
    /// A link carries only so many bytes a second in each direction.
    Slow { a: usize, b: usize, rate: usize },
    /// Somebody changes the network.
    Change { what: String },
}

impl World {
    /// Adds a fault that begins after `start` and ends `stay` later.
    pub fn plan(&mut self, fault: Fault, start: Duration, stay: Duration) {
        let number = self.faults.len();
        if number >= self.most.faults {
            return;
        }
        self.faults.push(fault);
        let begin = Task::Fault {
            number,
            begins: true,
        };
        self.clock.after(start, begin);
        let end = Task::Fault {
            number,
            begins: false,
        };
        self.clock.after(start + stay, end);
    }

    /// Somebody is about to change the network; false when enough has gone wrong.
    pub fn may_change(&mut self, what: String) -> bool {
        let has_room = self.faults.len() < self.most.faults;
        if has_room {
            self.faults.push(Fault::Change { what });
        }
        has_room
    }

    /// A fault of one link.
    pub fn link_fault(&mut self) -> Fault {
        let edge = self.edges[below(&mut self.fault_random, self.edges.len())];
        let (a, b) = if below(&mut self.fault_random, 2) == 0 {
            (edge.a, edge.b)
        } else {
            (edge.b, edge.a)
        };
        match below(&mut self.fault_random, 6) {
            0 | 1 => Fault::Reset {
                a,
                b,
                is_void: below(&mut self.fault_random, 2) == 0,
            },
            2 => Fault::Flap { a, b, times: 5 },
            other => Fault::Silence {
                a,
                b,
                is_one_way: other == 3,
            },
        }
    }

    /// Any fault.
    pub fn any_fault(&mut self) -> Fault {
        let brokers = self.size;
        match below(&mut self.fault_random, 10) {
            0 | 1 => Fault::Crash {
                at: below(&mut self.fault_random, brokers),
                is_silent: below(&mut self.fault_random, 2) == 0,
            },
            2 | 3 => {
                let from = below(&mut self.fault_random, brokers);
                let len = 1 + below(&mut self.fault_random, brokers - 1);
                let part = (0..len).map(|at| (from + at) % brokers).collect();
                Fault::Partition { part }
            }
            _ => self.link_fault(),
        }
    }

    /// A fault begins or ends.
    pub fn fault(&mut self, number: usize, begins: bool) {
        let now = self.clock.now();
        self.oracle.note(now, Note::Fault { number, begins });
        match (self.faults[number].clone(), begins) {
            (Fault::Reset { a, b, is_void }, true) => {
                for pipe in self.pipes_between(a, b) {
                    self.reset(pipe, is_void);
                }
            }
            (Fault::Flap { a, b, times }, true) => {
                for at in 0..times {
                    let time = Duration::from_millis(200) * at;
                    self.clock.after(time, Task::Flap { a, b });
                }
            }
            (Fault::Silence { a, b, is_one_way }, _) => {
                self.darken(a, b, begins);
                if !is_one_way {
                    self.darken(b, a, begins);
                }
            }
            (Fault::Partition { part }, _) => {
                let others: Vec<usize> = (0..self.size).filter(|at| !part.contains(at)).collect();
                for (a, b) in part
                    .iter()
                    .flat_map(|a| others.iter().map(move |b| (*a, *b)))
                {
                    self.darken(a, b, begins);
                    self.darken(b, a, begins);
                }
            }
            (Fault::Slow { a, b, rate }, _) => {
                self.flow.slow(a, b, begins.then_some(rate));
                self.flow.slow(b, a, begins.then_some(rate));
            }
            (Fault::Crash { at, is_silent }, true) => self.crash(at, is_silent),
            (Fault::Crash { at, .. }, false) => self.restart(at),
            _ => {}
        }
    }

    /// Starts a site again, and its clients come back.
    pub fn restart(&mut self, at: usize) {
        if self.brokers[at].is_some() {
            return;
        }
        self.start(at);
        self.clients_return(at);
    }

    /// The subscribers of a site that has just started.
    pub fn clients_return(&mut self, at: usize) {
        for filter in self.first_filters(at) {
            let task = Task::Come {
                at,
                filter,
                stay: None,
            };
            self.clock.after(Duration::from_millis(5), task);
        }
    }

    /// Resets what connects two brokers.
    pub fn reset_link(&mut self, a: usize, b: usize) {
        for pipe in self.pipes_between(a, b) {
            self.reset(pipe, true);
        }
    }

    fn pipes_between(&self, a: usize, b: usize) -> Vec<usize> {
        (0..self.pipes.len())
            .filter(|pipe| {
                let [one, other] = self.pipes[*pipe].ends;
                let is_pair = (one.at, other.at) == (a, b) || (one.at, other.at) == (b, a);
                is_pair && (one.is_open || other.is_open)
            })
            .collect()
    }

    fn darken(&mut self, from: usize, to: usize, begins: bool) {
        let count = self.dark.entry((from, to)).or_default();
        if begins {
            *count += 1;
            return;
        }
        *count = count.saturating_sub(1);
        if *count > 0 {
            return;
        }
        self.dark.remove(&(from, to));
        for pipe in 0..self.pipes.len() {
            for side in [0, 1] {
                let [near, far] = [self.pipes[pipe].ends[side], self.pipes[pipe].ends[1 - side]];
                if (near.at, far.at) == (from, to) {
                    self.resume(pipe, side);
                }
            }
        }
    }
}
