//! Who has a link with whom, and how long its wire is.

use std::time::Duration;

use causeway_broker::mesh::random::Random;

/// A link between two brokers.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    /// The one end.
    pub a: usize,
    /// The other end.
    pub b: usize,
    /// Its cost, equal at both ends.
    pub cost: u32,
    /// One-way delay of the wire.
    pub delay: Duration,
    /// Both ends have an address of the other one; otherwise only `a` dials.
    pub both_dial: bool,
    /// Which of several links between these two it is.
    pub number: u32,
}

impl Edge {
    /// Its name, equal at both ends.
    pub fn name(&self, names: &[String]) -> String {
        let pair = format!("{}-{}", names[self.a], names[self.b]);
        match self.number {
            0 => pair,
            number => format!("{pair}-{number}"),
        }
    }

    /// It connects these two.
    pub fn is_between(&self, a: usize, b: usize) -> bool {
        (self.a, self.b) == (a, b) || (self.b, self.a) == (a, b)
    }
}

/// The shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One after the other.
    Chain,
    /// A closed chain.
    Ring,
    /// All around the first one.
    Star,
    /// Everybody with everybody.
    Mesh,
    /// Two dense halves with two long links between them.
    Countries,
    /// Random links, about three per broker, and a ring below them.
    Regular,
    /// Every broker but the first one hangs on an earlier one.
    Tree,
    /// Rows and columns.
    Grid,
    /// Two dense halves with one bridge.
    Barbell,
    /// A ring, and a second link beside some of its links.
    Parallel,
}

/// A number below `most`.
pub fn below(random: &mut Random, most: usize) -> usize {
    usize::try_from(random.number() % u64::try_from(most.max(1)).unwrap()).unwrap()
}

/// The links of a shape.
pub fn edges(shape: Shape, brokers: usize, random: &mut Random) -> Vec<Edge> {
    let mut pairs = Vec::new();
    let ring = |pairs: &mut Vec<(usize, usize)>, from: usize, to: usize| {
        (from..to - 1).for_each(|at| pairs.push((at, at + 1)));
        if to - from > 2 {
            pairs.push((to - 1, from));
        }
    };
    match shape {
        Shape::Chain => (0..brokers - 1).for_each(|at| pairs.push((at, at + 1))),
        Shape::Ring => ring(&mut pairs, 0, brokers),
        Shape::Star => (1..brokers).for_each(|at| pairs.push((0, at))),
        Shape::Mesh => {
            for a in 0..brokers {
                (a + 1..brokers).for_each(|b| pairs.push((a, b)));
            }
        }
        Shape::Countries => {
            let half = brokers / 2;
            ring(&mut pairs, 0, half);
            ring(&mut pairs, half, brokers);
            pairs.push((0, half));
            pairs.push((half - 1, brokers - 1));
        }
        Shape::Tree => {
            (1..brokers).for_each(|at| pairs.push((below(random, at).max(at / 4), at)));
        }
        Shape::Grid => {
            let width = (1..).find(|width| width * width >= brokers).unwrap_or(1);
            for at in 0..brokers {
                if at % width > 0 {
                    pairs.push((at - 1, at));
                }
                if at >= width {
                    pairs.push((at - width, at));
                }
            }
        }
        Shape::Barbell => {
            for (from, to) in [(0, brokers / 2), (brokers / 2, brokers)] {
                for a in from..to {
                    (a + 1..to).for_each(|b| pairs.push((a, b)));
                }
            }
            pairs.push((0, brokers / 2));
        }
        Shape::Parallel => {
            ring(&mut pairs, 0, brokers);
            for at in (0..brokers - 1).step_by(2) {
                pairs.push((at, at + 1));
            }
        }
        Shape::Regular => {
            ring(&mut pairs, 0, brokers);
            for _ in 0..brokers / 2 {
                let (a, b) = (below(random, brokers), below(random, brokers));
                if a != b && !pairs.contains(&(a, b)) && !pairs.contains(&(b, a)) {
                    pairs.push((a, b));
                }
            }
        }
    }
    let half = brokers / 2;
    let mut known = Vec::new();
    pairs
        .into_iter()
        .map(|(a, b)| {
            let number = known.iter().filter(|pair| **pair == (a, b)).count();
            known.push((a, b));
            let is_long = shape == Shape::Countries && (a < half) != (b < half);
            let micros = if is_long {
                20_000 + below(random, 130_000)
            } else {
                100 + below(random, 5_000)
            };
            Edge {
                a,
                b,
                cost: [10, 10, 10, 20, 35][below(random, 5)],
                delay: Duration::from_micros(u64::try_from(micros).unwrap()),
                both_dial: below(random, 2) == 0,
                number: u32::try_from(number).unwrap_or(0),
            }
        })
        .collect()
}

/// Distances by Floyd and Warshall: the reference that routes are compared with.
pub fn distances(brokers: usize, edges: &[Edge]) -> Vec<Vec<u64>> {
    let mut table = vec![vec![u64::MAX / 4; brokers]; brokers];
    (0..brokers).for_each(|at| table[at][at] = 0);
    for edge in edges {
        let cost = u64::from(edge.cost);
        table[edge.a][edge.b] = table[edge.a][edge.b].min(cost);
        table[edge.b][edge.a] = table[edge.b][edge.a].min(cost);
    }
    for via in 0..brokers {
        for a in 0..brokers {
            for b in 0..brokers {
                table[a][b] = table[a][b].min(table[a][via] + table[via][b]);
            }
        }
    }
    table
}
