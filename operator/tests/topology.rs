//! Links from shapes, their names, and what makes them no network.

use causeway_operator::api::network::{BrokerNetworkSpec, Collective};
use causeway_operator::topology::collectives;
use causeway_operator::topology::expand::{self, TopologyError};
use serde_json::{Value, json};

fn spec(sites: &[&str], topology: Value, links: Value) -> BrokerNetworkSpec {
    let sites: Vec<_> = sites.iter().map(|name| json!({"name": name})).collect();
    serde_json::from_value(json!({"sites": sites, "topology": topology, "links": links}))
        .expect("the fixture decodes")
}

fn names(spec: &BrokerNetworkSpec) -> Vec<String> {
    let (links, errors) = expand::links(spec);
    assert_eq!(errors, []);
    links.into_iter().map(|link| link.name).collect()
}

#[test]
fn shapes_expand_to_their_links() {
    let sites = ["d", "b", "a", "c"];
    let order = json!(["a", "b", "c", "d"]);
    let rows = [
        (json!({"shape": "Custom"}), vec![]),
        (
            json!({"shape": "Mesh"}),
            vec!["a-b", "a-c", "a-d", "b-c", "b-d", "c-d"],
        ),
        (
            json!({"shape": "Star", "hub": "c"}),
            vec!["a-c", "b-c", "c-d"],
        ),
        (
            json!({"shape": "Chain", "order": order}),
            vec!["a-b", "b-c", "c-d"],
        ),
        (
            json!({"shape": "Ring", "order": order}),
            vec!["a-b", "a-d", "b-c", "c-d"],
        ),
    ];
    for (topology, expected) in rows {
        assert_eq!(
            names(&spec(&sites, topology.clone(), json!([]))),
            expected,
            "{topology}"
        );
    }
}

#[test]
fn ring_of_two_is_one_link() {
    assert_eq!(
        names(&spec(
            &["a", "b"],
            json!({"shape": "Ring", "order": ["b", "a"]}),
            json!([])
        )),
        ["a-b"]
    );
}

#[test]
fn written_link_replaces_that_of_the_shape_and_keeps_its_name() {
    let links = json!([{"name": "slow", "between": ["b", "a"], "cost": 9}]);
    let spec = spec(&["a", "b", "c"], json!({"shape": "Mesh"}), links);
    assert_eq!(names(&spec), ["a-c", "b-c", "slow"]);
}

#[test]
fn names_of_links_between_names_with_hyphens_are_unambiguous() {
    assert_eq!(
        names(&spec(&["a-b", "c"], json!({"shape": "Mesh"}), json!([]))),
        ["a-b--c"]
    );
    assert_eq!(
        names(&spec(&["a", "b-c"], json!({"shape": "Mesh"}), json!([]))),
        ["a--b-c"]
    );
}

#[test]
fn written_name_of_another_generated_link_is_refused() {
    let links = json!([{"name": "b-c", "between": ["a", "b"]}]);
    let (_, errors) = expand::links(&spec(&["a", "b", "c"], json!({"shape": "Mesh"}), links));
    assert!(
        matches!(
            errors.as_slice(),
            [TopologyError::DuplicateName { index: 0, .. }]
        ),
        "{errors:?}"
    );
}

#[test]
fn second_link_of_a_pair_needs_other_addresses() {
    let links = |addresses: Value| {
        json!([
            {"name": "one", "between": ["a", "b"], "addresses": [{"host": "h", "port": 1}]},
            {"name": "two", "between": ["b", "a"], "addresses": addresses},
        ])
    };
    let errors = |addresses| expand::links(&spec(&["a", "b"], json!(null), links(addresses))).1;
    assert_eq!(errors(json!([{"host": "h", "port": 2}])), []);
    for same in [json!(null), json!([{"host": "h", "port": 1}])] {
        assert!(matches!(
            errors(same).as_slice(),
            [TopologyError::DuplicatePair { index: 1, .. }]
        ));
    }
}

#[test]
fn network_has_at_most_512_links_and_a_site_at_most_128() {
    let sites: Vec<String> = (0..64).map(|index| format!("s{index:02}")).collect();
    let sites: Vec<&str> = sites.iter().map(String::as_str).collect();
    let mesh =
        |count: usize| expand::links(&spec(&sites[..count], json!({"shape": "Mesh"}), json!([]))).1;
    assert_eq!(mesh(32), []);
    assert!(matches!(
        mesh(33).as_slice(),
        [TopologyError::TooMany { count: 528 }]
    ));
    let many = |count: usize| {
        let links: Vec<_> = (0..count)
            .map(|index| {
                let address = json!({"host": "h", "port": index + 1});
                json!({"name": format!("l{index}"), "between": ["a", "b"], "addresses": [address]})
            })
            .collect();
        expand::links(&spec(&["a", "b"], json!(null), json!(links))).1
    };
    assert_eq!(many(128), []);
    let expected = |site: &str| TopologyError::TooManyAt {
        site: site.to_owned(),
        count: 129,
    };
    assert_eq!(many(129), [expected("a"), expected("b")]);
}

#[test]
fn collective_expands_to_the_documented_entries() {
    let collective = Collective {
        name: "c".to_owned(),
        servers: vec!["S".to_owned()],
        admins: vec!["A".to_owned()],
    };
    let rows: Vec<String> = collectives::entries(&collective)
        .iter()
        .map(|entry| {
            let kind = if entry.is_queue { "queue" } else { "topic" };
            let lists = [&entry.read, &entry.write, &entry.admin].map(|list| list.join(","));
            format!("{kind} {} {}", entry.pattern, lists.join(" "))
        })
        .collect();
    assert_eq!(
        rows,
        [
            "queue c.nodes S A A,S",
            "queue c.reply.> A S A,S",
            "topic c.*.agent S A A,S",
            "topic c.agents S A A,S",
            "topic c.registration.agent S S A,S",
        ]
    );
}
