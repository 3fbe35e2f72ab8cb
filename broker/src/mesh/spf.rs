//! Shortest paths with the parent rule (R4, 5.3). On equal maps every broker's tree path to a
//! destination is the tail of every other broker's, so that splitting hop by hop uses exactly the
//! edges of the origin's tree.
//!
//! Knows nothing of links, claims or time; also answers "what if" questions outside a broker.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::ids::Bid;

/// One vertex of the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vertex {
    /// Its broker id.
    pub bid: Bid,
    /// It may be passed through; otherwise it is only reached.
    pub is_transit: bool,
}

/// One direction of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The vertex it leads to.
    pub to: usize,
    /// At least 1.
    pub cost: u32,
    /// Hash of the link's name.
    pub link: u32,
}

/// An undirected graph with at most one edge between two vertices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    vertices: Vec<Vertex>,
    edges: Vec<Vec<Edge>>,
}

impl Graph {
    /// Adds a vertex and gives its index.
    pub fn add_vertex(&mut self, bid: Bid, is_transit: bool) -> usize {
        self.vertices.push(Vertex { bid, is_transit });
        self.edges.push(Vec::new());
        self.vertices.len() - 1
    }

    /// Adds an edge in both directions. Between one pair the cheapest counts, then the lower link.
    /// Rule: R2.
    pub fn add_edge(&mut self, one: usize, other: usize, cost: u32, link: u32) {
        let is_known = one < self.vertices.len() && other < self.vertices.len();
        if !is_known || one == other || cost == 0 {
            return;
        }
        self.add_half(one, other, cost, link);
        self.add_half(other, one, cost, link);
    }

    /// Number of vertices.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.vertices.len()
    }

    /// True without vertices.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.vertices.is_empty()
    }

    /// The edges of a vertex.
    #[must_use]
    pub fn edges(&self, of: usize) -> &[Edge] {
        self.edges.get(of).map_or(&[], Vec::as_slice)
    }

    /// The edge between two vertices.
    #[must_use]
    pub fn edge(&self, one: usize, other: usize) -> Option<&Edge> {
        self.edges(one).iter().find(|edge| edge.to == other)
    }

    fn add_half(&mut self, from: usize, to: usize, cost: u32, link: u32) {
        match self.edges[from].iter_mut().find(|edge| edge.to == to) {
            Some(edge) if (edge.cost, edge.link) <= (cost, link) => {}
            Some(edge) => (edge.cost, edge.link) = (cost, link),
            None => self.edges[from].push(Edge { to, cost, link }),
        }
    }
}

/// The way to one vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Sum of the costs.
    pub distance: u64,
    /// The vertex before it; itself for the root.
    pub parent: usize,
    /// The first vertex after the root; itself for the root.
    pub first: usize,
    /// Edges on the way.
    pub hops: u16,
}

/// A shortest-path tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    root: usize,
    reached: Vec<Option<Reached>>,
}

impl Tree {
    /// How a vertex is reached.
    #[must_use]
    pub fn reached(&self, vertex: usize) -> Option<&Reached> {
        self.reached.get(vertex)?.as_ref()
    }

    /// The vertices from the root to a destination, both included.
    #[must_use]
    pub fn path(&self, to: usize) -> Option<Vec<usize>> {
        let mut at = to;
        let mut path = vec![at];
        while at != self.root {
            at = self.reached(at)?.parent;
            path.push(at);
        }
        path.reverse();
        Some(path)
    }

    /// The largest number of edges on a way.
    #[must_use]
    pub fn eccentricity(&self) -> u16 {
        self.reached
            .iter()
            .flatten()
            .map(|reached| reached.hops)
            .max()
            .unwrap_or(0)
    }
}

/// Runs Dijkstra's algorithm from a root for one flow label. Rule: R4.
#[must_use]
pub fn shortest_paths(graph: &Graph, root: usize, label: u8) -> Tree {
    let keys: Vec<u64> = graph
        .vertices
        .iter()
        .map(|vertex| vertex.bid.tie_key(label))
        .collect();
    let mut tree = Tree {
        root,
        reached: vec![None; graph.len()],
    };
    let mut best: Vec<Option<u64>> = vec![None; graph.len()];
    let mut waiting = BinaryHeap::new();
    if root < graph.len() {
        best[root] = Some(0);
        waiting.push(Reverse((0, root)));
    }
    while let Some(Reverse((distance, vertex))) = waiting.pop() {
        if tree.reached[vertex].is_some() {
            continue;
        }
        tree.reached[vertex] = Some(settle(graph, &tree, &keys, vertex, distance));
        if vertex != root && !graph.vertices[vertex].is_transit {
            continue;
        }
        for edge in graph.edges(vertex) {
            let through = distance + u64::from(edge.cost);
            if best[edge.to].is_none_or(|known| through < known) {
                best[edge.to] = Some(through);
                waiting.push(Reverse((through, edge.to)));
            }
        }
    }
    tree
}

/// Costs are positive, so every possible parent was settled before.
fn settle(graph: &Graph, tree: &Tree, keys: &[u64], vertex: usize, distance: u64) -> Reached {
    let may_pass = |at: usize| at == tree.root || graph.vertices[at].is_transit;
    let parent = graph
        .edges(vertex)
        .iter()
        .filter(|edge| may_pass(edge.to))
        .filter_map(|edge| Some((edge, tree.reached(edge.to)?)))
        .filter(|(edge, reached)| reached.distance + u64::from(edge.cost) == distance)
        .min_by_key(|(edge, reached)| {
            (reached.distance, keys[edge.to], graph.vertices[edge.to].bid)
        });
    match parent {
        Some((edge, reached)) if vertex != tree.root => Reached {
            distance,
            parent: edge.to,
            first: if edge.to == tree.root {
                vertex
            } else {
                reached.first
            },
            hops: reached.hops.saturating_add(1),
        },
        _ => Reached {
            distance,
            parent: vertex,
            first: vertex,
            hops: 0,
        },
    }
}
