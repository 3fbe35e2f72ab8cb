use super::{Graph, shortest_paths};
use crate::mesh::ids::Bid;
use crate::mesh::random::Random;

const SEEDS: u64 = 150;

fn below(random: &mut Random, limit: usize) -> usize {
    usize::try_from(random.number() % u64::try_from(limit).unwrap()).unwrap()
}

/// A connected graph of 2 to 16 brokers with loops; some brokers may not be passed through.
fn random_graph(random: &mut Random) -> Graph {
    let count = 2 + below(random, 15);
    let mut graph = Graph::default();
    for index in 0..count {
        let bid = Bid::derive("net", &format!("{index}-{}", random.number()));
        graph.add_vertex(bid, index == 0 || below(random, 6) != 0);
    }
    for vertex in 1..count {
        let other = below(random, vertex);
        connect(random, &mut graph, vertex, other);
    }
    for _ in 0..below(random, 2 * count) {
        let (one, other) = (below(random, count), below(random, count));
        connect(random, &mut graph, one, other);
    }
    graph
}

fn connect(random: &mut Random, graph: &mut Graph, one: usize, other: usize) {
    let cost = u32::try_from(1 + below(random, 4)).unwrap();
    graph.add_edge(
        one,
        other,
        cost,
        u32::try_from(below(random, 1000)).unwrap(),
    );
}

/// Floyd and Warshall; only vertices that may be passed through stand in the middle.
fn distances(graph: &Graph) -> Vec<Vec<Option<u64>>> {
    let count = graph.len();
    let mut known = vec![vec![None; count]; count];
    for (from, row) in known.iter_mut().enumerate() {
        row[from] = Some(0);
        for edge in graph.edges(from) {
            row[edge.to] = Some(u64::from(edge.cost));
        }
    }
    for middle in (0..count).filter(|middle| graph.vertices[*middle].is_transit) {
        for from in 0..count {
            for to in 0..count {
                let through = known[from][middle]
                    .zip(known[middle][to])
                    .map(|(a, b)| a + b);
                if through.is_some_and(|through| known[from][to].is_none_or(|old| through < old)) {
                    known[from][to] = through;
                }
            }
        }
    }
    known
}

#[test]
fn distances_are_those_of_floyd_and_warshall() {
    for seed in 0..SEEDS {
        let graph = random_graph(&mut Random::new(seed));
        for (root, expected) in distances(&graph).iter().enumerate() {
            let tree = shortest_paths(&graph, root, 0);
            for (to, distance) in expected.iter().enumerate() {
                let found = tree.reached(to).map(|reached| reached.distance);
                assert_eq!(found, *distance, "seed {seed}, {root} to {to}");
            }
        }
    }
}

/// I5.
#[test]
fn every_path_is_the_tail_of_the_paths_that_lead_through_its_start() {
    for seed in 0..SEEDS {
        let graph = random_graph(&mut Random::new(seed));
        for label in [0, 1, 3] {
            let trees: Vec<_> = (0..graph.len())
                .map(|root| shortest_paths(&graph, root, label))
                .collect();
            for tree in &trees {
                for path in (0..graph.len()).filter_map(|to| tree.path(to)) {
                    for (skipped, middle) in path.iter().enumerate() {
                        let tail = trees[*middle].path(path[path.len() - 1]);
                        assert_eq!(tail.as_deref(), Some(&path[skipped..]), "seed {seed}");
                    }
                }
            }
        }
    }
}

#[test]
fn first_hops_and_hop_counts_agree_with_the_path() {
    for seed in 0..SEEDS {
        let graph = random_graph(&mut Random::new(seed));
        let tree = shortest_paths(&graph, 0, 0);
        let mut longest = 0;
        for to in 1..graph.len() {
            let Some(path) = tree.path(to) else { continue };
            let reached = tree.reached(to).unwrap();
            assert_eq!(
                (reached.first, usize::from(reached.hops)),
                (path[1], path.len() - 1)
            );
            longest = longest.max(reached.hops);
        }
        assert_eq!(tree.eccentricity(), longest);
    }
}

#[test]
fn a_site_without_transit_is_reached_and_not_passed_through() {
    let mut graph = Graph::default();
    for (index, is_transit) in [true, false, true].into_iter().enumerate() {
        graph.add_vertex(Bid([u8::try_from(index).unwrap(); 16]), is_transit);
    }
    graph.add_edge(0, 1, 1, 1);
    graph.add_edge(1, 2, 1, 2);
    let tree = shortest_paths(&graph, 0, 0);
    assert!(tree.reached(1).is_some());
    assert_eq!(tree.reached(2), None);
    assert!(shortest_paths(&graph, 1, 0).reached(2).is_some());
}

#[test]
fn the_cheapest_of_two_links_between_a_pair_counts_then_the_lower_one() {
    let mut graph = Graph::default();
    graph.add_vertex(Bid([1; 16]), true);
    graph.add_vertex(Bid([2; 16]), true);
    graph.add_edge(0, 1, 5, 1);
    graph.add_edge(0, 1, 3, 9);
    graph.add_edge(1, 0, 3, 7);
    let edge = graph.edge(0, 1).unwrap();
    assert_eq!((edge.cost, edge.link), (3, 7));
    assert_eq!(graph.edge(1, 0).unwrap().link, 7);
}

#[test]
fn labels_spread_over_equally_short_paths() {
    let mut graph = Graph::default();
    for index in 0..10 {
        graph.add_vertex(Bid::derive("net", &index.to_string()), true);
    }
    for middle in 1..9 {
        graph.add_edge(0, middle, 1, 1);
        graph.add_edge(middle, 9, 1, 1);
    }
    let mut used: Vec<usize> = (0..4)
        .map(|label| shortest_paths(&graph, 0, label).path(9).unwrap()[1])
        .collect();
    used.sort_unstable();
    used.dedup();
    assert!(used.len() > 1);
}

/// 5.3: smallest distance of the parent first, then its key.
#[test]
fn of_equally_short_ways_the_one_with_the_parent_nearest_to_the_root_is_taken() {
    let mut graph = Graph::default();
    for byte in [0, 9, 1, 5] {
        graph.add_vertex(Bid([byte; 16]), true);
    }
    graph.add_edge(0, 1, 1, 1);
    graph.add_edge(1, 3, 2, 1);
    graph.add_edge(0, 2, 2, 1);
    graph.add_edge(2, 3, 1, 1);
    assert_eq!(shortest_paths(&graph, 0, 0).path(3), Some(vec![0, 1, 3]));
    let mut even = Graph::default();
    for byte in [0, 9, 1, 5] {
        even.add_vertex(Bid([byte; 16]), true);
    }
    for middle in [1, 2] {
        even.add_edge(0, middle, 1, 1);
        even.add_edge(middle, 3, 1, 1);
    }
    assert_eq!(shortest_paths(&even, 0, 0).path(3), Some(vec![0, 2, 3]));
}
